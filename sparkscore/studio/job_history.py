"""Jobs of the last days as stacked bars: numbers to the geometry of an SVG. Control plane, pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sparkscore.control.jobs.history import DAY_STATUSES, JobDay

WIDTH, HEIGHT = 900.0, 120.0
_GAP = 0.22
"""Part of a day's room that stays empty between bars."""
_LEAST_HEIGHT = 2.0
"""One job among thousands is seen all the same."""


@dataclass(frozen=True)
class Part:
    """Jobs of one status on one day: a rectangle from ``y`` down."""

    status: str
    count: int
    y: float
    height: float


@dataclass(frozen=True)
class Bar:
    """One day. ``text`` says what the bar shows."""

    date: str
    x: float
    width: float
    parts: tuple[Part, ...]
    text: str


@dataclass(frozen=True)
class HistoryChart:
    """Bars in a box of ``width`` x ``height``; ``most`` is the count at its top."""

    bars: tuple[Bar, ...]
    totals: dict[str, int]
    most: int
    text: str
    width: float = WIDTH
    height: float = HEIGHT


def draw_history(days: Sequence[JobDay]) -> HistoryChart:
    """The chart of consecutive days."""
    most = max((day.total for day in days), default=0)
    totals = {status: sum(day.counts.get(status, 0) for day in days) for status in DAY_STATUSES}
    room = WIDTH / max(1, len(days))
    bars = tuple(
        Bar(
            date=day.date,
            x=round(index * room + room * _GAP / 2, 2),
            width=round(room * (1 - _GAP), 2),
            parts=_stack(day, most),
            text=f"{day.date}: {_describe(day.counts) or 'no jobs'}",
        )
        for index, day in enumerate(days)
    )
    return HistoryChart(bars, totals, most, _describe_all(days, totals))


def _stack(day: JobDay, most: int) -> tuple[Part, ...]:
    """The parts of a bar from the bottom up; each can be seen, the bar is never too high."""
    counts = [(status, day.counts.get(status, 0)) for status in DAY_STATUSES]
    heights = [
        (status, count, max(_LEAST_HEIGHT, HEIGHT * count / most))
        for status, count in counts
        if count
    ]
    whole = sum(height for _, _, height in heights)
    factor = min(1.0, HEIGHT / whole) if whole else 1.0
    parts, bottom = [], HEIGHT
    for status, count, height in heights:
        bottom -= height * factor
        parts.append(Part(status, count, round(max(0.0, bottom), 2), round(height * factor, 2)))
    return tuple(parts)


def _describe(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{counts[name]:,} {name}" for name in DAY_STATUSES if counts.get(name))


def _describe_all(days: Sequence[JobDay], totals: dict[str, int]) -> str:
    count = sum(totals.values())
    if not count:
        return f"No jobs in the last {len(days)} days"
    busiest = max(days, key=lambda day: day.total)
    return (
        f"{count:,} jobs in the last {len(days)} days: {_describe(totals)}. "
        f"Most on {busiest.date}: {busiest.total:,}"
    )
