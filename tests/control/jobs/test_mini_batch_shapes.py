"""Throughput, durations and slots of mini-batches."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkscore.control.jobs.mini_batch_columns import Columns
from sparkscore.control.jobs.mini_batch_shapes import (
    draw_timeline,
    find_step,
    measure_durations,
    measure_throughput,
)

Row = tuple[float, float, int, int, int]

ROWS = st.lists(
    st.tuples(
        st.floats(0, 1e5, width=32),
        st.floats(0, 1e3, width=32),
        st.integers(0, 50),
        st.integers(0, 2),
        st.integers(1, 4),
    ),
    min_size=1,
    max_size=80,
)


def make_columns(rows: Sequence[Row], *, failed: Sequence[int] = ()) -> Columns:
    """Rows of start, seconds, inputs, host and process."""
    started_at, seconds, inputs, host, process = (np.array(one) for one in zip(*rows, strict=True))
    count = len(rows)
    none = np.zeros(count, dtype=np.int64)
    return Columns(
        ids=np.arange(count),
        is_failed=np.isin(np.arange(count), failed),
        inputs=inputs,
        failed=none,
        rows=inputs,
        attempts=none + 1,
        retries=none,
        started_at=1e9 + started_at.astype(float),
        seconds=seconds.astype(float),
        process=process,
        host=host,
        condition=none - 1,
        hosts=("a", "b", "c"),
        conditions=(),
    )


@given(ROWS)
def test_throughput__adds_up_to_the_inputs(rows: list[Row]) -> None:
    columns = make_columns(rows)
    found = measure_throughput(columns, most=50)
    assert found is not None
    assert 1 <= len(found.inputs_per_second) <= 50
    total = sum(found.inputs_per_second) * found.bin_seconds
    assert total == pytest.approx(columns.inputs.sum(), rel=1e-3, abs=0.5)
    assert min(found.inputs_per_second) >= 0


def test_throughput__of_one_slot_is_even() -> None:
    columns = make_columns([(0.5 * number, 0.5, 10, 0, 1) for number in range(40)])
    found = measure_throughput(columns, most=25)
    assert found is not None
    assert found.bin_seconds == 1.0
    assert found.inputs_per_second == pytest.approx([20.0] * 20)


@given(ROWS)
def test_durations__each_counts_once(rows: list[Row]) -> None:
    found = measure_durations(make_columns(rows), most=30)
    assert found is not None
    assert sum(found.counts) == len(rows)
    assert len(found.edges) == len(found.counts) + 1
    assert 1 <= len(found.counts) <= 30
    assert list(found.edges) == sorted(found.edges)
    assert found.median_seconds <= found.p95_seconds <= found.longest_seconds + 1e-9


@pytest.mark.parametrize(("longest", "is_log"), [(10.0, False), (100.0, True)])
def test_durations__axis_follows_their_range(longest: float, is_log: bool) -> None:
    rows: list[Row] = [(0.0, 1.0, 1, 0, 1), (0.0, longest, 1, 0, 1)]
    found = measure_durations(make_columns(rows))
    assert found is not None
    assert found.is_log is is_log


@given(ROWS)
def test_timeline__holds_each_mini_batch_once(rows: list[Row]) -> None:
    columns = make_columns(rows, failed=[0])
    found = draw_timeline(columns, most_slots=3, most_spans=5)
    whole = draw_timeline(columns, most_slots=100, most_spans=5)
    assert len(found.slots) == min(3, len(whole.slots)) == len(whole.slots) - found.left_out
    assert sum(span.count for slot in whole.slots for span in slot.spans) == len(rows)
    assert sum(span.failed for slot in whole.slots for span in slot.spans) == 1
    for slot in whole.slots:
        assert len(slot.spans) <= 5
        for span in slot.spans:
            assert whole.started_at <= span.start <= span.end <= whole.ended_at
            assert span.first <= span.last


def test_timeline__process_that_follows_another_takes_its_slot() -> None:
    rows: list[Row] = [
        (0.0, 2.0, 1, 0, 70),
        (0.0, 9.0, 1, 0, 71),
        (3.0, 2.0, 1, 0, 72),
        (4.0, 1.0, 1, 1, 70),
    ]
    found = draw_timeline(make_columns(rows))
    assert [(slot.host, slot.number, slot.processes) for slot in found.slots] == [
        ("a", 1, (70, 72)),
        ("a", 2, (71,)),
        ("b", 1, (70,)),
    ]


@given(st.floats(1e-3, 1e9))
def test_find_step__is_round_and_no_larger_than_it_must_be(least: float) -> None:
    step = find_step(least)
    assert least * (1 - 1e-6) <= step <= least * 2.5 * (1 + 1e-6)
    assert f"{step:.0e}"[0] in "125"
