"""Which status of a job may follow which. Control plane, pure.

A job moves forward only, and may leave stages out::

    NotStarted > Queued > Preparing > Provisioning > Starting > Running > Finalizing > Completed

It can become CancelRequested, Failed or Canceled at any stage, and Completed once it is Starting.
NotResponding, Paused and Unknown interrupt a stage: the job returns to it or goes on from it (to
any status if it was created that way).
Completed, Failed and Canceled never change, but for one step of its own: ``resume`` makes a Failed
or Canceled job Queued again.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from sparkscore.errors import InvalidTransitionError
from sparkscore.messages.status import CANCELED, COMPLETED, FAILED, FINALIZING, RUNNING, STARTING
from sparkscore.messages.status import TERMINAL as TERMINAL
from sparkscore.state.records import JobRecord, ProcessIdentity

NOT_STARTED = "NotStarted"
QUEUED = "Queued"
PREPARING = "Preparing"
PROVISIONING = "Provisioning"
CANCEL_REQUESTED = "CancelRequested"
NOT_RESPONDING = "NotResponding"
PAUSED = "Paused"
UNKNOWN = "Unknown"

STAGES = (NOT_STARTED, QUEUED, PREPARING, PROVISIONING, STARTING, RUNNING, FINALIZING)
"""What an undisturbed job goes through, in this order."""

INTERRUPTIONS = (NOT_RESPONDING, PAUSED, UNKNOWN)
WAITING = (NOT_STARTED, QUEUED)
RESUMABLE = (FAILED, CANCELED)
STATUSES = (*STAGES, CANCEL_REQUESTED, *TERMINAL, *INTERRUPTIONS)
ACTIVE = tuple(status for status in STATUSES if status not in TERMINAL)


def is_terminal(status: str) -> bool:
    """Whether a job with this status has ended for good."""
    return status in TERMINAL


def is_active(status: str) -> bool:
    """Whether a job with this status may still change."""
    return status in ACTIVE


def is_waiting(record: JobRecord) -> bool:
    """Whether the job takes no room yet: it waits for its turn."""
    return find_stage(record) in WAITING


def find_stage(record: JobRecord) -> str:
    """The status beneath an interruption, else the status."""
    if record.status in INTERRUPTIONS and record.status_before is not None:
        return record.status_before
    return record.status


def can_advance(record: JobRecord, status: str) -> bool:
    """Whether the job may have ``status`` next; its own is always allowed."""
    if status not in STATUSES:
        raise ValueError(f"no status of a job: {status!r}")
    current = find_stage(record)
    if status == record.status:
        return True
    if is_terminal(current):
        return False
    if status in INTERRUPTIONS or status in (FAILED, CANCELED, CANCEL_REQUESTED):
        return True
    if current == CANCEL_REQUESTED:
        return status in (COMPLETED, current)
    if current in INTERRUPTIONS:
        return True
    if status == COMPLETED:
        return _rank(current) >= _rank(STARTING)
    return _rank(status) >= _rank(current)


def _rank(status: str) -> int:
    return STAGES.index(status)


def advance(
    record: JobRecord,
    status: str,
    *,
    at: float,
    error: dict[str, Any] | None = None,
    summary: dict[str, Any] | None = None,
) -> JobRecord:
    """The job with ``status``, reached ``at`` seconds since the epoch.

    Sets ``updated_at``, and ``started_at``, ``cancel_requested_at`` and ``ended_at`` the first
    time they apply; ``error`` and ``summary`` where given. A job that has the status already is
    returned as it is, so that several observers may report the same. Raises
    InvalidTransitionError.
    """
    if not can_advance(record, status):
        raise InvalidTransitionError(
            f"job {record.name} is {record.status} and cannot become {status}",
            job=record.name,
            status=record.status,
            wanted=status,
        )
    if status == record.status:
        return record
    return dataclasses.replace(
        record,
        status=status,
        status_before=find_stage(record) if status in INTERRUPTIONS else None,
        updated_at=at,
        started_at=_first(record.started_at, at, when=_has_started(status)),
        cancel_requested_at=_first(record.cancel_requested_at, at, when=status == CANCEL_REQUESTED),
        ended_at=at if is_terminal(status) else None,
        error=record.error if error is None else error,
        summary=record.summary if summary is None else summary,
    )


def resume(record: JobRecord, *, at: float, by: ProcessIdentity | None = None) -> JobRecord:
    """The job Queued again at ``at``, asked for by the process ``by``; it has no launcher yet.

    What its last run left in the record goes to ``earlier_runs``; place in the queue, name, folder
    and request stay. Raises InvalidTransitionError (JOB_COMPLETED, JOB_NOT_ENDED).
    """
    if record.status not in RESUMABLE:
        raise _not_resumable(record)
    return dataclasses.replace(
        record,
        status=QUEUED,
        status_before=None,
        updated_at=at,
        started_at=None,
        ended_at=None,
        heartbeat_at=None,
        cancel_requested_at=None,
        creator=by,
        launcher=None,
        driver=None,
        error=None,
        summary=None,
        earlier_runs=[*record.earlier_runs, _describe_run(record, resumed_at=at)],
    )


def _describe_run(record: JobRecord, *, resumed_at: float) -> dict[str, Any]:
    error, summary = record.error or {}, record.summary or {}
    return {
        "status": record.status,
        "condition": error.get("condition"),
        "message": error.get("message"),
        "inputs": summary.get("inputs"),
        "compute": record.compute.get("name"),
        "started_at": record.started_at,
        "ended_at": record.ended_at,
        "resumed_at": resumed_at,
    }


def _not_resumable(record: JobRecord) -> InvalidTransitionError:
    if record.status == COMPLETED:
        return InvalidTransitionError(
            f"job {record.name} has completed: there is nothing to resume",
            condition="JOB_COMPLETED",
            job=record.name,
        )
    return InvalidTransitionError(
        f"job {record.name} is {record.status}: a job is resumed after its end; watch it with: "
        f"sparkscore job stream -n {record.name}, or end it with: sparkscore job cancel -n "
        f"{record.name}",
        condition="JOB_NOT_ENDED",
        job=record.name,
        status=record.status,
    )


def _has_started(status: str) -> bool:
    return status == COMPLETED or (status in STAGES and _rank(status) >= _rank(STARTING))


def _first(earlier: float | None, at: float, *, when: bool) -> float | None:
    return at if earlier is None and when else earlier
