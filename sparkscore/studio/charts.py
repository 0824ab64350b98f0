"""Numbers to the geometry of drawings. Control plane, pure.

A drawing is WIDTH by HEIGHT units, which the page stretches to the room that there is; so texts
stand beside it, not in it. Each shape has a ``title`` that says its numbers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from sparkscore.control.jobs.mini_batch_shapes import (
    Durations,
    Slot,
    Span,
    Throughput,
    Timeline,
    find_step,
)
from sparkscore.studio.pages import render_count, render_duration

WIDTH = 1000.0
HEIGHT = 100.0

_TICKS = 4
_LEAST_WIDTH = 1.5
"""So that what lasted shortest can be seen."""

_LEAST_PART = 0.35

PHASES = ("start", "plan", "score", "publish")


@dataclass(frozen=True)
class Bar:
    """A rectangle from its upper left corner; ``kind`` is what it shows, for its colour."""

    x: float
    y: float
    width: float
    height: float
    title: str
    kind: str = ""


@dataclass(frozen=True)
class Mark:
    """A line across the drawing at ``x``."""

    x: float
    name: str
    text: str


@dataclass(frozen=True)
class Chart:
    """Bars over an axis: ``top`` says what the full height is, ``ticks`` what stands below.

    ``gist`` is the whole in a sentence.
    """

    gist: str
    top: str
    ticks: tuple[str, ...]
    bars: tuple[Bar, ...]
    marks: tuple[Mark, ...] = ()


@dataclass(frozen=True)
class Lane:
    """One slot's row of a timeline."""

    name: str
    title: str
    bars: tuple[Bar, ...]


@dataclass(frozen=True)
class Lanes:
    """A timeline: rows over one axis of time."""

    gist: str
    ticks: tuple[str, ...]
    lanes: tuple[Lane, ...]
    left_out: int


def draw_throughput(throughput: Throughput) -> Chart:
    """Inputs per second over the time since the first mini-batch began."""
    rates, width = throughput.inputs_per_second, throughput.bin_seconds
    length = width * len(rates)
    top = find_step(max(rates) or 1.0)
    bars = [
        _make_bar(
            number * WIDTH / len(rates),
            WIDTH / len(rates),
            height=HEIGHT * rate / top,
            title=f"{_render_rate(rate)} inputs/s after {render_duration(number * width)}",
        )
        for number, rate in enumerate(rates)
        if rate > 0
    ]
    mean = sum(rates) / len(rates)
    return Chart(
        gist=f"Inputs per second over {render_duration(length)}: {_render_rate(mean)} on average, "
        f"{_render_rate(max(rates))} at most",
        top=f"{_render_rate(top)} inputs/s",
        ticks=_render_ticks(length),
        bars=tuple(bars),
    )


def draw_durations(durations: Durations) -> Chart:
    """How many mini-batches lasted how long; bars are of one width, also on a logarithmic axis."""
    counts, edges = durations.counts, durations.edges
    top = max(counts) or 1
    width = WIDTH / len(counts)
    bars = [
        _make_bar(
            number * width,
            width,
            height=HEIGHT * count / top,
            title=f"{render_duration(low)} to {render_duration(high)}: "
            f"{_render_mini_batches(count)}",
        )
        for number, (count, low, high) in enumerate(zip(counts, edges, edges[1:], strict=False))
        if count
    ]
    marks = tuple(
        Mark(round(_place(seconds, edges) * WIDTH, 1), name, render_duration(seconds))
        for name, seconds in (
            ("Median", durations.median_seconds),
            ("95th percentile", durations.p95_seconds),
        )
    )
    shown = [edges[round(part * (len(edges) - 1) / _TICKS)] for part in range(_TICKS + 1)]
    return Chart(
        gist=f"Durations of {_render_mini_batches(sum(counts))}: half of them took up to "
        f"{marks[0].text}, 95 % up to {marks[1].text}, the longest "
        f"{render_duration(durations.longest_seconds)}",
        top=_render_mini_batches(top),
        ticks=tuple(map(render_duration, shown)),
        bars=tuple(bars),
        marks=marks,
    )


def _place(value: float, edges: Sequence[float]) -> float:
    """Where a value stands between the first edge (0) and the last (1), bins being of one width."""
    count = len(edges) - 1
    for number in range(count):
        if value <= edges[number + 1]:
            within = (value - edges[number]) / ((edges[number + 1] - edges[number]) or 1.0)
            return (number + min(max(within, 0.0), 1.0)) / count
    return 1.0


def draw_timeline(timeline: Timeline) -> Lanes | None:
    """What ran when on which slot; None if nothing has finished."""
    if not timeline.slots:
        return None
    length = timeline.ended_at - timeline.started_at
    scale = WIDTH / length
    lanes = tuple(
        Lane(
            name=f"{slot.host} \N{MIDDLE DOT} {slot.number}",
            title=_render_processes(slot),
            bars=tuple(
                bar for span in slot.spans for bar in _iter_bars(span, timeline.started_at, scale)
            ),
        )
        for slot in timeline.slots
    )
    count = len(timeline.slots) + timeline.left_out
    return Lanes(
        gist=f"{count} slot{'' if count == 1 else 's'} over {render_duration(length)}",
        ticks=_render_ticks(length),
        lanes=lanes,
        left_out=timeline.left_out,
    )


def _iter_bars(span: Span, started_at: float, scale: float) -> Iterator[Bar]:
    """One bar of full height, and one over it as high as the part that failed."""
    ids = f"{span.first}" if span.count == 1 else f"{span.first}\N{EN DASH}{span.last}"
    more = [
        f"{count} {name}" for name, count in (("retried", span.retried), ("failed", span.failed))
    ]
    shown = [text for text in more if not text.startswith("0 ")]
    title = ", ".join([ids, render_duration(span.end - span.start), *shown])
    x = min((span.start - started_at) * scale, WIDTH - _LEAST_WIDTH)
    width = min(max((span.end - span.start) * scale, _LEAST_WIDTH), WIDTH - x)
    if span.failed < span.count:
        is_retried = span.retried * 10 >= span.count - span.failed
        yield _make_bar(x, width, title=title, kind="retried" if is_retried else "succeeded")
    if span.failed:
        height = HEIGHT * max(_LEAST_PART, span.failed / span.count)
        yield _make_bar(x, width, height=height, title=title, kind="failed")


def _render_processes(slot: Slot) -> str:
    numbers = ", ".join(map(str, slot.processes[:8]))
    more = len(slot.processes) - 8
    return f"process {numbers}" + (f" and {more} more" if more > 0 else "")


def draw_parts(parts: Iterable[tuple[str, float, str]]) -> tuple[Bar, ...]:
    """A row of kind, size and title as one bar across the drawing; nothing if all are 0."""
    given = [(kind, max(0.0, size), title) for kind, size, title in parts]
    total = sum(size for _, size, _ in given)
    bars, at = [], 0.0
    for kind, size, title in given:
        if size > 0:
            width = WIDTH * size / total
            bars.append(_make_bar(at, width, title=title, kind=kind))
            at += width
    return tuple(bars)


def draw_phases(seconds: Mapping[str, float]) -> tuple[Bar, ...]:
    """How long each phase of an ended job took."""
    return draw_parts(
        (name, seconds[name], f"{name}: {render_duration(seconds[name])}")
        for name in PHASES
        if name in seconds
    )


def _render_ticks(length: float) -> tuple[str, ...]:
    return ("0", *(render_duration(length * part / _TICKS) for part in range(1, _TICKS + 1)))


def _render_rate(rate: float) -> str:
    return render_count(rate) if rate >= 10 or rate == round(rate) else f"{rate:.1f}"


def _render_mini_batches(count: int) -> str:
    return f"{render_count(count)} mini-batch{'' if count == 1 else 'es'}"


def _make_bar(x: float, width: float, *, title: str, height: float = HEIGHT, kind: str = "") -> Bar:
    """A bar that stands on the ground, in tenths of a unit."""
    y = HEIGHT - height
    return Bar(round(x, 1), round(y, 1), round(width, 1), round(height, 1), title, kind)
