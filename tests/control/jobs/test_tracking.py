"""The process that writes ended jobs to MLflow: real processes, and servers that do not answer."""

from __future__ import annotations

import dataclasses
import fcntl
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest

from sparkscore.control.jobs import tracking
from sparkscore.control.jobs.mlflow_run import RUN_ID
from sparkscore.control.jobs.processes import get_own_identity, is_alive
from sparkscore.control.jobs.tracking import note_job, write_runs
from sparkscore.control.workspace import Workspace
from sparkscore.control.workspace_config import CONFIG_FILE
from sparkscore.state import JobRecord, ProcessIdentity
from tests.control.jobs.conftest import AddJob, make_record, wait_until

GetRecord = Callable[..., JobRecord]


@pytest.fixture(scope="module")
def mlflow_uri(tmp_path_factory: pytest.TempPathFactory) -> str:
    """An embedded MLflow store that is made already, which takes seconds."""
    made = Workspace.open(tmp_path_factory.mktemp("mlflow") / "ws")
    with made.models.mlflow.reading():
        return made.config.tracking_uri


@pytest.fixture
def silent_server() -> Iterator[str]:
    """The address of a server that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def point_at(workspace: Workspace, uri: str) -> Workspace:
    """The workspace with its runs in ``uri``, and jobs that become runs."""
    (workspace.folder / CONFIG_FILE).write_text(f'[mlflow]\ntracking_uri = "{uri}"\n')
    return Workspace.open(workspace.folder)


def add_ended(workspace: Workspace, name: str, **changes: Any) -> JobRecord:
    """A noted job that has ended."""
    folder = workspace.folder / "jobs" / name
    (folder / "logs").mkdir(parents=True)
    record = make_record(name, folder=str(folder), status="Completed", started_at=1.0, ended_at=2.0)
    note_job(workspace.folder, name)
    with workspace.store.writing() as writer:
        return writer.add_job(dataclasses.replace(record, **changes))


def list_notes(workspace: Workspace) -> list[str]:
    folder = workspace.folder / "cache" / "mlflow-runs"
    return sorted(file.name for file in folder.glob("[!.]*"))


def has_lowest_priority(process: psutil.Process) -> bool:
    return bool(process.nice() == 19)


def read_log(record: JobRecord) -> str:
    return (Path(record.folder) / "logs" / "launcher.log").read_text()


def test_job__becomes_a_run_after_its_end(
    workspace: Workspace, add_job: AddJob, get_record: GetRecord, mlflow_uri: str
) -> None:
    point_at(workspace, mlflow_uri).close()
    add_job()
    assert workspace.jobs.start("job").wait(60).status == "Completed"
    wait_until(lambda: RUN_ID in get_record().properties, seconds=120)
    wait_until(lambda: not list_notes(workspace))
    record = get_record()
    assert workspace.jobs.get("job").to_dict()["properties"][RUN_ID] == record.properties[RUN_ID]
    assert f"MLflow run {record.properties[RUN_ID]}" in read_log(record)
    assert is_alive(record.launcher) is False


def test_job__becomes_no_run_where_that_is_off(
    workspace: Workspace, add_job: AddJob, get_record: GetRecord
) -> None:
    assert not workspace.config.logs_jobs
    add_job()
    workspace.jobs.start("job").wait(60)
    wait_until(lambda: is_alive(get_record().launcher) is False)
    assert not (workspace.folder / "cache" / "mlflow-runs").exists()
    assert "MLflow" not in read_log(get_record())


def test_server__that_is_away_gets_the_run_later(
    workspace: Workspace, add_job: AddJob, get_record: GetRecord, mlflow_uri: str
) -> None:
    point_at(workspace, "http://127.0.0.1:9").close()
    add_job()
    assert workspace.jobs.start("job").wait(60).status == "Completed"
    wait_until(lambda: "MLFLOW_UNREACHABLE" in read_log(get_record()))
    assert "MLFLOW_UNREACHABLE" not in str(get_record().error)
    assert list_notes(workspace) == ["job"]
    back = point_at(workspace, mlflow_uri)
    assert wait_until(lambda: write_runs(back) and not list_notes(back))
    assert RUN_ID in get_record().properties
    back.close()


@pytest.mark.slow
def test_server__that_is_silent_is_given_up(workspace: Workspace, silent_server: str) -> None:
    record = add_ended(point_at(workspace, silent_server), "job")
    code = (
        "import sys; from sparkscore.control.jobs import tracking\n"
        "tracking.LIMIT_SECONDS = float(sys.argv[1]); sys.exit(tracking.main(sys.argv[2:]))"
    )
    for attempt in range(1, tracking.MOST_ATTEMPTS + 1):
        command = [sys.executable, "-c", code, "2", str(workspace.folder)]
        with subprocess.Popen(command) as process:
            wait_until(partial(has_lowest_priority, psutil.Process(process.pid)))
            assert process.wait(60) == 1
        assert read_log(record).count("Timeout (0:00:02)") == attempt
    assert not write_runs(workspace)
    assert f"is missing: it was tried {tracking.MOST_ATTEMPTS} times" in read_log(record)
    assert list_notes(workspace) == []


def test_run__that_the_store_refuses_is_tried_a_few_times(
    workspace: Workspace, tmp_path: Path
) -> None:
    (tmp_path / "no.db").write_text("this is no database " * 500)
    broken = point_at(workspace, f"sqlite:///{tmp_path}/no.db")
    record = add_ended(broken, "job")
    for _ in range(tracking.MOST_ATTEMPTS):
        assert list_notes(broken) == ["job"]
        assert not write_runs(broken)
    assert list_notes(broken) == []
    assert read_log(record).count("is written when a later job ends: MLFLOW_FAILED") == 2
    assert read_log(record).count("is missing: MLFLOW_FAILED") == 1
    broken.close()


def test_process__leaves_its_job_to_one_that_works(workspace: Workspace, mlflow_uri: str) -> None:
    ours = point_at(workspace, mlflow_uri)
    add_ended(ours, "a")
    lock = ours.folder / "cache" / "mlflow-runs" / ".lock"
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    assert write_runs(ours)
    assert list_notes(ours) == ["a"]
    os.close(descriptor)
    add_ended(ours, "b")
    assert write_runs(ours)
    assert list_notes(ours) == []
    ours.close()


@pytest.mark.slow
def test_processes__at_once_write_each_run_once(workspace: Workspace, mlflow_uri: str) -> None:
    ours = point_at(workspace, mlflow_uri)
    names = [f"job-{number}" for number in range(4)]
    processes = []
    for name in names:
        add_ended(ours, name)
        command = [sys.executable, "-m", tracking.MODULE, str(ours.folder)]
        processes.append(subprocess.Popen(command))
    assert [process.wait(120) for process in processes] == [0] * 4
    assert list_notes(ours) == []
    with ours.models.mlflow.reading() as client:
        experiment = client.get_experiment_by_name("digits")
        assert experiment is not None
        runs = client.search_runs([experiment.experiment_id])
    folders = [run.data.tags["sparkscore.job_folder"] for run in runs]
    assert [folders.count(str(ours.folder / "jobs" / name)) for name in names] == [1] * 4
    ours.close()


def test_job__whose_launcher_died_becomes_a_run(workspace: Workspace, mlflow_uri: str) -> None:
    ours = point_at(workspace, mlflow_uri)
    dead = ProcessIdentity(
        host=get_own_identity().host, process_id=2**22 + 1, start_token="other-boot::1"
    )
    add_ended(ours, "job", status="Running", ended_at=None, launcher=dead, driver=dead)
    assert write_runs(ours)
    with ours.store.reading() as reader:
        record = reader.get_job("job")
    assert record.status == "Failed"
    with ours.models.mlflow.reading() as client:
        run = client.get_run(record.properties[RUN_ID])
    assert (run.info.status, run.data.tags["sparkscore.condition"]) == ("FAILED", "DRIVER_DIED")
    ours.close()


def test_notes__of_jobs_that_run_stay_and_of_others_go(workspace: Workspace) -> None:
    alive = get_own_identity()
    add_ended(workspace, "runs", status="Running", ended_at=None, launcher=alive)
    add_ended(workspace, "never-started", status="Canceled", started_at=None)
    note_job(workspace.folder, "unknown")
    assert write_runs(workspace)
    assert list_notes(workspace) == ["runs"]


def test_process__finds_no_workspace_and_makes_none(tmp_path: Path) -> None:
    command = [sys.executable, "-m", tracking.MODULE, str(tmp_path / "gone")]
    assert subprocess.run(command).returncode == 0
    assert not (tmp_path / "gone").exists()


def test_notes__that_cannot_be_written_fail_no_job(
    workspace: Workspace, add_job: AddJob, get_record: GetRecord, mlflow_uri: str
) -> None:
    point_at(workspace, mlflow_uri).close()
    shutil.rmtree(workspace.folder / "cache", ignore_errors=True)
    (workspace.folder / "cache").write_text("a file is in the way")
    add_job()
    assert workspace.jobs.start("job").wait(60).status == "Completed"
    wait_until(lambda: is_alive(get_record().launcher) is False)
    assert "the MLflow run is missing" in read_log(get_record())


def test_process__killed_while_it_writes_leaves_the_note(
    workspace: Workspace, silent_server: str, mlflow_uri: str
) -> None:
    record = add_ended(point_at(workspace, silent_server), "job")
    process = subprocess.Popen([sys.executable, "-m", tracking.MODULE, str(workspace.folder)])
    log = Path(record.folder) / "logs" / "launcher.log"
    wait_until(lambda: log.exists() and "writes the MLflow run" in log.read_text())
    process.send_signal(signal.SIGKILL)
    process.wait(20)
    assert list_notes(workspace) == ["job"]
    back = point_at(workspace, mlflow_uri)
    assert write_runs(back)
    assert list_notes(back) == []
    back.close()
