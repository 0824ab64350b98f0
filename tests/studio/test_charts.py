"""Drawings: everything lies in its frame, and says its numbers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkscore.control.jobs.mini_batch_shapes import (
    Durations,
    Slot,
    Span,
    Throughput,
    Timeline,
)
from sparkscore.studio.charts import (
    HEIGHT,
    WIDTH,
    Bar,
    draw_durations,
    draw_parts,
    draw_phases,
    draw_throughput,
    draw_timeline,
)
from sparkscore.studio.pages import render_macro

HOSTILE = "<script>\"'&\N{GRINNING FACE}"


def check_frame(bars: tuple[Bar, ...]) -> None:
    for bar in bars:
        assert bar.x >= 0
        assert bar.y >= 0
        assert bar.width >= 0
        assert bar.x + bar.width <= WIDTH + 0.2
        assert bar.y + bar.height <= HEIGHT + 0.2
        assert bar.title


@given(
    st.lists(st.floats(0, 1e7), min_size=1, max_size=120),
    st.sampled_from([0.1, 1.0, 50.0, 3600.0]),
)
def test_throughput__stays_in_its_frame(rates: list[float], width: float) -> None:
    chart = draw_throughput(Throughput(1e9, width, tuple(rates)))
    check_frame(chart.bars)
    assert len(chart.bars) == sum(rate > 0 for rate in rates)
    assert len(chart.ticks) == 5


def test_throughput__says_mean_and_most() -> None:
    chart = draw_throughput(Throughput(1e9, 60.0, (0.0, 4.5, 120.0)))
    assert chart.gist == "Inputs per second over 3 min 00 s: 42 on average, 120 at most"
    assert chart.top == "200 inputs/s"
    assert [bar.title for bar in chart.bars] == [
        "4.5 inputs/s after 1 min 00 s",
        "120 inputs/s after 2 min 00 s",
    ]


@given(
    st.lists(st.integers(0, 10**6), min_size=1, max_size=30),
    st.floats(1e-4, 1e3),
    st.floats(0, 1),
    st.floats(0, 1),
)
def test_durations__stay_in_their_frame(
    counts: list[int], low: float, median: float, p95: float
) -> None:
    edges = tuple(low * 1.5**number for number in range(len(counts) + 1))
    middle, late = (edges[0] + part * (edges[-1] - edges[0]) for part in sorted((median, p95)))
    chart = draw_durations(Durations(edges, tuple(counts), middle, late, edges[-1], is_log=True))
    check_frame(chart.bars)
    first, second = chart.marks
    assert 0 <= first.x <= second.x <= WIDTH


def test_durations__marks_stand_where_their_bins_are() -> None:
    chart = draw_durations(Durations((0.0, 1.0, 2.0), (3, 1), 0.5, 1.5, 2.0, is_log=False))
    assert [mark.x for mark in chart.marks] == [250.0, 750.0]
    assert chart.bars[0].title == "0 ms to 1.0 s: 3 mini-batches"
    assert chart.gist == (
        "Durations of 4 mini-batches: half of them took up to 500 ms, 95 % up to 1.5 s, "
        "the longest 2.0 s"
    )


def make_timeline(*spans: Span, left_out: int = 0) -> Timeline:
    return Timeline(0.0, 10.0, (Slot(HOSTILE, 1, (7, 8), spans),), left_out)


@given(st.lists(st.tuples(st.floats(0, 10), st.floats(0, 10)), min_size=1, max_size=20))
def test_timeline__stays_in_its_frame(pairs: list[tuple[float, float]]) -> None:
    spans = [Span(min(pair), max(pair), 0, 0, 1, 0, 0) for pair in pairs]
    drawn = draw_timeline(make_timeline(*spans))
    assert drawn is not None
    check_frame(drawn.lanes[0].bars)
    assert all(bar.width > 0 for bar in drawn.lanes[0].bars)


def test_timeline__says_what_a_span_holds() -> None:
    spans = (Span(0.0, 2.0, 3, 3, 1, 0, 0), Span(2.0, 10.0, 4, 9, 6, 2, 1))
    drawn = draw_timeline(make_timeline(*spans, left_out=3))
    assert drawn is not None
    (lane,) = drawn.lanes
    assert [bar.title for bar in lane.bars] == [
        "3, 2.0 s",
        *(["4\N{EN DASH}9, 8.0 s, 2 retried, 1 failed"] * 2),
    ]
    assert [bar.kind for bar in lane.bars] == ["succeeded", "retried", "failed"]
    assert [bar.height for bar in lane.bars] == [100.0, 100.0, 35.0]
    assert (lane.title, drawn.left_out, drawn.gist) == ("process 7, 8", 3, "4 slots over 10.0 s")
    assert draw_timeline(Timeline(0.0, 0.0, (), 0)) is None


def test_lanes__names_of_hosts_are_escaped() -> None:
    drawn = draw_timeline(make_timeline(Span(0.0, 2.0, 3, 3, 1, 0, 0)))
    text = render_macro("charts.html", "lanes", timeline=drawn, otherwise="")
    assert "<script" not in text
    assert "&lt;script&gt;" in text


@given(st.lists(st.floats(0, 1e6), max_size=6))
def test_parts__fill_the_whole(sizes: list[float]) -> None:
    bars = draw_parts((str(number), size, "some") for number, size in enumerate(sizes))
    check_frame(bars)
    if any(sizes):
        assert sum(bar.width for bar in bars) == pytest.approx(WIDTH, abs=0.1 * len(sizes))
    else:
        assert bars == ()


def test_phases__are_those_that_are_known_in_their_order() -> None:
    bars = draw_phases({"total": 9.0, "score": 6.0, "start": 3.0})
    assert [(bar.kind, bar.title) for bar in bars] == [
        ("start", "start: 3.0 s"),
        ("score", "score: 6.0 s"),
    ]
    assert draw_phases({}) == ()
