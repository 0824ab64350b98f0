"""The status machine of jobs."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkscore.errors import InvalidTransitionError
from sparkscore.state import JobRecord
from sparkscore.state.job_status import (
    ACTIVE,
    INTERRUPTIONS,
    STAGES,
    STATUSES,
    TERMINAL,
    WAITING,
    advance,
    can_advance,
    find_stage,
    is_active,
    is_terminal,
    is_waiting,
    resume,
)
from sparkscore.state.records import ProcessIdentity
from tests.state.records import CREATED_AT, make_job

PROCESS = ProcessIdentity(host="h", process_id=1, start_token="t")
FORGOTTEN_BY_RESUME = (
    *("started_at", "ended_at", "heartbeat_at", "cancel_requested_at"),
    *("launcher", "driver", "error", "summary"),
)
NOT_CHANGED_BY_STATUS = ("name", "sequence", "folder", "deployment", "created_at", "revision")


def walk(statuses: list[str], *, first: str = "NotStarted") -> list[JobRecord]:
    """The job after each status that it could take."""
    records = [make_job(status=first)]
    for number, status in enumerate(statuses, start=1):
        if can_advance(records[-1], status):
            records.append(advance(records[-1], status, at=CREATED_AT + number))
    return records


def test_statuses__are_those_of_the_reference() -> None:
    stages = ["NotStarted", "Queued", "Preparing", "Provisioning", "Starting", "Running"]
    ends = ["Finalizing", "CancelRequested", "Completed", "Failed", "Canceled"]
    assert {*STATUSES} == {*stages, *ends, "NotResponding", "Paused", "Unknown"}
    assert len(set(STATUSES)) == len(STATUSES)


def test_advance__undisturbed_job_goes_through_all_stages() -> None:
    job = walk([*STAGES, "Completed"])[-1]
    assert (job.status, job.status_before) == ("Completed", None)
    assert job.started_at == CREATED_AT + STAGES.index("Starting") + 1
    assert job.ended_at == job.updated_at == CREATED_AT + len(STAGES) + 1


@pytest.mark.parametrize(("earlier", "later"), list(itertools.combinations(STAGES, 2)))
def test_advance__goes_forward_only(earlier: str, later: str) -> None:
    assert advance(make_job(status=earlier), later, at=1.0).status == later
    with pytest.raises(InvalidTransitionError) as caught:
        advance(make_job(status=later), earlier, at=1.0)
    assert caught.value.condition == "INVALID_TRANSITION"
    assert caught.value.attributes == {"job": "job-1", "status": later, "wanted": earlier}


@pytest.mark.parametrize("status", STAGES)
def test_advance__every_stage_can_fail_or_be_canceled(status: str) -> None:
    job = make_job(status=status)
    error = {"condition": "NO_SUCCESSFUL_INPUT"}
    assert advance(job, "Failed", at=2.0, error=error).error == error
    assert advance(job, "Canceled", at=2.0).ended_at == 2.0
    asked = advance(job, "CancelRequested", at=2.0)
    assert (asked.cancel_requested_at, asked.ended_at) == (2.0, None)


@pytest.mark.parametrize("status", ["NotStarted", "Queued", "Preparing", "Provisioning"])
def test_advance__nothing_completes_before_it_starts(status: str) -> None:
    with pytest.raises(InvalidTransitionError):
        advance(make_job(status=status), "Completed", at=1.0)


@pytest.mark.parametrize("status", ["Starting", "Running", "Finalizing"])
def test_advance__a_canceled_job_does_not_run_again(status: str) -> None:
    asked = advance(make_job(status="Running"), "CancelRequested", at=1.0)
    with pytest.raises(InvalidTransitionError):
        advance(asked, status, at=2.0)
    assert advance(asked, "Completed", at=2.0).cancel_requested_at == 1.0


@pytest.mark.parametrize("interruption", INTERRUPTIONS)
def test_advance__interruption_returns_to_what_it_was(interruption: str) -> None:
    running = advance(make_job(), "Running", at=1.0)
    gone = advance(running, interruption, at=2.0)
    assert (gone.status, gone.status_before) == (interruption, "Running")
    back = advance(gone, "Running", at=3.0)
    assert (back.status, back.status_before, back.started_at) == ("Running", None, 1.0)
    assert advance(gone, "Finalizing", at=3.0).status == "Finalizing"
    with pytest.raises(InvalidTransitionError):
        advance(gone, "Queued", at=3.0)


def test_advance__interruption_of_an_interruption_remembers_the_stage() -> None:
    job = walk(["Running", "Paused", "NotResponding"])[-1]
    assert (job.status, job.status_before) == ("NotResponding", "Running")


def test_advance__interruption_without_past_goes_anywhere() -> None:
    job = make_job(status="Unknown")
    assert advance(job, "Queued", at=1.0).status == "Queued"


def test_advance__same_status_changes_nothing() -> None:
    job = make_job(status="Failed", error={"condition": "A"})
    assert advance(job, "Failed", at=9.0, error={"condition": "B"}) is job


def test_advance__unknown_status_is_a_bug() -> None:
    with pytest.raises(ValueError, match="Finished"):
        advance(make_job(), "Finished", at=1.0)


@pytest.mark.parametrize("status", STATUSES)
def test_predicates__agree(status: str) -> None:
    assert is_terminal(status) == (status in TERMINAL) == (not is_active(status))
    assert (status in ACTIVE) == is_active(status)
    assert is_waiting(make_job(status=status)) == (status in WAITING)


def test_is_waiting__looks_beneath_an_interruption() -> None:
    assert is_waiting(advance(make_job(status="Queued"), "NotResponding", at=1.0))
    assert not is_waiting(advance(make_job(status="Running"), "NotResponding", at=1.0))


@pytest.mark.parametrize("status", STATUSES)
def test_resume__of_what_failed_or_was_canceled_only(status: str) -> None:
    job = make_job(status=status)
    if status in ("Failed", "Canceled"):
        assert resume(job, at=1.0).status == "Queued"
    else:
        with pytest.raises(InvalidTransitionError) as caught:
            resume(job, at=1.0)
        ended = "JOB_COMPLETED" if status == "Completed" else "JOB_NOT_ENDED"
        assert caught.value.condition == ended


@given(
    runs=st.lists(
        st.tuples(
            st.lists(st.sampled_from(ACTIVE), max_size=6), st.sampled_from(("Failed", "Canceled"))
        ),
        max_size=4,
    ),
    end=st.sampled_from(TERMINAL),
)
def test_resume__any_number_of_runs(runs: list[tuple[list[str], str]], end: str) -> None:
    job = make_job(status="NotStarted", sequence=7, launcher=PROCESS, creator=PROCESS)
    for number, (statuses, status) in enumerate(runs, start=1):
        records = [job]
        for at, wanted in enumerate(statuses):
            if can_advance(records[-1], wanted):
                records.append(advance(records[-1], wanted, at=CREATED_AT + at))
        error = {"condition": f"C{number}", "message": "m"}
        ended = advance(records[-1], status, at=CREATED_AT + 9, error=error, summary={"inputs": {}})
        job = resume(ended, at=CREATED_AT + 10 * number, by=PROCESS)
        assert (job.status, job.status_before, job.updated_at) == (
            *("Queued", None, CREATED_AT + 10 * number),
        )
        for name in NOT_CHANGED_BY_STATUS:
            assert getattr(job, name) == getattr(ended, name)
        for name in FORGOTTEN_BY_RESUME:
            assert getattr(job, name) is None
        assert job.earlier_runs[:-1] == ended.earlier_runs
        assert job.earlier_runs[-1]["condition"] == f"C{number}"
        assert is_waiting(job)
    assert [run["status"] for run in job.earlier_runs] == [status for _, status in runs]
    if runs and end != "Completed":
        assert advance(job, end, at=CREATED_AT + 99).ended_at == CREATED_AT + 99


@given(statuses=st.lists(st.sampled_from(STATUSES), max_size=20))
def test_advance__any_sequence_keeps_the_rules(statuses: list[str]) -> None:
    records = walk(statuses)
    for before, after in itertools.pairwise(records):
        for name in NOT_CHANGED_BY_STATUS:
            assert getattr(after, name) == getattr(before, name)
        if is_terminal(before.status):
            assert after is before
        if find_stage(before) in STAGES and find_stage(after) in STAGES:
            assert STAGES.index(find_stage(after)) >= STAGES.index(find_stage(before))
        assert (after.ended_at is not None) == is_terminal(after.status)
        assert (after.status_before is None) == (after.status not in INTERRUPTIONS)
        for name in ("started_at", "cancel_requested_at"):
            assert getattr(before, name) in (None, getattr(after, name))
    assert records[-1].updated_at >= records[0].updated_at


@given(statuses=st.lists(st.sampled_from(STATUSES), max_size=20))
def test_advance__an_active_job_can_always_end(statuses: list[str]) -> None:
    job = walk(statuses)[-1]
    assert is_terminal(job.status) or {
        status for status in TERMINAL if can_advance(job, status)
    } >= {"Failed", "Canceled"}
