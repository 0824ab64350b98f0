"""What stands in the MLflow run of a job, in an embedded store and on a real server."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sparkscore.control.jobs.mlflow_run import PLAN_FILE, SAMPLES_FILE, log_job, write_sample
from sparkscore.control.workspace import Workspace
from sparkscore.messages.status import StatusMessage
from sparkscore.state import JobRecord

SUMMARY = {
    "status": "Completed",
    "inputs": {"total": 9, "succeeded": 8, "failed": 1},
    "mini_batches": {"total": 5, "succeeded": 5, "failed": 0},
    "rows": 8,
    "seconds": {"total": 3.5},
    "versions": {"spark": "4.2.0"},
    "output": {"path": "out/predictions.csv", "format": "csv"},
}
DEPLOYMENT = {
    "model": "azureml:weights:1",
    "settings": {"mini_batch_size": 2, "environment_variables": {"TOKEN": "hidden-one"}},
}


@pytest.fixture(scope="module", params=["file", pytest.param("server", marks=pytest.mark.slow)])
def workspace(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Workspace]:
    folder = tmp_path_factory.mktemp("runs") / "ws"
    if request.param == "server":
        folder.mkdir()
        address = request.getfixturevalue("mlflow_server").address
        (folder / "sparkscore.toml").write_text(f'[mlflow]\ntracking_uri = "{address}"\n')
    opened = Workspace.open(folder)
    yield opened
    opened.close()


def make_record(folder: Path, **changes: Any) -> JobRecord:
    """A job that has ended, with a folder that holds what a run takes over."""
    (folder / "plan").mkdir(parents=True)
    (folder / PLAN_FILE).write_text('{"digest": "d1ce"}')
    (folder / "summary.json").write_text(json.dumps(SUMMARY))
    (folder / "failed_inputs.csv").write_text("path\na.txt\n")
    write_samples(folder, (3, 8))
    with (folder / SAMPLES_FILE).open("a") as samples:
        samples.write('{"at": 1')
    record = JobRecord(
        name=folder.name,
        status="Completed",
        endpoint_name="mood",
        deployment_name="mood-v1",
        deployment=DEPLOYMENT,
        folder=str(folder),
        request_digest="abc",
        created_at=99.0,
        updated_at=110.0,
        started_at=100.0,
        ended_at=110.0,
        display_name=folder.name,
        experiment_name="mood",
        summary=SUMMARY,
        inputs={"data": {"type": "uri_folder", "uri": "in"}},
        outputs={"score": {"type": "uri_file", "path": "out/predictions.csv"}},
    )
    return dataclasses.replace(record, **changes)


def write_samples(folder: Path, counts: tuple[int, ...]) -> None:
    for done in counts:
        status = StatusMessage(
            *(folder.name, "Running", done, 100.0 + done, 100.0), inputs_succeeded=done
        )
        write_sample(folder, status)


def read_run(workspace: Workspace, run_id: str) -> Any:
    with workspace.models.mlflow.reading() as client:
        return client.get_run(run_id)


def test_run__settings_versions_account_and_links(workspace: Workspace, tmp_path: Path) -> None:
    record = make_record(tmp_path / "first", tags={"team": "a", "odd/näme!": "b"})
    written = log_job(workspace, record)
    run = read_run(workspace, written.run_id)
    with workspace.models.mlflow.reading() as client:
        names = {artifact.path for artifact in client.list_artifacts(written.run_id)}
        experiment = client.get_experiment_by_name("mood")
    assert experiment is not None
    assert run.info.experiment_id == experiment.experiment_id
    assert run.info.status == "FINISHED"
    assert (run.info.start_time, run.info.end_time) == (100_000, 110_000)
    assert run.data.params["settings.mini_batch_size"] == "2"
    assert run.data.params["versions.spark"] == "4.2.0"
    assert run.data.params["plan_digest"] == "d1ce"
    assert run.data.params["inputs.data.uri"] == "in"
    assert "hidden-one" not in str(run.to_dictionary())
    assert "settings.environment_variables.TOKEN" in run.data.params
    assert run.data.metrics["inputs_failed"] == 1
    expected = {
        "sparkscore.job": "first",
        "sparkscore.endpoint": "mood",
        "sparkscore.deployment": "mood-v1",
        "sparkscore.model_name": "weights",
        "sparkscore.model_version": "1",
        "sparkscore.output": "out/predictions.csv",
        "mlflow.source.type": "JOB",
        "team": "a",
        "odd/n_me_": "b",
    }
    assert {name: run.data.tags.get(name) for name in expected} == expected
    assert names == {"summary.json", "failed_inputs.csv", "output.json"}


def test_run__metrics_over_time(workspace: Workspace, tmp_path: Path) -> None:
    record = make_record(tmp_path / "timed")
    run_id = log_job(workspace, record).run_id
    with workspace.models.mlflow.reading() as client:
        points = client.get_metric_history(run_id, "inputs_succeeded")
    assert [(point.value, point.timestamp, point.step) for point in points] == [
        (3, 103_000, 0),
        (8, 108_000, 5),
        (8, 110_000, 7),
    ]


def test_run__of_a_long_job_has_few_points(workspace: Workspace, tmp_path: Path) -> None:
    record = make_record(tmp_path / "long", ended_at=3000.0)
    write_samples(tmp_path / "long", tuple(range(10, 1000)))
    run_id = log_job(workspace, record).run_id
    with workspace.models.mlflow.reading() as client:
        points = client.get_metric_history(run_id, "mini_batches_done")
        counts = client.get_metric_history(run_id, "inputs_succeeded")
    assert len(points) == 200
    assert (points[0].step, points[-1].step) == (0, 996)
    assert counts[-1].value == 8


@pytest.mark.parametrize(("status", "expected"), [("Failed", "FAILED"), ("Canceled", "KILLED")])
def test_run__how_the_job_ended(
    status: str, expected: str, workspace: Workspace, tmp_path: Path
) -> None:
    error = {"condition": "DRIVER_DIED", "message": "it ended"}
    record = make_record(tmp_path / status, error=error, summary=None, status=status)
    run = read_run(workspace, log_job(workspace, record).run_id)
    assert run.info.status == expected
    assert run.data.tags["sparkscore.condition"] == "DRIVER_DIED"
    assert run.data.tags["sparkscore.error"] == "it ended"
    assert "sparkscore.output" not in run.data.tags


def test_run__goes_on_when_the_job_was_resumed(workspace: Workspace, tmp_path: Path) -> None:
    error = {"condition": "ERROR_THRESHOLD_EXCEEDED"}
    record = make_record(tmp_path / "resumed", error=error, status="Failed")
    first = log_job(workspace, record)
    settings = {**DEPLOYMENT, "error_threshold": 5, "settings": {"mini_batch_size": 3}}
    ended: dict[str, Any] = {"status": "Completed", "error": None, "ended_at": 120.0}
    again = log_job(workspace, dataclasses.replace(record, deployment=settings, **ended))
    run = read_run(workspace, again.run_id)
    assert again == first
    assert (run.info.status, run.info.end_time) == ("FINISHED", 120_000)
    assert "sparkscore.condition" not in run.data.tags
    assert run.data.params["settings.mini_batch_size"] == "2"
    assert run.data.params["error_threshold"] == "5"
    assert run.data.tags["sparkscore.resumed.settings.mini_batch_size"] == "3"


def test_run__of_another_workspaces_job_is_another(workspace: Workspace, tmp_path: Path) -> None:
    ours = log_job(workspace, make_record(tmp_path / "same"))
    theirs = log_job(workspace, make_record(tmp_path / "elsewhere" / "same"))
    assert ours.run_id != theirs.run_id


def test_run__page_of_a_server(workspace: Workspace, tmp_path: Path) -> None:
    written = log_job(workspace, make_record(tmp_path / "paged"))
    is_server = workspace.config.tracking_uri.startswith("http")
    assert (written.url is not None) == is_server
    assert set(written.to_properties()) == {"mlflow.run_id"} | (
        {"mlflow.run_url"} if is_server else set()
    )


def test_run__large_account_stays_in_the_job_folder(workspace: Workspace, tmp_path: Path) -> None:
    record = make_record(tmp_path / "large")
    with (tmp_path / "large" / "failed_inputs.csv").open("ab") as file:
        file.truncate(60 * 2**20)
    run_id = log_job(workspace, record).run_id
    with workspace.models.mlflow.reading() as client:
        names = {artifact.path for artifact in client.list_artifacts(run_id)}
    assert names == {"summary.json", "output.json"}
