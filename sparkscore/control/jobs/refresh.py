"""What a job's record should say, given what can be seen of the job. Control plane, pure.

A live launcher keeps its job's record; without one, whoever looks at the job does. A job reads as

- NotStarted while its creator lives and no launcher has taken it, and LAUNCH_INTERRUPTED once the
  creator is known to be dead. That is a reading, never stored: starting the job again cures it.
- Queued, Starting, Running, Finalizing as far as its launcher and driver say;
- NotResponding while it may be alive and no heartbeat came for STALE_SECONDS;
- ended by its summary, else Failed (LAUNCHER_DIED, DRIVER_DIED) once its processes are known to be
  dead, or Canceled if that had been asked for.

A job on a platform goes on without its launcher: who looks at it gives it another one, which finds
out how it ends.

Ages are those of the freshest sign. Clocks of hosts and file systems differ, so a sign from the
future by more than STALE_SECONDS tells nothing.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sparkscore.errors import SparkscoreError, StateError, SubmitError
from sparkscore.messages.codec import to_dict
from sparkscore.messages.status import (
    CANCELED,
    FAILED,
    FINALIZING,
    RUNNING,
    STARTING,
    StatusMessage,
    SummaryMessage,
)
from sparkscore.state.job_status import (
    CANCEL_REQUESTED,
    NOT_RESPONDING,
    NOT_STARTED,
    QUEUED,
    WAITING,
    advance,
    can_advance,
    find_stage,
    is_terminal,
)
from sparkscore.state.records import JobRecord

STALE_SECONDS = 30.0
"""A heartbeat that is older reads NotResponding; drivers write one each second."""

LAUNCH_GRACE_SECONDS = 5.0
"""How long after its creator's death a job without launcher still reads NotStarted."""

LAUNCH_INTERRUPTED = "LAUNCH_INTERRUPTED"
LAUNCHER_DIED = "LAUNCHER_DIED"
DRIVER_DIED = "DRIVER_DIED"


@dataclass(frozen=True)
class Seen:
    """What can be seen of a job at ``now``, in seconds since the epoch.

    ``status`` and ``summary`` are the driver's files, ``status_written_at`` the file's time.
    A process is alive, dead, or out of sight (None); one that was never recorded is dead.
    ``has_keeper``: the job is parked, and somebody will give it a launcher.
    ``log_lines`` is the end of the driver's log, or of the launcher's if there is no driver's.
    """

    now: float
    status: StatusMessage | None = None
    status_written_at: float | None = None
    summary: SummaryMessage | None = None
    creator_is_alive: bool | None = False
    launcher_is_alive: bool | None = False
    driver_is_alive: bool | None = False
    has_keeper: bool = False
    log_lines: tuple[str, ...] = ()


def reconcile(record: JobRecord, seen: Seen) -> JobRecord:
    """The record as it should be now; see the module's docstring."""
    if is_terminal(record.status):
        return record
    ended = _find_end(record, seen)
    if ended is not None:
        return ended
    status = _get_status(record, seen)
    fresh = _is_fresh(record, seen)
    if not fresh and status not in (NOT_STARTED, CANCEL_REQUESTED):
        return advance(record, NOT_RESPONDING, at=seen.now)
    return _advance_as_possible(record, status, at=seen.now)


def note_heartbeat(record: JobRecord, seen: Seen) -> JobRecord:
    """The record with a new heartbeat, if the job gave a sign of life."""
    if is_terminal(record.status) or not _is_fresh(record, seen):
        return record
    return dataclasses.replace(record, heartbeat_at=seen.now)


def end_with_summary(record: JobRecord, summary: SummaryMessage, *, at: float) -> JobRecord:
    """The record of a job whose driver wrote its summary."""
    begun = _advance_as_possible(record, STARTING, at=at)
    return advance(begun, summary.status, at=at, error=summary.error, summary=to_dict(summary))


def end_with_error(record: JobRecord, error: SparkscoreError, *, at: float) -> JobRecord:
    """The record of a job that ended without a summary."""
    return advance(record, FAILED, at=at, error=error_dict(error))


def end_interrupted(record: JobRecord, *, at: float) -> JobRecord:
    """The record of a job that nobody launched."""
    error = StateError(
        f"job {record.name} was never started: the process that made it, or resumed it, ended "
        f"first; start it with: sparkscore job resume -n {record.name}, or invoke again with the "
        "same --job-name",
        condition=LAUNCH_INTERRUPTED,
    )
    return end_with_error(record, error, at=at)


def error_dict(error: SparkscoreError) -> dict[str, Any]:
    """An error as the entry ``error`` of a job."""
    return {
        "condition": error.condition,
        "message": error.message,
        "exit_code": error.exit_code,
        **error.attributes,
    }


def is_interrupted(record: JobRecord) -> bool:
    """Whether the job reads Failed because nobody launched it; it may be started again."""
    return record.launcher is None and _condition(record) == LAUNCH_INTERRUPTED


def _condition(record: JobRecord) -> str | None:
    return None if record.error is None else record.error.get("condition")


def _find_end(record: JobRecord, seen: Seen) -> JobRecord | None:
    if seen.summary is not None and seen.driver_is_alive is not True:
        return end_with_summary(record, seen.summary, at=seen.now)
    if record.launcher is None:
        return _find_end_before_launch(record, seen)
    if seen.launcher_is_alive or seen.driver_is_alive:
        return None
    if record.remote is not None and seen.driver_is_alive is None:
        return None
    out_of_sight = seen.launcher_is_alive is None or seen.driver_is_alive is None
    if out_of_sight and (record.cancel_requested_at is None or _is_fresh(record, seen)):
        return None
    if record.cancel_requested_at is not None:
        return advance(record, CANCELED, at=seen.now)
    return end_with_error(record, _death_of(record, seen), at=seen.now)


def _find_end_before_launch(record: JobRecord, seen: Seen) -> JobRecord | None:
    if record.cancel_requested_at is not None:
        return advance(record, CANCELED, at=seen.now)
    if seen.has_keeper:
        return None
    grace = LAUNCH_GRACE_SECONDS if seen.creator_is_alive is False else STALE_SECONDS
    if seen.creator_is_alive or seen.now - record.updated_at <= grace:
        return None
    return end_interrupted(record, at=seen.now)


def _death_of(record: JobRecord, seen: Seen) -> SubmitError:
    last = f": {seen.log_lines[-1].strip()}" if seen.log_lines else ""
    attributes: dict[str, Any] = {"log_lines": list(seen.log_lines)}
    if record.driver is None:
        return SubmitError(
            f"the launcher of job {record.name} ended before it had started the driver{last}; "
            f"all it said stands in {record.folder}/logs/launcher.log; invoke again",
            condition=LAUNCHER_DIED,
            **attributes,
        )
    return SubmitError(
        f"the driver of job {record.name} ended without a summary{last}; all it said stands in "
        f"{record.folder}/logs/driver.log",
        condition=DRIVER_DIED,
        **attributes,
    )


def _get_status(record: JobRecord, seen: Seen) -> str:
    if record.cancel_requested_at is not None:
        return CANCEL_REQUESTED
    if record.launcher is None:
        return NOT_STARTED
    if seen.summary is not None:
        return FINALIZING
    if seen.status is not None:
        return seen.status.status if seen.status.status in (STARTING, RUNNING) else FINALIZING
    stage = find_stage(record)
    if record.driver is not None and stage in WAITING:
        return STARTING
    return QUEUED if stage == NOT_STARTED else stage


def _is_fresh(record: JobRecord, seen: Seen) -> bool:
    """Whether the job gave a sign of life lately, or there is no sign to judge by."""
    ages = list(_iter_ages(record, seen))
    return not ages or min(ages) <= STALE_SECONDS


def _iter_ages(record: JobRecord, seen: Seen) -> Iterable[float]:
    times = [seen.status_written_at, record.heartbeat_at, record.started_at]
    if seen.status is not None:
        times.append(seen.status.heartbeat_at)
    for time in times:
        if time is not None and seen.now - time >= -STALE_SECONDS:
            yield max(0.0, seen.now - time)
    if seen.status is None and (seen.launcher_is_alive or seen.driver_is_alive):
        yield 0.0


def _advance_as_possible(record: JobRecord, status: str, *, at: float) -> JobRecord:
    """The record with ``status``, unless it is already beyond: signs may come out of order."""
    return advance(record, status, at=at) if can_advance(record, status) else record
