"""Launchers, drivers and their deaths: real processes."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest

from sparkscore.control.jobs import launcher
from sparkscore.control.jobs.processes import find_identity, is_alive
from sparkscore.control.workspace import Workspace
from sparkscore.errors import InvalidTransitionError
from sparkscore.messages.status import StatusMessage
from sparkscore.state import JobRecord
from tests.control.jobs.conftest import AddJob, kill, let_go, make_record, wait_until

GetRecord = Callable[..., JobRecord]
Behave = Callable[[str], None]


def wait_for_status(get_record: GetRecord, status: str, name: str = "job") -> JobRecord:
    wait_until(lambda: get_record(name).status == status)
    return get_record(name)


def wait_for_driver(workspace: Workspace, get_record: GetRecord, name: str = "job") -> JobRecord:
    """The record once the driver runs and has said so."""
    status_file = workspace.jobs.get_local_folder(name) / "status.json"
    wait_until(lambda: get_record(name).driver is not None and status_file.exists())
    return wait_for_status(get_record, "Running", name)


def test_start__job_completes(workspace: Workspace, add_job: AddJob, get_record: GetRecord) -> None:
    add_job()
    started = workspace.jobs.start("job")
    assert started.status == "Queued"
    job = started.wait(60)
    assert job.status == "Completed"
    record = get_record()
    assert record.summary is not None
    assert record.summary["inputs"] == {"total": 8, "succeeded": 8, "failed": 0}
    assert record.error is None
    assert record.created_at <= (record.started_at or 0) <= (record.ended_at or 0)
    assert {record.launcher is None, record.driver is None} == {False}
    wait_until(lambda: is_alive(record.launcher) is False)
    log = (Path(record.folder) / "logs" / "launcher.log").read_text()
    assert "ended: Completed" in log


def test_start__launcher_has_a_session_of_its_own(
    workspace: Workspace, add_job: AddJob, behave: Behave, get_record: GetRecord
) -> None:
    behave("wait_for_go")
    add_job()
    workspace.jobs.start("job")
    record = wait_for_driver(workspace, get_record)
    assert record.launcher is not None
    assert record.driver is not None
    assert os.getsid(record.launcher.process_id) == record.launcher.process_id
    assert os.getsid(record.driver.process_id) == record.driver.process_id
    assert os.readlink(f"/proc/{record.launcher.process_id}/fd/0") == "/dev/null"
    environment = Path(f"/proc/{record.driver.process_id}/environ").read_bytes()
    assert b"SPARKSCORE_STOP_WITH_PARENT=0" in environment.split(b"\0")


def test_start__outlives_the_process_that_asked(
    workspace: Workspace, add_job: AddJob, behave: Behave, get_record: GetRecord
) -> None:
    behave("wait_for_go")
    add_job()
    code = (
        "import sys\nfrom sparkscore.control.workspace import Workspace\n"
        "Workspace.open(sys.argv[1]).jobs.start('job')\n"
    )
    subprocess.run([sys.executable, "-c", code, str(workspace.folder)], check=True)
    wait_for_driver(workspace, get_record)
    let_go(workspace)
    assert workspace.jobs.get("job").wait(60).status == "Completed"


def test_start__by_many_at_once_launches_once(
    workspace: Workspace, add_job: AddJob, behave: Behave, get_record: GetRecord
) -> None:
    behave("wait_for_go")
    add_job()
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(workspace.jobs.start, ["job"] * 6))
    record = wait_for_driver(workspace, get_record)
    wait_until(lambda: count_processes(record) == 2)
    let_go(workspace)
    assert workspace.jobs.get("job").wait(60).status == "Completed"
    order = Path(record.folder).parent / "order.txt"
    assert order.read_text() == "start job\nend job\n"


def count_processes(record: JobRecord) -> int:
    """Launchers and drivers of the job."""
    workspace = str(Path(record.folder).parent.parent)
    named = {f"{record.folder}/launch.json", workspace}
    lines = [process.info["cmdline"] or [] for process in psutil.process_iter(["cmdline"])]
    return sum(bool(named & set(line)) for line in lines)


def test_start__of_an_ended_job_changes_nothing(
    workspace: Workspace, add_job: AddJob, get_record: GetRecord
) -> None:
    add_job()
    workspace.jobs.start("job").wait(60)
    before = get_record()
    assert workspace.jobs.start("job").status == "Completed"
    assert get_record() == before


def test_start__without_a_folder_leaves_it_to_the_creator(
    workspace: Workspace, get_record: GetRecord
) -> None:
    folder = workspace.jobs.get_local_folder("job")
    with workspace.store.writing() as writer:
        writer.add_job(make_record(folder=str(folder)))
    assert workspace.jobs.start("job").status == "NotStarted"
    assert get_record().launcher is None
    assert not folder.exists()


def test_interrupted_launch__reads_failed_and_starts_again(
    workspace: Workspace, add_job: AddJob, get_record: GetRecord
) -> None:
    dead = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    creator = find_identity(dead.pid)
    dead.communicate()
    add_job(creator=creator, updated_at=0.0)
    job = workspace.jobs.get("job")
    assert job.status == "Failed"
    assert job.record.error is not None
    assert job.record.error["condition"] == "LAUNCH_INTERRUPTED"
    assert get_record().status == "NotStarted"
    assert workspace.jobs.start("job").wait(60).status == "Completed"


def test_failed_driver__keeps_its_error(
    workspace: Workspace, add_job: AddJob, behave: Behave
) -> None:
    behave("fail")
    add_job()
    job = workspace.jobs.start("job").wait(60)
    assert job.status == "Failed"
    assert job.record.error is not None
    assert job.record.error["condition"] == "ERROR_THRESHOLD_EXCEEDED"
    assert job.record.summary is not None


def test_driver_without_summary__end_of_its_log(
    workspace: Workspace, add_job: AddJob, behave: Behave
) -> None:
    behave("die")
    add_job()
    job = workspace.jobs.start("job").wait(60)
    assert job.status == "Failed"
    assert job.record.error is not None
    assert job.record.error["condition"] == "DRIVER_DIED"
    assert job.record.error["log_lines"] == ["loading", "MemoryError: all of it"]
    assert job.record.error["driver_exit_code"] == 1


def test_killed_driver__fails(
    workspace: Workspace, add_job: AddJob, behave: Behave, get_record: GetRecord
) -> None:
    behave("wait_for_go")
    add_job()
    workspace.jobs.start("job")
    kill(wait_for_driver(workspace, get_record).driver)
    record = wait_for_status(get_record, "Failed")
    assert record.error is not None
    assert record.error["condition"] == "DRIVER_DIED"
    assert record.error["driver_exit_code"] == -signal.SIGKILL


def test_job_that_cannot_be_planned__fails_with_the_reason(
    workspace: Workspace, add_job: AddJob
) -> None:
    launch = Path(add_job().folder) / "launch.json"
    launch.write_text(launch.read_text().replace('"protocol": 1', '"protocol": 99'))
    job = workspace.jobs.start("job").wait(60)
    assert job.record.error is not None
    assert job.record.error["condition"] == "UNREADABLE_MESSAGE"


def test_killed_launcher__driver_goes_on_and_readers_tell(
    workspace: Workspace, add_job: AddJob, behave: Behave, get_record: GetRecord
) -> None:
    behave("wait_for_go")
    add_job()
    workspace.jobs.start("job")
    record = wait_for_driver(workspace, get_record)
    kill(record.launcher)
    wait_until(lambda: is_alive(record.launcher) is False)
    job = workspace.jobs.get("job")
    assert job.status == "Running"
    assert job.progress is not None
    assert job.progress.mini_batches_done == 1
    let_go(workspace)
    ended = workspace.jobs.stream("job")
    assert ended.status == "Completed"
    assert get_record().status == "Completed"
    assert get_record().summary is not None


def test_killed_launcher__cancel_still_works(
    workspace: Workspace, add_job: AddJob, behave: Behave, get_record: GetRecord
) -> None:
    behave("wait_for_go")
    add_job()
    workspace.jobs.start("job")
    record = wait_for_driver(workspace, get_record)
    kill(record.launcher)
    wait_until(lambda: is_alive(record.launcher) is False)
    assert workspace.jobs.cancel("job").status == "CancelRequested"
    assert workspace.jobs.stream("job").status == "Canceled"
    assert is_alive(record.driver) is False


def test_killed_launcher_and_driver__fails_for_the_next_reader(
    workspace: Workspace, add_job: AddJob, behave: Behave, get_record: GetRecord
) -> None:
    behave("wait_for_go")
    add_job()
    workspace.jobs.start("job")
    record = wait_for_driver(workspace, get_record)
    kill(record.launcher)
    kill(record.driver)
    wait_until(lambda: not is_alive(record.launcher) and not is_alive(record.driver))
    job = workspace.jobs.get("job")
    assert job.status == "Failed"
    assert job.record.error is not None
    assert job.record.error["condition"] == "DRIVER_DIED"
    assert get_record().status == "Failed"


def test_killed_launcher__before_it_recorded_the_driver(
    workspace: Workspace, add_job: AddJob, behave: Behave, get_record: GetRecord
) -> None:
    behave("wait_for_go")
    add_job()
    workspace.jobs.start("job")
    record = wait_for_driver(workspace, get_record)
    kill(record.launcher)
    wait_until(lambda: is_alive(record.launcher) is False)
    with workspace.store.writing() as writer:
        stored = writer.get_job("job")
        writer.update_job(dataclasses.replace(stored, driver=None, status="Starting"))
    job = workspace.jobs.get("job")
    assert job.status == "Running"
    assert job.record.driver == record.driver
    assert workspace.jobs.cancel("job").wait(60).status == "Canceled"


def test_killed_launcher__while_it_waits(
    workspace: Workspace, add_job: AddJob, behave: Behave, get_record: GetRecord
) -> None:
    behave("wait_for_go")
    add_job("first")
    workspace.jobs.start("first")
    wait_for_driver(workspace, get_record, "first")
    add_job("second")
    workspace.jobs.start("second")
    log = Path(get_record("second").folder) / "logs" / "launcher.log"
    wait_until(lambda: log.exists() and "waits for 1" in log.read_text())
    kill(get_record("second").launcher)
    wait_until(lambda: is_alive(get_record("second").launcher) is False)
    job = workspace.jobs.get("second")
    assert job.record.error is not None
    assert job.record.error["condition"] == "LAUNCHER_DIED"
    let_go(workspace, "first")
    assert workspace.jobs.stream("first").status == "Completed"


def test_cancel__running_job(
    workspace: Workspace, add_job: AddJob, behave: Behave, get_record: GetRecord
) -> None:
    behave("wait_for_go")
    add_job()
    workspace.jobs.start("job")
    wait_for_driver(workspace, get_record)
    job = workspace.jobs.cancel("job")
    assert job.status == "CancelRequested"
    assert workspace.jobs.cancel("job").status in {"CancelRequested", "Canceled"}
    assert job.wait(60).status == "Canceled"
    with pytest.raises(InvalidTransitionError) as caught:
        workspace.jobs.cancel("job")
    assert caught.value.condition == "JOB_ENDED"
    assert caught.value.attributes == {"job": "job", "status": "Canceled"}


def read_order(workspace: Workspace) -> list[str]:
    order = workspace.jobs.get_local_folder("order.txt")
    return order.read_text().split("\n")[:-1] if order.exists() else []


def start_waiting(
    workspace: Workspace, add_job: AddJob, get_record: GetRecord, *names: str
) -> None:
    for name in names:
        add_job(name)
        workspace.jobs.start(name)
    wait_until(lambda: {get_record(name).status for name in names} <= {"Queued", "Running"})


@pytest.mark.slow
def test_queue__one_at_a_time_in_order(
    workspace: Workspace, add_job: AddJob, behave: Behave, get_record: GetRecord
) -> None:
    behave("wait_for_go")
    names = ("a", "b", "c")
    start_waiting(workspace, add_job, get_record, *names)
    wait_for_driver(workspace, get_record, "a")
    assert [workspace.jobs.count_ahead(name) for name in names] == [0, 1, 2]
    for name in names:
        wait_for_driver(workspace, get_record, name)
        let_go(workspace, name)
    assert workspace.jobs.get("c").wait(60).status == "Completed"
    assert read_order(workspace) == [
        f"{what} {name}" for name in names for what in ("start", "end")
    ]


@pytest.mark.slow
def test_queue__two_at_a_time(
    workspace: Workspace, add_job: AddJob, behave: Behave, get_record: GetRecord
) -> None:
    config = workspace.folder / "sparkscore.toml"
    config.write_text(config.read_text().replace("max_running_jobs = 1", "max_running_jobs = 2"))
    behave("wait_for_go")
    start_waiting(workspace, add_job, get_record, "a", "b", "c")
    wait_for_driver(workspace, get_record, "a")
    wait_for_driver(workspace, get_record, "b")
    assert get_record("c").status == "Queued"
    let_go(workspace, "b")
    wait_for_driver(workspace, get_record, "c")
    let_go(workspace, "a")
    let_go(workspace, "c")
    assert workspace.jobs.get("c").wait(60).status == "Completed"
    assert read_order(workspace)[:4] in (
        ["start a", "start b", "end b", "start c"],
        ["start b", "start a", "end b", "start c"],
    )


def test_queue__job_on_a_cluster_waits_for_nobody(
    workspace: Workspace, add_job: AddJob, behave: Behave, get_record: GetRecord
) -> None:
    behave("wait_for_go")
    add_job("a")
    workspace.jobs.start("a")
    wait_for_driver(workspace, get_record, "a")
    add_job("b", compute={"name": "c", "master": "spark://127.0.0.1:1"})
    launch = workspace.jobs.get_local_folder("b") / "launch.json"
    content = json.loads(launch.read_text())
    launch.write_text(json.dumps({**content, "master": "spark://127.0.0.1:1"}))
    job = workspace.jobs.start("b").wait(60)
    assert job.record.error is not None
    assert job.record.error["condition"] == "MASTER_UNREACHABLE"


def test_cancel__queued_job_ends_at_once(
    workspace: Workspace, add_job: AddJob, behave: Behave, get_record: GetRecord
) -> None:
    behave("wait_for_go")
    start_waiting(workspace, add_job, get_record, "a", "b")
    wait_for_driver(workspace, get_record, "a")
    assert workspace.jobs.cancel("b").status == "Canceled"
    wait_until(lambda: is_alive(get_record("b").launcher) is False)
    let_go(workspace, "a")
    assert workspace.jobs.get("a").wait(60).status == "Completed"
    assert read_order(workspace) == ["start a", "end a"]


def test_stream__queue_progress_and_end(
    workspace: Workspace, add_job: AddJob, behave: Behave, get_record: GetRecord
) -> None:
    behave("wait_for_go")
    start_waiting(workspace, add_job, get_record, "a", "b")
    wait_for_driver(workspace, get_record, "a")
    lines: list[str] = []
    seen: list[StatusMessage] = []

    def note_line(line: str) -> None:
        lines.append(line)
        let_go(workspace, "a")
        let_go(workspace, "b")

    job = workspace.jobs.stream("b", on_status=seen.append, on_line=note_line)
    assert job.status == "Completed"
    assert lines == ["queued: 1 job before this one"]
    statuses = list(dict.fromkeys(status.status for status in seen))
    assert statuses[0] == "Queued"
    assert statuses[-1] == "Completed"
    assert seen[-1].mini_batches_done == 4


def test_launcher__is_small() -> None:
    code = (
        "import sys, sparkscore.control.jobs.launcher\n"
        "heavy = {'mlflow', 'pyspark', 'pandas', 'pyarrow', 'numpy', 'pydantic'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
        "print(open('/proc/self/status').read().partition('VmHWM:')[2].split()[0])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy, kibibytes = done.stdout.splitlines()
    assert heavy == "[]"
    assert int(kibibytes) < 80 * 1024


def test_launcher__wrong_arguments(capsys: Any) -> None:
    assert launcher.main(["one"]) == 2
    assert "usage" in capsys.readouterr().out
