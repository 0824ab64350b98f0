"""``run_job`` with real processes in the driver's place."""

from __future__ import annotations

import dataclasses
import json
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from sparkscore.control.one_shot import MadeJob, make_job, prepare_run, run_job
from sparkscore.control.options import RunOptions
from sparkscore.control.watch import Cancellation, Patience, wait_for_summary
from sparkscore.errors import CanceledError, SubmitError
from sparkscore.messages.status import StatusMessage
from tests.control.samples import write_deployment

FAKE_DRIVER = Path(__file__).with_name("fake_driver.py")

MakeJob = Callable[[str], MadeJob]


@pytest.fixture
def make_fake_job(tmp_path: Path, java_environment: dict[str, str]) -> MakeJob:
    """A job folder whose driver is fake_driver.py with this behaviour."""

    def make(behaviour: str) -> MadeJob:
        options = RunOptions(
            file=write_deployment(tmp_path / "deployment"),
            input=str(tmp_path / "deployment" / "in"),
            job_folder=tmp_path / "job",
        )
        job = make_job(
            prepare_run(options, environment={**java_environment, "FAKE_DRIVER": behaviour})
        )
        arguments = (str(FAKE_DRIVER), job.compiled.arguments[-1])
        return dataclasses.replace(
            job, compiled=dataclasses.replace(job.compiled, arguments=arguments)
        )

    return make


def ignore(_: StatusMessage) -> None:
    return None


def test_run_job__completes(make_fake_job: MakeJob) -> None:
    job = make_fake_job("complete")
    seen: list[StatusMessage] = []
    summary = run_job(job, on_status=seen.append)
    assert (summary.status, summary.inputs.succeeded, summary.rows) == ("Completed", 8, 8)
    assert seen[-1].status == "Completed"
    assert [status.sequence for status in seen] == sorted({status.sequence for status in seen})
    assert job.summary_file.is_file()


def test_run_job__returns_the_summary_of_a_failed_job(make_fake_job: MakeJob) -> None:
    summary = run_job(make_fake_job("fail"), on_status=ignore)
    assert summary.status == "Failed"
    assert summary.error is not None
    assert summary.error["condition"] == "ERROR_THRESHOLD_EXCEEDED"


def test_run_job__driver_without_summary(make_fake_job: MakeJob) -> None:
    with pytest.raises(SubmitError) as caught:
        run_job(make_fake_job("die"), on_status=ignore)
    assert caught.value.condition == "DRIVER_DIED"
    assert caught.value.attributes["driver_exit_code"] == 1
    assert caught.value.attributes["log_lines"] == ["loading", "MemoryError: all of it"]


def test_run_job__killed_driver(make_fake_job: MakeJob) -> None:
    with pytest.raises(SubmitError) as caught:
        run_job(make_fake_job("kill_itself"), on_status=ignore)
    assert caught.value.attributes["driver_exit_code"] == -signal.SIGKILL


def test_run_job__canceled_from_another_thread(make_fake_job: MakeJob) -> None:
    cancellation = Cancellation()

    def cancel(status: StatusMessage) -> None:
        if status.status == "Running":
            threading.Thread(target=cancellation.request).start()

    summary = run_job(make_fake_job("wait"), on_status=cancel, cancellation=cancellation)
    assert summary.status == "Canceled"


def test_run_job__keyboard_interrupt_cancels_first(make_fake_job: MakeJob) -> None:
    job = make_fake_job("wait")

    def interrupt(status: StatusMessage) -> None:
        if status.status == "Running":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_job(job, on_status=interrupt)
    assert json.loads(job.summary_file.read_text())["status"] == "Canceled"


def test_run_job__driver_ends_when_watching_fails(make_fake_job: MakeJob) -> None:
    job = make_fake_job("wait")
    run = job.target.submit(
        job.compiled, environment=job.environment, log_file=job.folder / "logs" / "driver.log"
    )

    def fail(_: StatusMessage) -> None:
        raise RuntimeError("the front end has a bug")

    with pytest.raises(RuntimeError):
        wait_for_summary(run, job_folder=job.folder, on_status=fail, cancellation=Cancellation())
    assert run.poll() == -signal.SIGKILL


def wait_with(job: MadeJob, cancellation: Cancellation, **patience: float) -> float:
    """Wait for the end; returns how long it took."""
    run = job.target.submit(
        job.compiled, environment=job.environment, log_file=job.folder / "logs" / "driver.log"
    )
    started = time.monotonic()

    def cancel(status: StatusMessage) -> None:
        if status.status == "Running":
            cancellation.request()

    try:
        wait_for_summary(
            run,
            job_folder=job.folder,
            on_status=cancel,
            cancellation=cancellation,
            patience=Patience(**patience),
        )
    finally:
        assert run.poll() is not None
    return time.monotonic() - started


def test_wait__kills_a_driver_that_does_not_cancel(make_fake_job: MakeJob) -> None:
    with pytest.raises(CanceledError):
        wait_with(make_fake_job("resist"), Cancellation(), cancel_seconds=0.5)


def test_wait__second_request_kills_at_once(make_fake_job: MakeJob) -> None:
    cancellation = Cancellation()
    cancellation.request()
    with pytest.raises(CanceledError):
        wait_with(make_fake_job("resist"), cancellation, cancel_seconds=60)


def test_wait__ends_a_driver_that_lingers_after_its_summary(make_fake_job: MakeJob) -> None:
    assert wait_with(make_fake_job("linger"), Cancellation(), exit_seconds=0.3) < 30


def test_run_job__environment_of_the_driver(make_fake_job: MakeJob, tmp_path: Path) -> None:
    job = make_fake_job("show_environment")
    run_job(job, on_status=ignore)
    environment = json.loads((job.folder / "environment.json").read_text())
    assert environment["JAVA_HOME"] == str(tmp_path / "java")
    assert environment["PYSPARK_PYTHON"] == environment["PYSPARK_DRIVER_PYTHON"]
    assert environment["SPARKSCORE_STOP_WITH_PARENT"] == "1"
    assert Path(environment["SPARK_HOME"], "jars").is_dir()
