"""Bars of the last days: numbers to geometry."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sparkscore.control.jobs.history import DAY_STATUSES, JobDay
from sparkscore.studio.job_history import HEIGHT, WIDTH, draw_history

COUNTS = st.dictionaries(st.sampled_from(DAY_STATUSES), st.integers(0, 100_000))


@given(st.lists(COUNTS, max_size=40))
def test_bars__stand_apart_within_the_box_and_show_every_status(
    counts: list[dict[str, int]],
) -> None:
    days = [JobDay(f"2026-01-{number:02}", found) for number, found in enumerate(counts)]
    chart = draw_history(days)
    right = 0.0
    for bar, day in zip(chart.bars, days, strict=True):
        assert right <= bar.x
        right = bar.x + bar.width
        assert {part.status: part.count for part in bar.parts} == {
            status: count for status, count in day.counts.items() if count
        }
        bottom = HEIGHT
        for part in bar.parts:
            assert abs(part.y + part.height - bottom) < 0.1
            assert part.height > 0
            bottom = part.y
        assert bottom >= 0
    assert right <= WIDTH + 0.01
    assert sum(chart.totals.values()) == sum(day.total for day in days)


def test_heights__are_in_proportion() -> None:
    days = [JobDay("2026-01-01", {"Completed": 50}), JobDay("2026-01-02", {"Completed": 100})]
    first, second = draw_history(days).bars
    assert first.parts[0].height * 2 == second.parts[0].height == HEIGHT


def test_text__says_the_gist() -> None:
    chart = draw_history(
        [JobDay("2026-01-01", {"Failed": 1, "Completed": 2}), JobDay("2026-01-02")]
    )
    assert "3 jobs in the last 2 days: 2 Completed, 1 Failed" in chart.text
    assert "Most on 2026-01-01: 3" in chart.text
    assert chart.bars[1].text == "2026-01-02: no jobs"
    assert draw_history([]).text == "No jobs in the last 0 days"
