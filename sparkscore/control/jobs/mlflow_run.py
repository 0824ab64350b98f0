"""What an ended job's MLflow run holds, and how it is written. Control plane.

mlflow is imported only when a run is written, which ``tracking`` does in a process of its own.
"""

from __future__ import annotations

import contextlib
import getpass
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from sparkscore.control.workspace import Workspace
from sparkscore.messages.status import CANCELED, COMPLETED, StatusMessage
from sparkscore.state.records import JobRecord

if TYPE_CHECKING:
    from mlflow import MlflowClient

SAMPLES_FILE = "progress.jsonl"
"""The job's progress over time, a line every few seconds; written by the launcher."""

RUN_ID = "mlflow.run_id"
RUN_URL = "mlflow.run_url"
"""Properties of a job whose run is written: its id, and its page if MLflow is a server."""

PLAN_FILE = "plan/plan.json"

_RUN_STATUSES = {COMPLETED: "FINISHED", CANCELED: "KILLED"}
_SAMPLED = ("inputs_succeeded", "inputs_failed", "inputs_per_second", "rows", "mini_batches_done")
_ARTIFACTS = ("summary.json", "failed_inputs.csv", "bad_rows.csv")
_MOST_SAMPLES = 200
_MOST_VALUE = 1e15
_MOST_ARTIFACT_BYTES = 50 * 2**20
_LONGEST_VALUE = 5000
_LONGEST_NAME = 250
_BATCH = 100
_SECRET = re.compile(
    r"secret|passw|token|credential|signature|account\.?key|access\.?key|\.sas\b", re.IGNORECASE
)
_MODEL_REFERENCE = re.compile(r"(?:azureml:|models:/)(?P<name>[^:/]+)[:/](?P<version>.+)")


@dataclass(frozen=True)
class MlflowRun:
    """A run that was written; ``url`` is its page, None without a server."""

    run_id: str
    url: str | None

    def to_properties(self) -> dict[str, str]:
        """What the job's record says of it."""
        return {RUN_ID: self.run_id, **({RUN_URL: self.url} if self.url else {})}


def write_sample(folder: Path, status: StatusMessage) -> None:
    """Add the counts of one moment to the job folder; nothing comes of it where that is full."""
    values = {name: getattr(status, name) for name in _SAMPLED}
    with (
        contextlib.suppress(OSError),
        (folder / SAMPLES_FILE).open("a", encoding="utf-8") as samples,
    ):
        samples.write(json.dumps({"at": status.heartbeat_at, **values}) + "\n")


def log_job(workspace: Workspace, record: JobRecord) -> MlflowRun:
    """Write the job's settings, progress, account and links; a job that was resumed keeps its run.

    Raises StateError (MLFLOW_FAILED, MLFLOW_UNREACHABLE).
    """
    with workspace.models.mlflow.writing() as client:
        experiment = _get_experiment(client, record.experiment_name, workspace=workspace)
        run_id = _find_run(client, experiment, record) or _create_run(client, experiment, record)
    with workspace.models.mlflow.reading() as client:
        _fill_run(client, run_id, record)
        client.set_terminated(
            run_id,
            status=_RUN_STATUSES.get(record.status, "FAILED"),
            end_time=_milliseconds(record.ended_at or record.updated_at),
        )
    return MlflowRun(run_id, _get_url(workspace, experiment, run_id))


def _get_experiment(client: MlflowClient, name: str, *, workspace: Workspace) -> str:
    found = client.get_experiment_by_name(name)
    if found is None:
        location = workspace.models.mlflow.artifact_location
        return str(client.create_experiment(name, artifact_location=location))
    if found.lifecycle_stage == "deleted":
        client.restore_experiment(found.experiment_id)
    return str(found.experiment_id)


def _find_run(client: MlflowClient, experiment: str, record: JobRecord) -> str | None:
    """The job's run, if it has one; another workspace's job may have the same name."""
    runs = client.search_runs([experiment], f"tags.`sparkscore.job` = '{record.name}'")
    for run in runs:
        if run.data.tags.get("sparkscore.job_folder") == _cut(record.folder):
            return str(run.info.run_id)
    return None


def _create_run(client: MlflowClient, experiment: str, record: JobRecord) -> str:
    run = client.create_run(
        experiment,
        start_time=_milliseconds(record.started_at or record.created_at),
        tags={
            "mlflow.user": _get_user(),
            "mlflow.source.name": "sparkscore",
            "mlflow.source.type": "JOB",
            "sparkscore.job": record.name,
            "sparkscore.job_folder": _cut(record.folder),
        },
        run_name=record.display_name,
    )
    return str(run.info.run_id)


def _fill_run(client: MlflowClient, run_id: str, record: JobRecord) -> None:
    from mlflow.entities import Metric, Param, RunTag

    folder = Path(record.folder)
    before = client.get_run(run_id).data
    known = dict(before.params)
    given = dict(_iter_parameters(record, folder))
    # MLflow's parameters are written once; what a resume has changed since stands in tags.
    changed = {
        f"sparkscore.resumed.{name}": text
        for name, text in given.items()
        if known.get(name, text) != text
    }
    parameters = [Param(name, text) for name, text in given.items() if name not in known]
    metrics = [Metric(*point) for point in _iter_metrics(record, folder)]
    named = {**_get_tags(record), **changed}
    tags = [RunTag(name, text) for name, text in named.items() if text]
    for start in range(0, max(len(parameters), len(metrics), len(tags)), _BATCH):
        part = slice(start, start + _BATCH)
        client.log_batch(run_id, metrics=metrics[part], params=parameters[part], tags=tags[part])
    for name in (name for name, text in named.items() if not text and name in before.tags):
        client.delete_tag(run_id, name)
    for name in _ARTIFACTS:
        if _is_artifact(folder / name):
            client.log_artifact(run_id, str(folder / name))
    client.log_dict(run_id, _get_places(record), "output.json")


def _is_artifact(file: Path) -> bool:
    try:
        return file.stat().st_size <= _MOST_ARTIFACT_BYTES
    except OSError:
        return False


def _get_places(record: JobRecord) -> dict[str, Any]:
    """Where everything of the job stands; ``published`` is None if nothing was."""
    published = (record.summary or {}).get("output")
    return {
        "inputs": record.inputs,
        "outputs": record.outputs,
        "published": published,
        "job_folder": record.folder,
    }


def _get_tags(record: JobRecord) -> dict[str, str]:
    """The job's own tags and ours; an empty one takes back what an earlier end had said."""
    model = str(record.deployment.get("model", ""))
    named = _MODEL_REFERENCE.fullmatch(model)
    error = record.error or {}
    ours = {
        "mlflow.note.content": record.description or "",
        "sparkscore.endpoint": record.endpoint_name or "",
        "sparkscore.deployment": record.deployment_name or "",
        "sparkscore.model": model,
        "sparkscore.model_name": named["name"] if named else "",
        "sparkscore.model_version": named["version"] if named else "",
        "sparkscore.output": _get_output(record),
        "sparkscore.status": record.status,
        "sparkscore.condition": str(error.get("condition", "")),
        "sparkscore.error": str(error.get("message", "")),
    }
    given = {_clean_name(name): _cut(text) for name, text in record.tags.items()}
    return {**given, **{name: _cut(text) for name, text in ours.items()}}


def _get_output(record: JobRecord) -> str:
    """Where the results are, empty if nothing was published."""
    if not (record.summary or {}).get("output"):
        return ""
    return next((str(output.get("path", "")) for output in record.outputs.values()), "")


def _iter_parameters(record: JobRecord, folder: Path) -> Iterator[tuple[str, str]]:
    """Settings, versions, and the digests of the plan and of what was asked for, by dotted name.

    Of environment variables, and of Spark settings that sound like secrets, only the names.
    """
    yield "request_digest", record.request_digest
    digest = _find_plan_digest(folder)
    if digest is not None:
        yield "plan_digest", digest
    content = {
        **record.deployment,
        "compute": record.compute,
        "inputs": record.inputs,
        "outputs": record.outputs,
        "versions": (record.summary or {}).get("versions", {}),
    }
    for path, value in _flatten(content):
        text = "(not recorded)" if is_secret(path) else _cut(str(value))
        yield _clean_name(".".join(path)), text


def is_secret(path: Sequence[str]) -> bool:
    above = path[:-1]
    return "environment_variables" in above or (
        "spark_conf" in above and _SECRET.search(path[-1]) is not None
    )


def _flatten(content: dict[str, Any], *above: str) -> Iterator[tuple[Sequence[str], Any]]:
    for key, value in content.items():
        if isinstance(value, dict) and value:
            yield from _flatten(value, *above, key)
        elif value not in (None, {}, [], ""):
            yield (*above, key), value


def _find_plan_digest(folder: Path) -> str | None:
    """What identifies the planned files and mini-batches; None if the job has no plan."""
    try:
        header = json.loads((folder / PLAN_FILE).read_text(encoding="utf-8"))
        return str(header["digest"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def _iter_metrics(record: JobRecord, folder: Path) -> Iterator[tuple[str, float, int, int]]:
    """Name, value, time in milliseconds, and as the step the seconds since the first sample."""
    samples = _thin(list(_iter_samples(folder / SAMPLES_FILE)))
    ended_at = record.ended_at or record.updated_at
    first = samples[0]["at"] if samples else record.started_at or record.created_at
    for sample in samples:
        at = sample.pop("at")
        for name, value in sample.items():
            yield name, float(value), _milliseconds(at), max(0, round(at - first))
    for name, value in _iter_account(record.summary or {}):
        yield name, float(value), _milliseconds(ended_at), max(0, round(ended_at - first))


def _iter_samples(file: Path) -> Iterator[dict[str, float]]:
    """The samples of a job; lines that a full disk has torn are left out."""
    try:
        lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return
    for line in lines:
        try:
            sample = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(sample, dict) and "at" in sample and all(map(_is_number, sample.values())):
            yield sample


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and abs(value) < _MOST_VALUE


def _thin(samples: list[dict[str, float]]) -> list[dict[str, float]]:
    """At most ``_MOST_SAMPLES`` of them, evenly, first and last among them."""
    most = _MOST_SAMPLES
    if len(samples) <= most:
        return samples
    return [samples[round(k * (len(samples) - 1) / (most - 1))] for k in range(most)]


def _iter_account(summary: dict[str, Any]) -> Iterator[tuple[str, float]]:
    for name in ("rows", "retries", "unprocessed_inputs", "bad_rows"):
        yield name, summary.get(name, 0)
    for name, value in summary.get("inputs", {}).items():
        yield f"inputs_{name}", value
    for name, value in summary.get("mini_batches", {}).items():
        yield f"mini_batches_{name}", value
    for name, value in summary.get("seconds", {}).items():
        yield f"seconds_{name}", value


def _get_url(workspace: Workspace, experiment: str, run_id: str) -> str | None:
    """The page of the run on a server, without the credentials that the server's URI may hold."""
    server = urlsplit(workspace.config.tracking_uri)
    if server.scheme not in ("http", "https"):
        return None
    host = server.netloc.rpartition("@")[2]
    path = server.path.rstrip("/")
    return f"{server.scheme}://{host}{path}/#/experiments/{experiment}/runs/{run_id}"


def _get_user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"


def _clean_name(name: str) -> str:
    """The name with nothing in it that MLflow refuses."""
    return re.sub(r"[^\w\-. :/]", "_", name, flags=re.ASCII)[:_LONGEST_NAME]


def _cut(text: str) -> str:
    return text[:_LONGEST_VALUE]


def _milliseconds(seconds: float) -> int:
    return int(seconds * 1000)
