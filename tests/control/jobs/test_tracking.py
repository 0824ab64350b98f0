from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sparkscore.control.jobs.tracking import SAMPLES_FILE, log_job, write_sample
from sparkscore.control.workspace import Workspace
from sparkscore.errors import StateError
from sparkscore.messages.status import StatusMessage
from sparkscore.state import JobRecord

SUMMARY = {
    "status": "Completed",
    "inputs": {"total": 9, "succeeded": 8, "failed": 1},
    "rows": 8,
    "seconds": {"total": 3.5},
    "versions": {"spark": "4.2.0"},
}


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    opened = Workspace.open(tmp_path_factory.mktemp("tracking") / "ws")
    yield opened
    opened.close()


def make_record(workspace: Workspace, name: str, **changes: Any) -> JobRecord:
    """A job that has ended, with a folder that holds what a run takes over."""
    folder = workspace.folder / "jobs" / name
    folder.mkdir(parents=True)
    (folder / "summary.json").write_text(json.dumps(SUMMARY))
    for done in (3, 8):
        status = StatusMessage(name, "Running", done, 100.0 + done, 100.0, inputs_succeeded=done)
        write_sample(folder, status)
    with (folder / SAMPLES_FILE).open("a") as samples:
        samples.write('{"at": 1')
    return JobRecord(
        name=name,
        status="Completed",
        endpoint_name="mood",
        deployment_name="mood-v1",
        deployment={"model": "azureml:weights:1", "settings": {"mini_batch_size": 2}},
        folder=str(folder),
        request_digest="abc",
        created_at=99.0,
        updated_at=110.0,
        started_at=100.0,
        ended_at=110.0,
        display_name=name,
        experiment_name="mood",
        summary=SUMMARY,
        outputs={"score": {"path": "out/predictions.csv"}},
        **changes,
    )


def test_log__settings_progress_account_and_links(workspace: Workspace) -> None:
    record = make_record(workspace, "first", tags={"team": "a"})
    run_id = log_job(workspace, record)
    with workspace.models.mlflow.reading() as client:
        run = client.get_run(run_id)
        points = client.get_metric_history(run_id, "inputs_succeeded")
        names = {artifact.path for artifact in client.list_artifacts(run_id)}
        experiment = client.get_experiment_by_name("mood")
    assert experiment is not None
    assert run.info.experiment_id == experiment.experiment_id
    assert run.info.status == "FINISHED"
    assert (run.info.start_time, run.info.end_time) == (100_000, 110_000)
    assert run.data.params["settings.mini_batch_size"] == "2"
    assert run.data.params["versions.spark"] == "4.2.0"
    assert [(point.value, point.timestamp) for point in points] == [
        (3, 103_000),
        (8, 108_000),
        (8, 110_000),
    ]
    assert run.data.metrics["inputs_failed"] == 1
    assert run.data.tags["sparkscore.model"] == "azureml:weights:1"
    assert (run.data.tags["team"], run.data.tags["sparkscore.job"]) == ("a", "first")
    assert names == {"summary.json", "outputs.json"}
    assert log_job(workspace, record) == run_id


@pytest.mark.parametrize(("status", "expected"), [("Failed", "FAILED"), ("Canceled", "KILLED")])
def test_log__how_the_job_ended(status: str, expected: str, workspace: Workspace) -> None:
    error = {"condition": "ERROR_THRESHOLD_EXCEEDED"}
    record = make_record(workspace, f"job-{status}", error=error)
    run_id = log_job(workspace, dataclasses.replace(record, status=status))
    with workspace.models.mlflow.reading() as client:
        run = client.get_run(run_id)
    assert run.info.status == expected
    assert run.data.tags["sparkscore.condition"] == "ERROR_THRESHOLD_EXCEEDED"


def test_log__server_that_is_away(workspace: Workspace, tmp_path: Path) -> None:
    (tmp_path / "ws").mkdir()
    (tmp_path / "ws" / "sparkscore.toml").write_text(
        '[mlflow]\ntracking_uri = "http://127.0.0.1:9"\n'
    )
    away = Workspace.open(tmp_path / "ws")
    record = make_record(workspace, "away")
    with away.store.writing() as writer:
        writer.add_job(record)
    with pytest.raises(StateError) as caught:
        log_job(away, record)
    assert caught.value.condition == "MLFLOW_UNREACHABLE"
    began = time.monotonic()
    module = "sparkscore.control.jobs.tracking"
    done = subprocess.run(
        [sys.executable, "-m", module, str(away.folder), "away"], capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert "MLFLOW_UNREACHABLE" in done.stderr
    assert time.monotonic() - began < 60
    away.close()
