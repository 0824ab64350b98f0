"""How drivers end whose platform starts another one: what they say of the job, and what they leave.

The session is what these jobs lack; the rest is real, with a home on a disk.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sparkscore.driver import job_run, mirror, remote_start
from sparkscore.driver.job_run import JobRun
from sparkscore.driver.main import main
from sparkscore.driver.remote_folder import RemoteFolder
from sparkscore.driver.remote_start import RemoteJob, load_launch
from sparkscore.errors import StateError
from sparkscore.messages.codec import to_json
from sparkscore.messages.launch import CancelMessage, LaunchMessage
from sparkscore.messages.status import TERMINAL, InputCounts, SummaryMessage
from sparkscore.plan.launch_overrides import read_arguments
from tests.spark.conftest import write_launch
from tests.spark.drivers import write_home


@pytest.fixture
def launch(tmp_path: Path) -> LaunchMessage:
    return write_launch(tmp_path, "def run(batch):\n    return batch\n", 4)


class Home:
    """A job's home, and its drivers without Spark."""

    def __init__(self, launch: LaunchMessage, **changes: Any) -> None:
        self.message = write_home(launch, **changes)
        self.folder = self.message.parent

    def load(self, *words: str) -> RemoteJob:
        _, job = load_launch(read_arguments([str(self.message), *words]))
        assert job is not None
        return job

    def drive(self, start: Callable[[JobRun], Any], *words: str) -> tuple[JobRun, SummaryMessage]:
        """One driver; ``start`` is what happens while it starts Spark."""
        remote = self.load(*words)
        job = JobRun(remote.launch, home=remote)
        try:
            return job, job.run(lambda: start(job))
        finally:
            remote.remove()

    def cancel(self, run: int = 0) -> None:
        (self.folder / "cancel").write_text(to_json(CancelMessage(run)))

    def has_summary(self) -> bool:
        return (self.folder / "summary.json").exists()

    def is_left(self) -> bool:
        """No word of an end, and the next driver may come in at once."""
        status = self.folder / "status.json"
        is_told = status.exists() and json.loads(status.read_text())["status"] in TERMINAL
        is_released = (self.folder / "lease" / "000001.released").exists()
        return is_released and not is_told and not self.has_summary()


def stop(job: JobRun) -> None:
    """As SIGTERM does in the main thread."""
    job.cancellation.ask()


def interrupt(job: JobRun) -> None:
    raise KeyboardInterrupt


def lose_session(job: JobRun) -> None:
    raise RuntimeError("the JVM has ended")


def test_stopped_by_its_platform__the_job_goes_on(launch: LaunchMessage) -> None:
    home = Home(launch)
    job, summary = home.drive(stop)
    assert summary.error is not None
    assert (summary.error["condition"], summary.error["exit_code"]) == ("INTERRUPTED", 6)
    assert not job.is_told
    assert home.is_left()
    assert (home.folder / "events.jsonl").exists()


def test_stopped_by_cancel__ends_canceled(launch: LaunchMessage) -> None:
    home = Home(launch)

    def cancel(job: JobRun) -> None:
        home.cancel()
        stop(job)

    job, summary = home.drive(cancel)
    assert summary.status == "Canceled"
    assert job.is_told
    assert home.has_summary()


def test_stopped__a_cancel_of_an_earlier_run_is_none(launch: LaunchMessage) -> None:
    home = Home(launch, run=1)
    home.cancel(run=0)
    home.drive(stop)
    assert home.is_left()


def test_stopped__store_that_does_not_answer_asks_for_nothing(
    launch: LaunchMessage, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = Home(launch)
    job = home.load()
    assert job.is_left_to_next()
    home.cancel()
    assert not job.is_left_to_next()

    def fail(folder: RemoteFolder, run: int) -> bool:
        raise OSError("no route")

    monkeypatch.setattr(RemoteFolder, "is_cancel_asked", fail)
    assert job.is_left_to_next()
    job.remove()


def test_stopped__on_this_machine_is_canceled_as_ever(launch: LaunchMessage) -> None:
    job = JobRun(launch)

    def start() -> Any:
        stop(job)

    assert job.run(start).status == "Canceled"
    assert (Path(launch.job_folder) / "summary.json").exists()


def test_interrupted__the_job_goes_on(launch: LaunchMessage) -> None:
    home = Home(launch)
    with pytest.raises(KeyboardInterrupt):
        home.drive(interrupt)
    assert home.is_left()


def test_session_gone__the_job_goes_on(
    launch: LaunchMessage, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = Home(launch)
    _, summary = home.drive(lose_session)
    assert summary.status == "Failed"
    assert home.has_summary()
    (home.folder / "summary.json").unlink()
    monkeypatch.setattr(job_run, "is_session_gone", lambda: True)
    _, summary = home.drive(lose_session)
    assert summary.error is not None
    assert summary.error["condition"] == "INTERRUPTED"
    assert not home.has_summary()
    home.cancel()
    _, summary = home.drive(lose_session)
    assert summary.status == "Canceled"
    assert home.has_summary()


def test_summary_that_does_not_arrive__is_a_failure_of_the_driver(
    launch: LaunchMessage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mirror, "_RETRY_SECONDS", (0.01,))
    home = Home(launch)

    def block(job: JobRun) -> None:
        (home.folder / "summary.json").mkdir()
        raise RuntimeError("no Spark today")

    job, summary = home.drive(block)
    assert summary.error is not None
    assert summary.error["condition"] == "STAGING_NOT_WRITABLE"
    assert summary.error["exit_code"] != 0
    assert not job.is_told
    (home.folder / "summary.json").rmdir()
    _, summary = home.drive(lose_session)
    assert summary.status == "Failed"
    assert home.has_summary()


@pytest.mark.parametrize(
    ("status", "run", "counts"),
    [("Failed", 0, False), ("Canceled", 0, False), ("Completed", 0, True), ("Failed", 1, True)],
)
def test_late_summary__counts_if_the_job_has_completed(
    launch: LaunchMessage, status: str, run: int, counts: bool
) -> None:
    home = Home(launch, run=1)
    late = SummaryMessage("job", status, InputCounts(4, 4, 0), run=run)
    (home.folder / "summary.json").write_text(to_json(late))
    job = home.load()
    job.take_lease(check=lambda: None, on_cancel=lambda: None).release()
    assert job.find_ended() == (late if counts else None)
    assert home.has_summary()
    job.remove()


def test_driver__of_a_message_without_a_number_has_that_of_its_command(
    launch: LaunchMessage,
) -> None:
    home = Home(launch)
    job = home.load("--run-number", "2")
    assert job.launch.run == 2
    job.remove()


def test_driver_of_an_earlier_run__leaves_the_job_alone(
    launch: LaunchMessage, capsys: pytest.CaptureFixture[str]
) -> None:
    home = Home(launch, run=1)
    with pytest.raises(StateError) as caught:
        home.load("--run-number", "0")
    assert caught.value.condition == remote_start.RUN_SUPERSEDED
    assert main([str(home.message), "--run-number", "0"]) == 0
    assert "RUN_SUPERSEDED" in capsys.readouterr().err
    assert not (home.folder / "lease").exists()
    home.load("--run-number", "1").remove()
