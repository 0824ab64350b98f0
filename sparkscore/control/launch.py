"""Builds the launch message of a job. Control plane, pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from sparkscore.control.deployment import PreparedDeployment
from sparkscore.control.snapshot import get_digest
from sparkscore.messages.codec import to_json
from sparkscore.messages.launch import (
    InputMessage,
    LaunchMessage,
    MirrorMessage,
    OutputMessage,
    ScoringMessage,
)
from sparkscore.plan.launch_overrides import get_scoring_fields

ALL_COLUMNS = ("*",)


@dataclass(frozen=True)
class JobPlace:
    """Name, folders and data of one job; all paths are absolute.

    ``files`` is the folder with ``code/`` and ``model/``: the job folder, or empty for a compiled
    folder, which may be moved.
    ``mirror`` is where a copy of the job folder is kept, None if nowhere. ``staging`` is the URI of
    the job's folder for a driver that sees no path of this machine. ``relay``: workers share no
    folder with the driver.
    """

    job_name: str
    job_folder: Path
    files: Path
    input: InputMessage
    output: OutputMessage
    created_at: str
    master: str | None
    mirror: MirrorMessage | None = None
    staging: str | None = None
    relay: bool = False


def build_output(
    deployment: PreparedDeployment, *, path: str, options: Mapping[str, str] | None = None
) -> OutputMessage:
    """Where results go: ``path`` is the output folder, ``options`` are those of its store."""
    spec, settings = deployment.spec, deployment.spec.settings
    return OutputMessage(
        path=path,
        action=settings.output_action,
        format=spec.output_format,
        file_name=spec.output_file_name,
        table=settings.output_table,
        mode=settings.output_mode,
        schema=settings.output_schema,
        header=settings.output_header,
        separator=settings.output_separator,
        options=dict(options or {}),
    )


def build_launch(
    deployment: PreparedDeployment, place: JobPlace, *, model: Path, code: Path | None
) -> LaunchMessage:
    """The launch message; ``model`` and ``code`` are the copies that its digest is made of."""
    settings = deployment.spec.settings
    scoring = _build_scoring(deployment, place, model_name=model.name)
    digest = get_digest(model=model, code=code, settings=render_settings(scoring))
    return LaunchMessage(
        job_name=place.job_name,
        job_folder=place.staging or str(place.job_folder),
        created_at=place.created_at,
        input=place.input,
        output=place.output,
        scoring=replace(scoring, digest=digest),
        instance_count=deployment.spec.given_instance_count,
        max_concurrency_per_instance=deployment.spec.settings.max_concurrency_per_instance,
        gpus_per_instance=deployment.spec.gpus_per_instance,
        master=place.master,
        spark_conf=deployment.spark_conf,
        checkpoint_interval_seconds=settings.checkpoint_interval,
        keep_staging=settings.keep_staging,
        settings=deployment.spec.record(),
        warnings=deployment.warnings,
        mirror=place.mirror,
        relay=place.relay or place.staging is not None,
        staged=place.staging is not None,
    )


def render_settings(scoring: ScoringMessage) -> str:
    """What the digest of a job is made of beside model and code: nothing about where they lie.

    Jobs without an environment have the digest that they had before there were any.
    """
    environment = scoring.environment
    unnamed = replace(
        scoring, digest="", job_name="", model_folder="", code_folder=None, environment=None
    )
    text = to_json(unnamed).replace(', "environment": null', "")
    return text if environment is None else f"{text} {environment.digest}"


def _build_scoring(
    deployment: PreparedDeployment, place: JobPlace, *, model_name: str
) -> ScoringMessage:
    settings = deployment.spec.settings
    passthrough = settings.passthrough_columns
    has_code = deployment.code_folder is not None
    environment = deployment.job_environment
    files = Path() if place.staging else place.files
    return ScoringMessage(
        job_name=place.job_name,
        digest="",
        model_folder=str(files / "model"),
        model_name=model_name,
        code_folder=str(files / "code") if has_code else None,
        scoring_script=deployment.scoring_script,
        isolation=settings.isolation,
        passthrough_columns=ALL_COLUMNS if passthrough == "all" else tuple(passthrough),
        output_action=settings.output_action,
        environment_variables=dict(settings.environment_variables),
        environment=None if environment is None else environment.place(files),
        **get_scoring_fields(settings),
    )
