"""A job for Databricks: Jobs API 2.2 bodies, and a bundle. Control plane, pure."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from sparkscore.plan.launch_overrides import RUN
from sparkscore.plan.spark_application import SparkApplication
from sparkscore.spec import render_yaml
from sparkscore.targets.base import CompiledApplication
from sparkscore.targets.databricks.cluster import build_cluster, build_libraries
from sparkscore.targets.databricks.settings import NAME, DatabricksSettings, read_settings
from sparkscore.targets.spark_submit.compile import ENTRY_FILE, ENTRY_POINT

BUNDLE_NAME = "databricks-bundle"
CREATE_FILE, SUBMIT_FILE, BUNDLE_FILE = "create.json", "submit.json", "databricks.yml"

TASK, CLUSTER, JOB = "score", "scoring", "scoring"
"""Keys of the one task, of its cluster and, in a bundle, of the job."""

RETRY_MILLISECONDS = 60_000

_RUN_PARAMETERS = (
    *("--run", "{{job.run_id}}"),
    *("--input", "{{job.parameters.input}}"),
    *("--output-path", "{{job.parameters.output}}"),
    *("--overrides", "{{job.parameters.overrides}}"),
)
"""A retry has the id of the run that it repeats, so it goes on where that one ended."""

_BUNDLE_TEXT = """\
# Deploy:  databricks bundle deploy
# Run:     databricks bundle run {job}
# Schedule it in production:
#          databricks bundle deploy --target prod --var schedule_status=UNPAUSED
"""


def compile_application(application: SparkApplication) -> CompiledApplication:
    """``create.json`` for a job that is run again and again, ``submit.json`` for one run.

    Raises InvalidFieldError or UnsupportedByTargetError for what the compute says.
    """
    settings = read_settings(application.platform, target=NAME)
    bodies = {
        CREATE_FILE: build_job(application, settings),
        SUBMIT_FILE: build_run(application, settings),
    }
    return _compiled(application, NAME, {name: _render(body) for name, body in bodies.items()})


def compile_bundle(application: SparkApplication) -> CompiledApplication:
    """``databricks.yml``, for ``databricks bundle deploy`` in the compiled folder.

    Raises InvalidFieldError or UnsupportedByTargetError for what the compute says.
    """
    settings = read_settings(application.platform, target=BUNDLE_NAME)
    text = _BUNDLE_TEXT.format(job=JOB) + render_yaml(build_bundle(application, settings))
    return _compiled(application, BUNDLE_NAME, {BUNDLE_FILE: text})


def build_job(application: SparkApplication, settings: DatabricksSettings) -> dict[str, Any]:
    """The body of ``POST /api/2.2/jobs/create``; input, output and overrides are parameters."""
    return _build_job(
        application,
        cluster=build_cluster(application, settings),
        task=_build_task(
            application,
            settings,
            python_file=application.entry_point,
            parameters=[*application.arguments, *_RUN_PARAMETERS],
        ),
        input_=application.input_uri,
        output=_get_run_output(application),
    )


def build_run(application: SparkApplication, settings: DatabricksSettings) -> dict[str, Any]:
    """The body of ``POST /api/2.2/jobs/runs/submit`` but for its idempotency token."""
    task = _build_task(
        application,
        settings,
        python_file=application.entry_point,
        parameters=list(application.arguments),
    )
    body: dict[str, Any] = {
        "run_name": application.name,
        "tasks": [{**task, "new_cluster": build_cluster(application, settings)}],
    }
    return {**body, **_build_timeout(application)}


def build_bundle(application: SparkApplication, settings: DatabricksSettings) -> dict[str, Any]:
    """``databricks.yml``: the same job, whose files the bundle brings to the workspace."""
    cluster = build_cluster(application, settings)
    variables = {
        "input": _variable("Folder, file or URI to score.", application.input_uri),
        "output": _variable(
            f"Folder of the results; {RUN} stands for the run.", _get_run_output(application)
        ),
        "schedule": _variable("When to run: a Quartz cron expression.", "0 0 2 * * ?"),
        "schedule_status": _variable("UNPAUSED runs the job by its schedule.", "PAUSED"),
        "time_zone": _variable("Time zone of the schedule.", "UTC"),
    }
    if "node_type_id" in cluster:
        variables["node_type_id"] = _variable("Kind of machine.", cluster["node_type_id"])
        cluster["node_type_id"] = "${var.node_type_id}"
    job = _build_job(
        application,
        cluster=cluster,
        task=_build_task(
            application,
            settings,
            python_file=f"./{ENTRY_FILE}",
            parameters=[
                "${workspace.file_path}/launch.json",
                *application.arguments[1:],
                *_RUN_PARAMETERS,
            ],
        ),
        input_="${var.input}",
        output="${var.output}",
    )
    job["schedule"] = {
        "quartz_cron_expression": "${var.schedule}",
        "timezone_id": "${var.time_zone}",
        "pause_status": "${var.schedule_status}",
    }
    workspace = {"host": settings.host}
    root = "/Workspace/Users/${workspace.current_user.userName}/.bundle/${bundle.name}/prod"
    return {
        "bundle": {"name": _name_bundle(application.name)},
        "sync": {"include": ["code/**", "model/**", "sparkscore.zip", "*.json", "environment-*"]},
        "variables": variables,
        "resources": {"jobs": {JOB: job}},
        "targets": {
            "dev": {"mode": "development", "default": True, "workspace": workspace},
            "prod": {"mode": "production", "workspace": {**workspace, "root_path": root}},
        },
    }


def _build_job(
    application: SparkApplication,
    *,
    cluster: dict[str, Any],
    task: dict[str, Any],
    input_: str,
    output: str,
) -> dict[str, Any]:
    parameters = {"input": input_, "output": output, "overrides": ""}
    return {
        "name": application.name,
        "tags": {"created_by": "sparkscore"},
        "max_concurrent_runs": 1,
        "queue": {"enabled": True},
        **_build_timeout(application),
        "parameters": [{"name": name, "default": text} for name, text in parameters.items()],
        "job_clusters": [{"job_cluster_key": CLUSTER, "new_cluster": cluster}],
        "tasks": [{**task, "job_cluster_key": CLUSTER}],
    }


def _build_task(
    application: SparkApplication,
    settings: DatabricksSettings,
    *,
    python_file: str,
    parameters: list[str],
) -> dict[str, Any]:
    locations = (application.staging or "", application.input_uri, application.output_path)
    task: dict[str, Any] = {
        "task_key": TASK,
        "spark_python_task": {"python_file": python_file, "parameters": parameters},
        "libraries": build_libraries(settings, locations=locations),
        "max_retries": application.max_platform_retries,
    }
    if application.max_platform_retries:
        task |= {"min_retry_interval_millis": RETRY_MILLISECONDS, "retry_on_timeout": False}
    return task


def _get_run_output(application: SparkApplication) -> str:
    """Each run needs a new place; empty is what the driver makes of the launch message's."""
    path = application.output_path.rstrip("/")
    return f"{path}/{RUN}" if path else ""


def _build_timeout(application: SparkApplication) -> dict[str, Any]:
    timeout = application.timeout_seconds
    return {} if not timeout else {"timeout_seconds": timeout}


def _variable(description: str, default: str) -> dict[str, str]:
    return {"description": description, "default": default}


def _name_bundle(job_name: str) -> str:
    """Letters, digits, hyphens and underscores: the name is a folder of the workspace too."""
    return re.sub(r"[^A-Za-z0-9_-]+", "-", job_name)


def _render(body: Mapping[str, Any]) -> str:
    return json.dumps(body, indent=2, ensure_ascii=False) + "\n"


def _compiled(
    application: SparkApplication, target: str, files: Mapping[str, str]
) -> CompiledApplication:
    return CompiledApplication(
        target=target,
        arguments=application.arguments,
        files={ENTRY_FILE: ENTRY_POINT, **files},
        packages=True,
    )
