"""Follows a job to its end. Control plane."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from sparkscore.control.jobs.job import Job, OnStatus
from sparkscore.control.watch import StatusReporter, WatchedFiles
from sparkscore.errors import MessageError, StateError
from sparkscore.messages.status import StatusMessage
from sparkscore.state.job_status import CANCEL_REQUESTED, NOT_RESPONDING

if TYPE_CHECKING:
    from sparkscore.control.jobs.jobs import Jobs

OnLine = Callable[[str], None]

FILE_SECONDS = 0.25
STORE_SECONDS = 1.0
"""How often the driver's status file is looked at, and how often the job's record."""


def stream_job(
    jobs: Jobs,
    name: str,
    *,
    on_status: OnStatus | None = None,
    on_line: OnLine | None = None,
    timeout_seconds: float | None = None,
) -> Job:
    """The job once it has ended.

    Raises NotFoundError, or StateError (WAIT_TIMEOUT) after ``timeout_seconds``.
    """
    deadline = None if timeout_seconds is None else time.monotonic() + timeout_seconds
    job = jobs.get(name)
    follower = _Follower(jobs, job, on_status or _ignore, on_line or _ignore)
    while True:
        follower.report(job)
        if job.is_ended:
            return job
        looked_at = time.monotonic()
        while time.monotonic() - looked_at < STORE_SECONDS:
            if deadline is not None and time.monotonic() >= deadline:
                raise _timed_out(job, timeout_seconds)
            time.sleep(FILE_SECONDS)
            follower.report_progress()
        job = jobs.get(name)


def _ignore(_: object) -> None:
    return None


def _timed_out(job: Job, timeout_seconds: float | None) -> StateError:
    return StateError(
        f"job {job.name} is {job.status} after {timeout_seconds:g} s of waiting; it goes on",
        condition="WAIT_TIMEOUT",
        job=job.name,
        status=job.status,
        timeout_seconds=timeout_seconds,
    )


class _Follower:
    """Says each thing once: the place in the queue, the job's status, what its platform says,
    the driver's progress."""

    def __init__(self, jobs: Jobs, job: Job, on_status: OnStatus, on_line: OnLine) -> None:
        self._jobs, self._on_status, self._on_line = jobs, on_status, on_line
        self._reporter = StatusReporter(
            WatchedFiles.of(Path(job.record.folder)).status, self._report_driver
        )
        self._line = self._status = self._message = ""

    def report(self, job: Job) -> None:
        """What has changed in the record."""
        self.report_progress()
        if not job.is_ended and job.progress is None:
            self._say(self._describe_wait(job))
        self._tell_platform(job)
        is_news = job.progress is None or job.status in (CANCEL_REQUESTED, NOT_RESPONDING)
        if is_news and job.status != self._status:
            self._status = job.status
            self._on_status(_status_of(job))

    def report_progress(self) -> None:
        """What the driver has written since."""
        try:
            self._reporter.report()
        except (MessageError, OSError):
            return

    def _report_driver(self, status: StatusMessage) -> None:
        self._status = status.status
        self._on_status(status)

    def _tell_platform(self, job: Job) -> None:
        """What the job's platform says, or why it does not."""
        run = job.platform_run
        message = "" if run is None or job.is_ended else run["message"] or ""
        if message and message != self._message:
            self._on_line(f"{run['platform']}: {message}" if run else message)
        self._message = message

    def _describe_wait(self, job: Job) -> str:
        ahead = self._jobs.count_ahead(job.name)
        if not ahead:
            return ""
        return f"queued: {ahead} {'job' if ahead == 1 else 'jobs'} before this one"

    def _say(self, line: str) -> None:
        if line and line != self._line:
            self._on_line(line)
        self._line = line


def _status_of(job: Job) -> StatusMessage:
    """The job's status with the driver's figures, if it has said any."""
    if job.progress is not None:
        return dataclasses.replace(job.progress, status=job.status)
    record = job.record
    return StatusMessage(
        job=job.name,
        status=job.status,
        sequence=0,
        heartbeat_at=record.heartbeat_at or record.updated_at,
        started_at=record.started_at or record.created_at,
    )
