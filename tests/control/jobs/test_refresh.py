"""What a job's record should say, for everything that can be seen of it."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkscore.control.jobs.refresh import (
    LAUNCH_GRACE_SECONDS,
    STALE_SECONDS,
    Seen,
    note_heartbeat,
    reconcile,
)
from sparkscore.messages.status import InputCounts, StatusMessage, SummaryMessage
from sparkscore.state import JobRecord, ProcessIdentity
from sparkscore.state.job_status import STATUSES, TERMINAL, is_terminal
from tests.control.jobs.conftest import make_record

NOW = 1_000_000.0
PROCESS = ProcessIdentity(host="h", process_id=7, start_token="t")


def make_status(status: str = "Running", *, age: float = 0.0) -> StatusMessage:
    return StatusMessage("job", status, sequence=3, heartbeat_at=NOW - age, started_at=NOW - 100)


def make_summary(status: str = "Completed") -> SummaryMessage:
    error = None if status == "Completed" else {"condition": "X", "message": "x", "exit_code": 4}
    return SummaryMessage("job", status, InputCounts(8, 8, 0), error=error)


def record(status: str, **fields: Any) -> JobRecord:
    times = {"created_at": NOW - 500, "updated_at": NOW - 500}
    return make_record(status=status, **{**times, **fields})


def running(*, status: str = "Running", **fields: Any) -> JobRecord:
    known = {"launcher": PROCESS, "driver": PROCESS, "started_at": NOW - 400}
    return record(status, **{**known, **fields})


def see(*, age: float | None = None, **fields: Any) -> Seen:
    """Everything alive unless said otherwise; a status file of this age."""
    alive = {"creator_is_alive": True, "launcher_is_alive": True, "driver_is_alive": True}
    if age is not None:
        fields = {"status": make_status(age=age), "status_written_at": NOW - age, **fields}
    return Seen(now=NOW, **{**alive, **fields})


DEAD: dict[str, Any] = {"launcher_is_alive": False, "driver_is_alive": False}
NO_SIGHT: dict[str, Any] = {"launcher_is_alive": None, "driver_is_alive": None}
STALE = STALE_SECONDS + 1


@pytest.mark.parametrize(
    ("before", "seen", "status"),
    [
        (record("NotStarted"), see(launcher_is_alive=False), "NotStarted"),
        (record("Queued", launcher=PROCESS), see(driver_is_alive=False), "Queued"),
        (record("Starting", launcher=PROCESS, started_at=NOW - 400), see(), "Starting"),
        (running(), see(age=0), "Running"),
        (running(), see(status=make_status("Finalizing")), "Finalizing"),
        (running(), see(status=make_status("Completed")), "Finalizing"),
        (running(), see(status=make_status("Starting")), "Running"),
        (running(), see(age=0, summary=make_summary()), "Finalizing"),
        (running(), see(age=STALE), "NotResponding"),
        (running(heartbeat_at=NOW - 3), see(age=STALE), "Running"),
        (running(status="NotResponding", status_before="Running"), see(age=0), "Running"),
        (running(), see(age=STALE, launcher_is_alive=False), "NotResponding"),
        (running(), see(age=0, launcher_is_alive=False), "Running"),
        (running(), see(age=STALE, **NO_SIGHT), "NotResponding"),
        (running(cancel_requested_at=NOW - 90), see(age=STALE), "CancelRequested"),
        (running(cancel_requested_at=NOW - 90), see(age=STALE, **NO_SIGHT), "Canceled"),
        (running(cancel_requested_at=NOW - 90), see(age=0, **NO_SIGHT), "CancelRequested"),
        (running(cancel_requested_at=NOW), see(age=0, **DEAD), "Canceled"),
        (record("NotStarted", cancel_requested_at=NOW), see(), "Canceled"),
        (running(), see(driver_is_alive=False, summary=make_summary()), "Completed"),
        (running(), see(**DEAD, summary=make_summary("Failed")), "Failed"),
        (running(), see(**NO_SIGHT, summary=make_summary("Canceled")), "Canceled"),
        (record("Queued", launcher=PROCESS), see(**DEAD, summary=make_summary()), "Completed"),
    ],
)
def test_reconcile__status(before: JobRecord, seen: Seen, status: str) -> None:
    assert reconcile(before, seen).status == status


@pytest.mark.parametrize(
    ("before", "seen", "condition"),
    [
        (running(), see(age=0, **DEAD), "DRIVER_DIED"),
        (record("Queued", launcher=PROCESS), see(**DEAD), "LAUNCHER_DIED"),
        (record("NotStarted"), see(**DEAD, creator_is_alive=False), "LAUNCH_INTERRUPTED"),
        (record("NotStarted"), see(**DEAD, creator_is_alive=None), "LAUNCH_INTERRUPTED"),
        (running(), see(**DEAD, summary=make_summary("Failed")), "X"),
    ],
)
def test_reconcile__error(before: JobRecord, seen: Seen, condition: str) -> None:
    after = reconcile(before, seen)
    assert (after.status, after.ended_at) == ("Failed", NOW)
    assert after.error is not None
    assert after.error["condition"] == condition
    assert after.error["exit_code"] in {3, 4, 5}


def test_reconcile__end_of_the_log() -> None:
    after = reconcile(running(), see(**DEAD, log_lines=("a", "out of memory")))
    assert after.error is not None
    assert after.error["log_lines"] == ["a", "out of memory"]


def test_reconcile__summary_is_kept() -> None:
    after = reconcile(running(), see(**DEAD, summary=make_summary()))
    assert after.summary is not None
    assert after.summary["inputs"] == {"total": 8, "succeeded": 8, "failed": 0}


@pytest.mark.parametrize(
    ("age", "status"),
    [(LAUNCH_GRACE_SECONDS - 1, "NotStarted"), (LAUNCH_GRACE_SECONDS + 1, "Failed")],
)
def test_reconcile__job_whose_creator_died_has_a_moment(age: float, status: str) -> None:
    before = record("NotStarted", updated_at=NOW - age)
    assert reconcile(before, see(**DEAD, creator_is_alive=False)).status == status


def test_reconcile__clock_of_the_files_is_far_ahead() -> None:
    """A time from the future says nothing; other signs do, and without any the job is believed."""
    ahead: dict[str, Any] = {"status": make_status(age=-9000), "status_written_at": NOW + 9000}
    assert reconcile(running(), see(**ahead, **NO_SIGHT)).status == "NotResponding"
    assert reconcile(running(heartbeat_at=NOW), see(**ahead, **NO_SIGHT)).status == "Running"
    assert reconcile(running(started_at=None), see(**ahead, **NO_SIGHT)).status == "Running"


def test_note_heartbeat__only_for_signs_of_life() -> None:
    assert note_heartbeat(running(), see(age=1)).heartbeat_at == NOW
    assert note_heartbeat(running(), see(age=STALE)).heartbeat_at is None


alive = st.sampled_from([True, False, None])
ages = st.one_of(st.none(), st.floats(-100, 100))
maybe_process = st.sampled_from([None, PROCESS])
maybe_time = st.one_of(st.none(), st.floats(NOW - 100, NOW))
statuses = st.sampled_from(["Starting", "Running", "Finalizing", *TERMINAL])


@st.composite
def records(draw: st.DrawFn) -> JobRecord:
    status = draw(st.sampled_from(STATUSES))
    before = draw(st.sampled_from(["Queued", "Starting", "Running"]))
    return record(
        status,
        status_before=before if status in {"NotResponding", "Paused", "Unknown"} else None,
        launcher=draw(maybe_process),
        driver=draw(maybe_process),
        started_at=draw(maybe_time),
        heartbeat_at=draw(maybe_time),
        cancel_requested_at=draw(maybe_time),
        updated_at=draw(st.floats(NOW - 100, NOW)),
    )


@st.composite
def sights(draw: st.DrawFn) -> Seen:
    age = draw(ages)
    return Seen(
        now=NOW,
        status=None if age is None else make_status(draw(statuses), age=age),
        status_written_at=None if age is None else NOW - age,
        summary=draw(st.one_of(st.none(), st.sampled_from(TERMINAL).map(make_summary))),
        creator_is_alive=draw(alive),
        launcher_is_alive=draw(alive),
        driver_is_alive=draw(alive),
    )


@given(records(), sights())
def test_reconcile__always(before: JobRecord, seen: Seen) -> None:
    after = reconcile(before, seen)
    assert reconcile(after, seen) == after, "a second look at the same changes nothing"
    if is_terminal(before.status):
        assert after == before
    elif is_terminal(after.status):
        assert after.ended_at == NOW
        assert seen.driver_is_alive is not True or after.launcher is None
        assert (after.error is None) == (after.status == "Completed") or after.status == "Canceled"
    same = dataclasses.replace(after, **{name: getattr(before, name) for name in CHANGED})
    assert same == before


CHANGED = (
    *("status", "status_before", "updated_at", "started_at", "ended_at", "error", "summary"),
    "cancel_requested_at",
)
"""The only fields that a look may change."""
