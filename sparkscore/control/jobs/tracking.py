"""Records an ended job as an MLflow run. Control plane, a process of its own.

``log_jobs = true`` in ``[mlflow]`` of sparkscore.toml asks for it. The launcher starts ``python -m
sparkscore.control.jobs.tracking WORKSPACE_FOLDER JOB`` once the job's end is stored, and nobody
waits for it: a server that is slow or away delays and fails nothing.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sparkscore.control.workspace import Workspace
from sparkscore.errors import SparkscoreError
from sparkscore.messages.status import CANCELED, COMPLETED, StatusMessage
from sparkscore.state.records import JobRecord

if TYPE_CHECKING:
    from mlflow import MlflowClient

SAMPLES_FILE = "progress.jsonl"
"""The job's progress over time, a line every few seconds; written by the launcher."""

_RUN_STATUSES = {COMPLETED: "FINISHED", CANCELED: "KILLED"}
_SAMPLED = ("inputs_succeeded", "inputs_failed", "inputs_per_second", "rows", "mini_batches_done")
_ARTIFACTS = ("summary.json", "failed_inputs.csv", "launch.json")
_LONGEST_PARAMETER = 6000
_BATCH = 100
_PATIENCE = {"MLFLOW_HTTP_REQUEST_TIMEOUT": "20", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2"}


def main(arguments: list[str] | None = None) -> int:
    """Record the job; returns 0, or 1 with a line on standard error if that failed."""
    folder, name = sys.argv[1:] if arguments is None else arguments
    os.environ.update(_PATIENCE)
    workspace = Workspace.open(Path(folder))
    with workspace.store.reading() as reader:
        record = reader.get_job(name)
    try:
        run_id = log_job(workspace, record)
    except SparkscoreError as error:
        print(f"the MLflow run is missing: {error.condition}: {error.message}", file=sys.stderr)
        return 1
    print(f"MLflow run {run_id}")
    return 0


def write_sample(folder: Path, status: StatusMessage) -> None:
    """Add the counts of one moment to the job folder."""
    values = {name: getattr(status, name) for name in _SAMPLED}
    with (folder / SAMPLES_FILE).open("a", encoding="utf-8") as samples:
        samples.write(json.dumps({"at": status.heartbeat_at, **values}) + "\n")


def log_job(workspace: Workspace, record: JobRecord) -> str:
    """The id of the run with the job's settings, progress, account and links.

    The same again if it is there. Raises StateError (MLFLOW_FAILED, MLFLOW_UNREACHABLE).
    """
    with workspace.models.mlflow.writing() as client:
        experiment = _get_experiment(client, record.experiment_name, workspace=workspace)
        known = client.search_runs([experiment], f"tags.`sparkscore.job` = '{record.name}'")
        if known:
            return str(known[0].info.run_id)
        run = client.create_run(
            experiment,
            start_time=_milliseconds(record.started_at or record.created_at),
            tags=_get_tags(record),
            run_name=record.display_name,
        )
    run_id = str(run.info.run_id)
    with workspace.models.mlflow.reading() as client:
        _fill_run(client, run_id, record)
        client.set_terminated(
            run_id,
            status=_RUN_STATUSES.get(record.status, "FAILED"),
            end_time=_milliseconds(record.ended_at or record.updated_at),
        )
    return run_id


def _fill_run(client: MlflowClient, run_id: str, record: JobRecord) -> None:
    from mlflow.entities import Metric, Param

    folder = Path(record.folder)
    parameters = [Param(name, text) for name, text in _iter_parameters(record)]
    metrics = [Metric(*point) for point in _iter_metrics(record, folder)]
    for start in range(0, max(len(parameters), len(metrics)), _BATCH):
        part = slice(start, start + _BATCH)
        client.log_batch(run_id, metrics=metrics[part], params=parameters[part])
    for name in _ARTIFACTS:
        if (folder / name).exists():
            client.log_artifact(run_id, str(folder / name))
    client.log_dict(run_id, record.outputs, "outputs.json")


def _get_experiment(client: MlflowClient, name: str, *, workspace: Workspace) -> str:
    found = client.get_experiment_by_name(name)
    if found is None:
        location = workspace.models.mlflow.artifact_location
        return str(client.create_experiment(name, artifact_location=location))
    if found.lifecycle_stage == "deleted":
        client.restore_experiment(found.experiment_id)
    return str(found.experiment_id)


def _get_tags(record: JobRecord) -> dict[str, str]:
    tags = {
        "sparkscore.job": record.name,
        "sparkscore.endpoint": record.endpoint_name or "",
        "sparkscore.deployment": record.deployment_name or "",
        "sparkscore.model": str(record.deployment.get("model", "")),
        "sparkscore.status": record.status,
        "sparkscore.condition": str((record.error or {}).get("condition", "")),
    }
    return {**record.tags, **{name: text for name, text in tags.items() if text}}


def _iter_parameters(record: JobRecord) -> Iterator[tuple[str, str]]:
    """Settings, versions and the digest of what was asked for, by dotted name."""
    yield "request_digest", record.request_digest
    yield from _flatten(record.deployment, prefix="")
    yield from _flatten((record.summary or {}).get("versions", {}), prefix="versions.")


def _flatten(content: dict[str, Any], *, prefix: str) -> Iterator[tuple[str, str]]:
    for key, value in content.items():
        if isinstance(value, dict) and value:
            yield from _flatten(value, prefix=f"{prefix}{key}.")
        elif value not in (None, {}, [], ""):
            yield f"{prefix}{key}", str(value)[:_LONGEST_PARAMETER]


def _iter_metrics(record: JobRecord, folder: Path) -> Iterator[tuple[str, float, int, int]]:
    """Name, value, time in milliseconds and step: the samples, then the account."""
    step = -1
    for step, sample in enumerate(_iter_samples(folder / SAMPLES_FILE)):
        at = _milliseconds(sample.pop("at"))
        for name, value in sample.items():
            yield name, float(value), at, step
    ended_at = _milliseconds(record.ended_at or record.updated_at)
    for name, value in _iter_account(record.summary or {}):
        yield name, float(value), ended_at, step + 1


def _iter_samples(file: Path) -> Iterator[dict[str, float]]:
    """The samples of a job; a last line that is torn is left out."""
    try:
        lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
    except OSError:
        return
    for line in lines:
        if line.endswith("\n"):
            yield json.loads(line)


def _iter_account(summary: dict[str, Any]) -> Iterator[tuple[str, float]]:
    for name in ("rows", "retries", "unprocessed_inputs", "bad_rows"):
        yield name, summary.get(name, 0)
    for name, value in summary.get("inputs", {}).items():
        yield f"inputs_{name}", value
    for name, value in summary.get("seconds", {}).items():
        yield f"seconds_{name}", value


def _milliseconds(seconds: float) -> int:
    return int(seconds * 1000)


if __name__ == "__main__":
    sys.exit(main())
