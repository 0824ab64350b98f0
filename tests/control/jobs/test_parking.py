"""Jobs that wait without a launcher: whoever has one gives it to the next, whatever dies."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from sparkscore.control.jobs.parking import find_next_parked, park_job
from sparkscore.control.jobs.processes import get_own_identity, is_alive
from sparkscore.control.jobs.queue import count_ahead, is_parked
from sparkscore.control.jobs.start import start_launcher
from sparkscore.control.workspace import Workspace
from sparkscore.state import JobRecord, ProcessIdentity
from tests.control.jobs.conftest import AddJob, kill, let_go, make_record, wait_until

GetRecord = Callable[..., JobRecord]
Behave = Callable[[str], None]
DEAD = ProcessIdentity(host=get_own_identity().host, process_id=2**22 + 1, start_token="x:y:1")


@pytest.fixture(autouse=True)
def parking(workspace: Workspace) -> None:
    """As in the server's workspace."""
    workspace.parks_beyond = 1


def add_queued(workspace: Workspace, name: str, launcher: ProcessIdentity | None) -> JobRecord:
    record = make_record(name, status="Queued", launcher=launcher, folder=str(workspace.folder))
    with workspace.store.writing() as writer:
        return writer.add_job(record)


def start(workspace: Workspace, add_job: AddJob, *names: str) -> None:
    for name in names:
        add_job(name)
        workspace.jobs.start(name)


def has_launcher(get_record: GetRecord, name: str) -> bool:
    return get_record(name).launcher is not None


def wait_for_status(get_record: GetRecord, name: str, status: str) -> None:
    wait_until(lambda: get_record(name).status == status, seconds=60)


def list_parked(get_record: GetRecord, names: str) -> str:
    return "".join(name for name in names if is_parked(get_record(name)))


def test_park__behind_enough_launchers_only(workspace: Workspace, get_record: GetRecord) -> None:
    own = get_own_identity()
    with workspace.store.writing() as writer:
        writer.add_job(make_record("new"))
    assert park_job(workspace.store, "new", max_running=1) is None
    add_queued(workspace, "later", own)
    assert park_job(workspace.store, "new", max_running=1) is None
    with workspace.store.writing() as writer:
        writer.delete_job("new")
        for name in ("other-creator", "dead"):
            creator = DEAD if name == "other-creator" else own
            launcher = DEAD if name == "dead" else own
            record = make_record(name, status="Queued", launcher=launcher, creator=creator)
            writer.add_job(record)
        writer.add_job(make_record("new"))
    assert park_job(workspace.store, "new", max_running=1) is None
    with workspace.store.writing() as writer:
        writer.delete_job("new")
    add_queued(workspace, "second", own)
    with workspace.store.writing() as writer:
        writer.add_job(make_record("new"))
    assert park_job(workspace.store, "new", max_running=2) is None
    parked = park_job(workspace.store, "new", max_running=1)
    assert parked is not None
    assert parked == park_job(workspace.store, "new", max_running=1)
    assert is_parked(get_record("new"))
    assert workspace.jobs.get("new").status == "Queued"


def test_park__a_job_on_a_cluster_never_waits(workspace: Workspace) -> None:
    for name in ("a", "b", "c"):
        add_queued(workspace, name, get_own_identity())
    with workspace.store.writing() as writer:
        writer.add_job(make_record("far", compute={"name": "c", "master": "spark://h:1"}))
    assert park_job(workspace.store, "far", max_running=1) is None


def test_next__without_its_folder_has_failed(workspace: Workspace, get_record: GetRecord) -> None:
    add_queued(workspace, "gone", None)
    assert find_next_parked(workspace.store, get_own_identity(), max_running=1) == []
    error = get_record("gone").error
    assert error is not None
    assert error["condition"] == "JOB_FOLDER_NOT_FOUND"


def test_next__while_the_disk_is_full(workspace: Workspace, get_record: GetRecord) -> None:
    add_queued(workspace, "dead", DEAD)
    with sqlite3.connect(workspace.folder / "store.db") as connection:
        connection.execute(
            "CREATE TRIGGER full BEFORE UPDATE ON sparkscore_jobs "
            "BEGIN SELECT RAISE(ABORT, 'database or disk is full'); END"
        )
    connection.close()
    assert find_next_parked(workspace.store, get_own_identity(), max_running=1) == []
    assert get_record("dead").status == "Queued"


def test_count_ahead__parked_jobs_count_while_somebody_cares(workspace: Workspace) -> None:
    running = make_record("running", status="Running", launcher=get_own_identity(), sequence=1)
    parked = make_record("parked", status="Queued", sequence=2, updated_at=0.0)
    asking = make_record("asking", status="Queued", launcher=get_own_identity(), sequence=3)

    def count(*others: JobRecord) -> int:
        return count_ahead(asking, [*others, asking], max_running=1, now=1e9, is_alive=is_alive)

    assert count(running, parked) == 2
    orphan = make_record("orphan", status="Queued", sequence=2, updated_at=0.0, creator=DEAD)
    assert count(orphan) == 0


@pytest.mark.slow
def test_parked__run_in_order_with_few_launchers(
    workspace: Workspace, add_job: AddJob, behave: Behave, get_record: GetRecord
) -> None:
    behave("wait_for_go")
    names = "abcdef"
    start(workspace, add_job, *names)
    wait_until(lambda: get_record("a").status == "Running")
    wait_until(lambda: list_parked(get_record, names) == "def")
    assert [workspace.jobs.count_ahead(name) for name in names] == [0, 1, 2, 3, 4, 5]
    assert {workspace.jobs.get(name).status for name in names[1:]} == {"Queued"}
    assert workspace.jobs.cancel("e").status == "Canceled"
    for name in "abcdf":
        wait_for_status(get_record, name, "Running")
        alive = [other for other in names if is_alive(get_record(other).launcher)]
        assert len(alive) <= 4, alive  # one ends, one runs, two wait
        let_go(workspace, name)
    assert workspace.jobs.get("f").wait(60).status == "Completed"
    order = workspace.jobs.get_local_folder("order.txt").read_text().split("\n")[:-1]
    assert order == [f"{what} {name}" for name in "abcdf" for what in ("start", "end")]


@pytest.mark.slow
def test_killed_launchers__the_next_one_goes_on_with_the_queue(
    workspace: Workspace, add_job: AddJob, behave: Behave, get_record: GetRecord
) -> None:
    behave("wait_for_go")
    start(workspace, add_job, *"abcd")
    wait_until(lambda: get_record("a").status == "Running")
    for name in "bc":
        wait_until(partial(has_launcher, get_record, name))
        kill(get_record(name).launcher)
    let_go(workspace, "a")
    wait_until(lambda: get_record("d").status == "Running", seconds=60)
    let_go(workspace, "d")
    assert workspace.jobs.get("d").wait(60).status == "Completed"


def test_parked__without_anybody_reads_failed_and_starts_again(
    workspace: Workspace, add_job: AddJob, get_record: GetRecord
) -> None:
    add_job("job", status="Queued", creator=DEAD, updated_at=0.0)
    with workspace.store.writing() as writer:
        keeper = make_record("keeper", status="Running", creator=DEAD, launcher=get_own_identity())
        writer.add_job(keeper)
    assert workspace.jobs.get("job").status == "Queued"
    with workspace.store.writing() as writer:
        writer.delete_job("keeper")
    job = workspace.jobs.get("job")
    assert job.record.error is not None
    assert job.record.error["condition"] == "LAUNCH_INTERRUPTED"
    assert get_record("job").status == "Queued"
    start_launcher(workspace.store, "job", workspace_folder=workspace.folder)
    assert workspace.jobs.get("job").wait(60).status == "Completed"


def test_parked__all_launchers_were_killed(
    workspace: Workspace, add_job: AddJob, get_record: GetRecord
) -> None:
    for name in "ab":
        add_job(name, status="Queued", updated_at=0.0)
    assert workspace.jobs.get("b").wait(60).status == "Completed"
    assert get_record("a").status == "Completed"


def test_parked__its_folder_is_removed_while_it_waits(
    workspace: Workspace, add_job: AddJob, behave: Behave, get_record: GetRecord
) -> None:
    behave("wait_for_go")
    start(workspace, add_job, *"abcd")
    wait_until(lambda: get_record("a").status == "Running")
    assert is_parked(get_record("d"))
    shutil.rmtree(Path(get_record("d").folder))
    for name in "abc":
        wait_for_status(get_record, name, "Running")
        let_go(workspace, name)
    wait_until(lambda: get_record("d").status == "Failed", seconds=60)


@pytest.mark.slow
def test_parked__that_cannot_be_started_fails_alone(
    workspace: Workspace, add_job: AddJob, behave: Behave, get_record: GetRecord
) -> None:
    behave("wait_for_go")
    start(workspace, add_job, *"abcde")
    wait_until(lambda: get_record("a").status == "Running")
    wait_until(lambda: list_parked(get_record, "abcde") == "de")
    logs = Path(get_record("d").folder) / "logs"
    shutil.rmtree(logs, ignore_errors=True)
    logs.write_text("in the way of the launcher's log")
    for name in "abce":
        wait_for_status(get_record, name, "Running")
        let_go(workspace, name)
        assert workspace.jobs.get(name).wait(60).status == "Completed"
    assert get_record("d").status == "Failed"
