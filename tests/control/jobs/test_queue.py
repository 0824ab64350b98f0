"""Whose turn it is."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkscore.control.jobs.queue import LAUNCH_SECONDS, count_ahead, keeps_place
from sparkscore.control.jobs.refresh import STALE_SECONDS
from sparkscore.state import JobRecord, ProcessIdentity
from tests.control.jobs.conftest import make_record

NOW = 1_000_000.0


def process(word: str) -> ProcessIdentity:
    return ProcessIdentity(host=word, process_id=1, start_token="t")


def is_alive(identity: ProcessIdentity | None) -> bool | None:
    return (
        None if identity and identity.host == "far" else bool(identity and identity.host == "alive")
    )


def job(
    sequence: int, status: str = "Queued", launcher: str | None = "alive", **more: Any
) -> JobRecord:
    return make_record(
        f"job-{sequence}",
        status=status,
        sequence=sequence,
        launcher=launcher and process(launcher),
        creator=process("alive"),
        updated_at=NOW,
        heartbeat_at=more.pop("heartbeat_at", NOW),
        **more,
    )


def count(record: JobRecord, *others: JobRecord, max_running: int = 1) -> int:
    active = [*others, record]
    return count_ahead(record, active, max_running=max_running, now=NOW, is_alive=is_alive)


@pytest.mark.parametrize(
    ("others", "max_running", "ahead"),
    [
        ([], 1, 0),
        ([job(1, "Running")], 1, 1),
        ([job(1, "Running")], 2, 0),
        ([job(1, "Running"), job(2)], 1, 2),
        ([job(1, "Running"), job(2)], 2, 1),
        ([job(1, "Running"), job(2, "Running"), job(3)], 2, 2),
        ([job(9)], 1, 0),
        ([job(9, "Running")], 1, 1),
        ([job(1)], 1, 1),
        ([job(1, launcher="dead")], 1, 0),
        ([job(1, "Running", "dead")], 1, 0),
        ([job(1, "Running", "dead", driver=process("alive"))], 1, 1),
        ([job(1, "CancelRequested")], 1, 1),
        ([job(1, "NotResponding", status_before="Running")], 1, 1),
        ([job(1, "Running", "far")], 1, 1),
        ([job(1, "Running", "far", heartbeat_at=NOW - STALE_SECONDS - 1)], 1, 0),
        ([job(1, "NotStarted", None)], 1, 1),
        ([job(1, "Running", compute={"master": "spark://h:1"})], 1, 0),
    ],
)
def test_count_ahead__examples(others: list[JobRecord], max_running: int, ahead: int) -> None:
    assert count(job(5), *others, max_running=max_running) == ahead


def test_count_ahead__job_on_a_cluster_needs_no_turn() -> None:
    assert count(job(5, compute={"master": "spark://h:1"}), job(1, "Running"), job(2)) == 0


def test_keeps_place__job_without_launcher_for_a_moment() -> None:
    new = job(1, "NotStarted", None)
    assert keeps_place(new, NOW + LAUNCH_SECONDS - 1, is_alive)
    assert not keeps_place(new, NOW + LAUNCH_SECONDS + 1, is_alive)


@given(
    st.lists(st.sampled_from(["Queued", "Running", "dead"]), max_size=8),
    st.integers(min_value=1, max_value=4),
)
def test_count_ahead__fills_every_place_in_order(kinds: list[str], max_running: int) -> None:
    jobs = [
        job(number, "Queued" if kind == "dead" else kind, "dead" if kind == "dead" else "alive")
        for number, kind in enumerate(kinds, start=1)
    ]
    waiting = [
        each for each in jobs if each.status == "Queued" and each.launcher == process("alive")
    ]
    places = max(0, max_running - kinds.count("Running"))
    may_start = [
        each
        for each in waiting
        if count(each, *(other for other in jobs if other is not each), max_running=max_running)
        == 0
    ]
    assert may_start == waiting[:places]
