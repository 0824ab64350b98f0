"""Waits for a submitted job: progress, cancellation, and the account at the end. Control plane.

All it knows it reads from the job folder; see ``sparkscore.messages.status``.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sparkscore.errors import CanceledError, MessageError, StateError, SubmitError
from sparkscore.messages.codec import from_json
from sparkscore.messages.status import StatusMessage, SummaryMessage
from sparkscore.targets.base import TargetRun
from sparkscore.targets.process import EXIT_CODE_UNKNOWN

POLL_SECONDS = 0.15
LOG_LINE_COUNT = 20

OnStatus = Callable[[StatusMessage], None]
OnPoll = Callable[[], None]


class Cancellation:
    """A wish to cancel; set by a signal handler or another thread. A second one kills."""

    def __init__(self) -> None:
        self.request_count = 0

    def request(self) -> None:
        """Cancel the job, or kill its driver if that was asked for before."""
        self.request_count += 1

    def raise_if_requested(self) -> None:
        """Raise CanceledError once a wish stands: for what goes on before the driver starts."""
        if self.request_count:
            raise CanceledError("canceled before the job's driver was started")


@dataclass(frozen=True)
class Patience:
    """How long a driver may take to cancel, and to stop Spark after its summary; then it dies."""

    cancel_seconds: float = 45.0
    exit_seconds: float = 60.0


DEFAULT_PATIENCE = Patience()


@dataclass(frozen=True)
class WatchedFiles:
    """The files of a job folder that are watched."""

    status: Path
    summary: Path
    driver_log: Path

    @classmethod
    def of(cls, job_folder: Path) -> WatchedFiles:
        return cls(
            status=job_folder / "status.json",
            summary=job_folder / "summary.json",
            driver_log=job_folder / "logs" / "driver.log",
        )


def wait_for_summary(
    run: TargetRun,
    *,
    job_folder: Path,
    on_status: OnStatus,
    cancellation: Cancellation,
    patience: Patience = DEFAULT_PATIENCE,
    on_poll: OnPoll = lambda: None,
) -> SummaryMessage:
    """The job's summary once its driver has ended.

    ``on_poll`` is called between two looks at the job, POLL_SECONDS apart.
    Raises CanceledError if the driver had to be killed on the way to a cancellation, SubmitError
    if it ended without a summary. Whatever is raised, the driver has ended by then.
    """
    files = WatchedFiles.of(job_folder)
    deadline = _Deadline(cancellation, summary=files.summary, patience=patience)
    reporter = StatusReporter(files.status, on_status)

    def report() -> None:
        reporter.report()
        on_poll()

    try:
        exit_code = _wait(run, report=report, deadline=deadline)
    except KeyboardInterrupt:
        cancellation.request()
        _wait(run, report=report, deadline=deadline)
        raise
    finally:
        run.kill()
    summary = find_summary(files.summary)
    if summary is not None:
        return summary
    if cancellation.request_count:
        raise CanceledError(
            f"the job in {job_folder} was canceled; its driver ended without a summary",
            job_folder=str(job_folder),
        )
    if exit_code == StateError.exit_code:
        raise _refused(files.driver_log)
    raise driver_died(exit_code, log=files.driver_log)


def _refused(log: Path) -> StateError:
    """The error of a driver that left the job folder alone, as it said at last."""
    said = [line for line in read_last_lines(log) if line.startswith("sparkscore: ")]
    condition, _, message = (said or ["sparkscore: LEASE_HELD: "])[-1][12:].partition(": ")
    return StateError(message or "another driver runs the job", condition=condition)


def _wait(run: TargetRun, *, report: Callable[[], None], deadline: _Deadline) -> int:
    while True:
        exit_code = run.poll()
        report()
        if exit_code is not None:
            return exit_code
        deadline.act(run)
        time.sleep(POLL_SECONDS)


class StatusReporter:
    """Hands on each new status in a ``status.json`` once."""

    def __init__(self, file: Path, on_status: OnStatus) -> None:
        self._file = file
        self._on_status = on_status
        self._sequence = -1

    def report(self) -> None:
        """Hand the status on if it is new; one that cannot be read is passed over."""
        try:
            status = find_status(self._file)
        except MessageError:
            return
        if status is not None and status.sequence > self._sequence:
            self._sequence = status.sequence
            self._on_status(status)


class _Deadline:
    """Cancels when asked, and kills a driver that does not end when it should."""

    def __init__(self, cancellation: Cancellation, *, summary: Path, patience: Patience) -> None:
        self._cancellation = cancellation
        self._summary = summary
        self._patience = patience
        self._is_canceled = False
        self._ends_at: float | None = None

    def act(self, run: TargetRun) -> None:
        requests = self._cancellation.request_count
        if requests and not self._is_canceled:
            self._is_canceled = True
            self._end_within(self._patience.cancel_seconds)
            run.cancel()
        elif self._ends_at is None and self._summary.exists():
            self._end_within(self._patience.exit_seconds)
        if requests > 1 or (self._ends_at is not None and time.monotonic() > self._ends_at):
            run.kill()

    def _end_within(self, seconds: float) -> None:
        self._ends_at = time.monotonic() + seconds


def find_status(file: Path) -> StatusMessage | None:
    """The status in ``status.json``, None while there is none; raises MessageError."""
    text = _find_text(file)
    return None if text is None else from_json(StatusMessage, text, where=str(file))


def find_summary(file: Path) -> SummaryMessage | None:
    """The summary in ``summary.json``, None if there is none; raises MessageError."""
    text = _find_text(file)
    return None if text is None else from_json(SummaryMessage, text, where=str(file))


def _find_text(file: Path) -> bytes | None:
    try:
        return file.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise MessageError(f"{file} cannot be read: {error.strerror}", where=str(file)) from error


def driver_died(exit_code: int, *, log: Path) -> SubmitError:
    """The error for a driver that ended without a summary, with the end of its log."""
    lines = read_last_lines(log)
    how = _render_exit(exit_code)
    last = f": {lines[-1].strip()}" if lines else ""
    return SubmitError(
        f"the driver ended{how} and wrote no summary{last}; all it said stands in {log}",
        condition="DRIVER_DIED",
        driver_exit_code=exit_code,
        log_file=str(log),
        log_lines=lines,
    )


def _render_exit(exit_code: int) -> str:
    if exit_code == EXIT_CODE_UNKNOWN:
        return ""
    return f" with signal {-exit_code}" if exit_code < 0 else f" with exit code {exit_code}"


def read_last_lines(log: Path) -> list[str]:
    """The last lines of a log that say something, at most LOG_LINE_COUNT."""
    try:
        with log.open("rb") as file:
            file.seek(0, 2)
            file.seek(max(0, file.tell() - 64 * 1024))
            text = file.read().decode("utf-8", errors="replace")
    except OSError:
        return []
    return [line for line in text.splitlines() if line.strip()][-LOG_LINE_COUNT:]
