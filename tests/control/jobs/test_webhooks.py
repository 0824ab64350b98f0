"""Ends of jobs are told, whoever sees them first: real launchers, and a real receiver."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sparkscore.control.jobs.look import change_job
from sparkscore.control.jobs.processes import is_alive
from sparkscore.control.jobs.refresh import end_with_error
from sparkscore.control.webhooks import outbox
from sparkscore.control.webhooks.outbox import Outbox
from sparkscore.control.webhooks.telling import note_job, tell_ends
from sparkscore.control.workspace import Workspace
from sparkscore.control.workspace_config import CONFIG_FILE
from sparkscore.errors import SubmitError
from sparkscore.state import JobRecord
from tests.control.jobs.conftest import AddJob, kill, wait_until
from tests.servers.receiver import SECRET, Receiver, receiving

GetRecord = Callable[..., JobRecord]


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    monkeypatch.setenv("HOOK_SECRET", SECRET)
    with receiving() as found:
        yield found


@pytest.fixture
def told(workspace: Workspace, receiver: Receiver) -> Iterator[Workspace]:
    """The workspace, whose ends of jobs the receiver is told; senders have ended after the test."""
    opened = configure(workspace, receiver.url)
    yield opened
    opened.close()
    (workspace.folder / CONFIG_FILE).unlink()


def configure(workspace: Workspace, url: str, statuses: str = "") -> Workspace:
    file = workspace.folder / CONFIG_FILE
    text = file.read_text().partition("[webhooks")[0]
    file.write_text(
        f'{text}[webhooks.team]\nurl = "{url}"\nsecret_variable = "HOOK_SECRET"\n{statuses}'
    )
    return Workspace.open(workspace.folder)


def wait_for_messages(workspace: Workspace, receiver: Receiver, count: int) -> list[Any]:
    """Their contents, once so many have come and nothing waits any more."""
    box = Outbox(workspace.folder)
    wait_until(lambda: len(receiver.received) >= count and not box.list_webhooks())
    assert len(receiver.received) == count
    assert box.list_notes() == []
    assert all(one.is_signed_with(SECRET) for one in receiver.received)
    return [one.content for one in receiver.received]


def test_job__that_completes(
    told: Workspace, receiver: Receiver, add_job: AddJob, get_record: GetRecord
) -> None:
    record = add_job(tags={"team": "a"})
    told.jobs.start("job").wait(60)
    (content,) = wait_for_messages(told, receiver, 1)
    shown = told.jobs.get("job").to_dict()
    assert (content["type"], content["timestamp"]) == ("job.completed", shown["end_time"])
    for key in ("name", "id", "status", "endpoint_name", "end_time", "input_counts", "tags"):
        assert content["data"][key] == shown[key]
    assert content["data"]["status"] == "Completed"
    assert content["data"]["error"] is None
    text = wait_until(lambda: (Path(record.folder) / "webhooks.jsonl").read_text())
    assert json.loads(text)["outcome"] == "delivered"
    wait_until(lambda: is_alive(get_record().launcher) is False)
    assert SECRET not in (Path(record.folder) / "logs" / "launcher.log").read_text()


@pytest.mark.parametrize("behaviour", ["die", "fail"])
def test_job__that_fails(
    told: Workspace,
    receiver: Receiver,
    add_job: AddJob,
    behave: Callable[[str], None],
    behaviour: str,
) -> None:
    behave(behaviour)
    add_job()
    job = told.jobs.start("job").wait(60)
    (content,) = wait_for_messages(told, receiver, 1)
    assert content["type"] == "job.failed"
    error = job.to_dict()["error"]
    assert content["data"]["error"] == {key: error[key] for key in ("condition", "message")}


def test_job__that_is_canceled_before_and_after_its_start(
    told: Workspace, receiver: Receiver, add_job: AddJob, behave: Callable[[str], None]
) -> None:
    behave("wait")
    for name in ("first", "second", "third"):
        add_job(name)
    told.jobs.start("first")
    wait_until(lambda: told.jobs.get("first").status == "Running")
    told.jobs.start("second")
    assert told.jobs.cancel("second").status == "Canceled"
    assert told.jobs.cancel("third").status == "Canceled"
    told.jobs.cancel("first").wait(60)
    contents = wait_for_messages(told, receiver, 3)
    assert {content["type"] for content in contents} == {"job.canceled"}
    assert {content["data"]["name"] for content in contents} == {"first", "second", "third"}


def test_job__whose_processes_are_killed_is_told_by_who_looks(
    told: Workspace,
    receiver: Receiver,
    add_job: AddJob,
    get_record: GetRecord,
    behave: Callable[[str], None],
) -> None:
    behave("wait")
    add_job()
    told.jobs.start("job")
    record = wait_until(lambda: (found := get_record()).driver and found)
    kill(record.launcher)
    kill(record.driver)
    wait_until(lambda: told.jobs.get("job").is_ended)
    (content,) = wait_for_messages(told, receiver, 1)
    assert content["data"]["error"]["condition"] == "DRIVER_DIED"


def test_job__that_is_resumed_is_told_twice(
    told: Workspace, receiver: Receiver, add_job: AddJob, behave: Callable[[str], None]
) -> None:
    behave("wait")
    add_job()
    told.jobs.start("job")
    wait_until(lambda: told.jobs.get("job").status == "Running")
    told.jobs.cancel("job").wait(60)
    wait_for_messages(told, receiver, 1)
    behave("complete")
    told.jobs.resume("job").wait(60)
    contents = wait_for_messages(told, receiver, 2)
    assert [content["type"] for content in contents] == ["job.canceled", "job.completed"]
    assert receiver.received[0].id != receiver.received[1].id


def test_secret__is_not_for_the_driver(
    told: Workspace, receiver: Receiver, add_job: AddJob, behave: Callable[[str], None]
) -> None:
    behave("show_environment")
    record = add_job()
    told.jobs.start("job").wait(60)
    wait_for_messages(told, receiver, 1)
    environment = json.loads((Path(record.folder) / "environment.json").read_text())
    assert environment["FAKE_DRIVER"] == "show_environment"
    assert SECRET not in environment.values()


def test_job__started_again_after_its_end_is_told_once(
    told: Workspace, receiver: Receiver, add_job: AddJob
) -> None:
    add_job()
    told.jobs.start("job").wait(60)
    wait_for_messages(told, receiver, 1)
    told.jobs.start("job")
    tell_ends(told)
    wait_for_messages(told, receiver, 1)


def test_statuses__others_are_not_told(
    told: Workspace, receiver: Receiver, add_job: AddJob, get_record: GetRecord
) -> None:
    chosen = configure(told, receiver.url, 'statuses = ["Failed"]\n')
    add_job()
    chosen.jobs.start("job").wait(60)
    wait_until(lambda: is_alive(get_record().launcher) is False)
    assert Outbox(told.folder).list_notes() == []
    error = SubmitError("x", condition="NO_PLACE")
    add_job("other")
    note_job(chosen, "other")
    change_job(chosen.store, "other", lambda job: end_with_error(job, error, at=1.0))
    tell_ends(chosen)
    (content,) = wait_for_messages(chosen, receiver, 1)
    assert content["data"]["name"] == "other"
    chosen.close()


@pytest.mark.slow
def test_receiver__that_is_away_delays_nothing(
    told: Workspace, receiver: Receiver, add_job: AddJob, get_record: GetRecord
) -> None:
    away = configure(told, "http://127.0.0.1:9/")
    record = add_job()
    assert away.jobs.start("job").wait(60).status == "Completed"
    wait_until(lambda: is_alive(get_record().launcher) is False)
    file = Path(record.folder) / "webhooks.jsonl"
    text = wait_until(lambda: file.exists() and file.read_text())
    assert json.loads(text.splitlines()[0])["outcome"] == "failed"
    # What sparkscore.toml says when it is tried again counts.
    configure(told, receiver.url).close()
    (content,) = wait_for_messages(told, receiver, 1)
    assert content["data"]["status"] == "Completed"
    away.close()


def test_notes__that_cannot_be_written_fail_nothing(
    workspace: Workspace, receiver: Receiver, add_job: AddJob
) -> None:
    told: list[str] = []
    configure(workspace, receiver.url).close()
    opened = Workspace.open(workspace.folder, on_message=told.append)
    (workspace.folder / "webhooks").write_text("in the way")
    add_job()
    assert opened.jobs.start("job").wait(60).status == "Completed"
    assert told
    assert all("webhooks are not sent" in line for line in told)
    opened.close()


def test_notes__that_a_stopped_process_has_hold_nobody_up(
    told: Workspace, add_job: AddJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "NOTES_SECONDS", 0.2)
    lines: list[str] = []
    told.on_message = lines.append
    add_job()
    with Outbox(told.folder).taking_notes():
        assert told.jobs.cancel("job").status == "Canceled"
    assert len(lines) == 1
    assert Outbox(told.folder).list_notes() == ["job"]


def test_notes__of_jobs_that_are_not_there_go(told: Workspace, receiver: Receiver) -> None:
    box = Outbox(told.folder)
    box.note("never-made")
    tell_ends(told)
    assert box.list_notes() == []
    assert receiver.received == []


def test_nothing__is_left_where_nobody_is_told(workspace: Workspace, add_job: AddJob) -> None:
    add_job()
    workspace.jobs.start("job").wait(60)
    assert not (workspace.folder / "webhooks").exists()
