"""How mini-batches went, over time and by their duration: what charts show. Control plane.

Pure; numpy in functions. Times are seconds since the epoch.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sparkscore.control.jobs.mini_batch_columns import Columns

if TYPE_CHECKING:
    import numpy as np

_STEPS = (1, 2, 5)
_LOG_FROM = 30.0
"""Durations whose longest is so many times their shortest are shown on a logarithmic axis."""

_SHORTEST_SECONDS = 1e-4


@dataclass(frozen=True)
class Throughput:
    """Inputs per second in bins of ``bin_seconds``, the first from ``started_at`` on."""

    started_at: float
    bin_seconds: float
    inputs_per_second: tuple[float, ...]


@dataclass(frozen=True)
class Durations:
    """How many mini-batches lasted how long; ``edges`` (seconds) has one more than ``counts``."""

    edges: tuple[float, ...]
    counts: tuple[int, ...]
    median_seconds: float
    p95_seconds: float
    longest_seconds: float
    is_log: bool


@dataclass(frozen=True)
class Span:
    """Mini-batches that one slot scored one after another; ids from ``first`` to ``last``."""

    start: float
    end: float
    first: int
    last: int
    count: int
    retried: int
    failed: int


@dataclass(frozen=True)
class Slot:
    """What ran on one slot of a host: in one process, or in several one after another."""

    host: str
    number: int
    processes: tuple[int, ...]
    spans: tuple[Span, ...]


@dataclass(frozen=True)
class Timeline:
    """The slots by host; ``left_out`` more are not shown."""

    started_at: float
    ended_at: float
    slots: tuple[Slot, ...]
    left_out: int


def measure_throughput(columns: Columns, *, most: int = 120) -> Throughput | None:
    """Inputs per second over time, at most so many bins; None if nothing has finished.

    The inputs of a mini-batch count evenly from its start to its end.
    """
    import numpy as np

    if not len(columns):
        return None
    origin = float(columns.started_at.min())
    starts = columns.started_at - origin
    lengths = np.maximum(columns.seconds, _SHORTEST_SECONDS)
    width = find_step(float((starts + lengths).max()) / most)
    count = min(most, math.ceil(float((starts + lengths).max()) / width))
    edges = np.arange(count + 1) * width
    rates = columns.inputs / lengths
    total = _sum_ramps(edges, starts, rates) - _sum_ramps(edges, starts + lengths, rates)
    per_second = np.maximum(np.diff(total) / width, 0.0)
    return Throughput(origin, width, tuple(per_second.tolist()))


def _sum_ramps(
    edges: np.ndarray[Any, Any], starts: np.ndarray[Any, Any], rates: np.ndarray[Any, Any]
) -> np.ndarray[Any, Any]:
    """At each edge, the sum of ``rate * (edge - start)`` over what has started before."""
    import numpy as np

    bins = np.searchsorted(edges, starts, side="right")
    size = len(edges) + 1
    slope = np.bincount(bins, rates, size).cumsum()[: len(edges)]
    offset = np.bincount(bins, rates * starts, size).cumsum()[: len(edges)]
    total: np.ndarray[Any, Any] = edges * slope - offset
    return total


def find_step(least: float) -> float:
    """The smallest of 1, 2, 5, 10, 20 ... (or 0.1, 0.2 ...) that is no less than ``least``."""
    power = 10.0 ** math.floor(math.log10(max(least, 1e-3)))
    fits = (step * power for step in _STEPS if step * power >= least * (1 - 1e-9))
    return next(fits, 10 * power)


def measure_durations(columns: Columns, *, most: int = 30) -> Durations | None:
    """Seconds of mini-batches with all attempts, in at most so many bins; None without any."""
    import numpy as np

    if not len(columns):
        return None
    seconds = np.maximum(columns.seconds, _SHORTEST_SECONDS)
    median, p95 = np.percentile(seconds, [50, 95]).tolist()
    least, longest = float(seconds.min()), float(seconds.max())
    is_log = longest / least > _LOG_FROM
    if is_log:
        low, high = math.log10(least), math.log10(longest)
        edges: np.ndarray[Any, Any] = np.logspace(low, high, _count_bins(len(seconds), most) + 1)
        edges[0], edges[-1] = least, longest
    else:
        step = find_step(longest / most)
        edges = np.arange(math.ceil(longest / step * (1 - 1e-9)) + 1) * step
        edges[-1] = max(edges[-1], longest)
    counts, _ = np.histogram(seconds, edges)
    return Durations(
        tuple(edges.tolist()), tuple(counts.tolist()), median, p95, longest, is_log=is_log
    )


def _count_bins(count: int, most: int) -> int:
    """More bins for more values, so that few do not make a row of single ones."""
    return max(5, min(most, round(2.0 * math.pow(count, 1 / 3)) + 3))


def draw_timeline(
    columns: Columns, *, most_slots: int = 40, most_spans: int = 60, most_in_all: int = 600
) -> Timeline:
    """What ran when on which slot.

    Slots are not recorded: processes of a host that did not run at the same time share one. Of a
    slot with more than ``most_spans`` mini-batches (fewer, if ``most_in_all`` of all slots would be
    passed), those that began in the same part of the time are one span.
    """
    import numpy as np

    if not len(columns):
        return Timeline(0.0, 0.0, (), 0)
    start = float(columns.started_at.min())
    ends = columns.started_at + columns.seconds
    end = max(float(ends.max()), start + _SHORTEST_SECONDS)
    names, process = np.unique(columns.process, return_inverse=True)
    keys, owner = np.unique(columns.host * len(names) + process, return_inverse=True)
    hosts, processes = keys // len(names), names[keys % len(names)]
    lanes = _find_lanes(hosts.tolist(), *_find_extents(owner, columns, ends))
    order = sorted(set(lanes), key=lambda lane: (columns.hosts[lane[0]], lane[1]))
    numbers = {lane: number for number, lane in enumerate(order)}
    lane_of_process = np.array([numbers[lane] for lane in lanes])
    share = most_in_all // min(len(order), most_slots)
    most_spans = max(1, min(most_spans, share))
    spans = _merge_spans(
        columns, ends, lane_of_process[owner], len(order), (start, end), most_spans
    )
    named: list[list[int]] = [[] for _ in order]
    for process, lane in zip(processes.tolist(), lanes, strict=True):
        named[numbers[lane]].append(process)
    slots = tuple(
        Slot(columns.hosts[host], number + 1, tuple(named[index]), tuple(spans[index]))
        for index, (host, number) in enumerate(order[:most_slots])
    )
    return Timeline(start, end, slots, max(0, len(order) - most_slots))


def _find_extents(
    owner: np.ndarray[Any, Any], columns: Columns, ends: np.ndarray[Any, Any]
) -> tuple[list[float], list[float]]:
    """First start and last end of each process."""
    import numpy as np

    first = np.full(int(owner.max()) + 1, np.inf)
    last = np.full(int(owner.max()) + 1, -np.inf)
    np.minimum.at(first, owner, columns.started_at)
    np.maximum.at(last, owner, ends)
    return first.tolist(), last.tolist()


def _find_lanes(hosts: list[int], first: list[float], last: list[float]) -> list[tuple[int, int]]:
    """For each process its host and the lowest slot there that is free when it starts."""
    lanes: list[tuple[int, int]] = [(0, 0)] * len(hosts)
    busy_until: dict[int, list[float]] = {}
    for index in sorted(range(len(hosts)), key=first.__getitem__):
        ends = busy_until.setdefault(hosts[index], [])
        free = next((lane for lane, end in enumerate(ends) if end <= first[index]), len(ends))
        ends[free : free + 1] = [last[index]]
        lanes[index] = (hosts[index], free)
    return lanes


def _merge_spans(
    columns: Columns,
    ends: np.ndarray[Any, Any],
    lane: np.ndarray[Any, Any],
    lane_count: int,
    extent: tuple[float, float],
    most: int,
) -> list[list[Span]]:
    import numpy as np

    start, end = extent
    order = np.lexsort((columns.started_at, lane))
    lanes, starts = lane[order], columns.started_at[order]
    part = ((starts - start) / (end - start) * most).astype(np.int64).clip(0, most - 1)
    is_few = np.bincount(lane, minlength=lane_count)[lanes] <= most
    is_new = np.ones(len(order), dtype=bool)
    is_new[1:] = (lanes[1:] != lanes[:-1]) | (part[1:] != part[:-1]) | is_few[1:]
    at = np.flatnonzero(is_new)
    ids, is_failed = columns.ids[order], columns.is_failed[order]
    is_retried = (columns.retries[order] > 0) & ~is_failed
    values = (
        starts[at],
        np.maximum.reduceat(ends[order], at),
        np.minimum.reduceat(ids, at),
        np.maximum.reduceat(ids, at),
        np.diff(np.append(at, len(order))),
        np.add.reduceat(is_retried.astype(np.int64), at),
        np.add.reduceat(is_failed.astype(np.int64), at),
    )
    spans: list[list[Span]] = [[] for _ in range(lane_count)]
    rows = zip(lanes[at].tolist(), *(value.tolist() for value in values), strict=True)
    for number, *row in rows:
        spans[number].append(Span(*row))
    return spans
