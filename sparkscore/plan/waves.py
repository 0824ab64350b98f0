"""Cuts pending mini-batches into tasks, and tasks into waves. Any process, pure.

A task is a range of consecutive mini-batch ids; a wave is one Spark job. The first wave holds the
same few mini-batches whatever the speed, because its results pin the output schema. Later waves
follow the measured speed: tasks of some seconds, waves that grow towards the checkpoint interval. A
task that has lasted ``max_task_seconds`` stops; what it leaves is pending again.
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sparkscore.plan.scoring_plan import ScoringPlan

ASSUMED_SECONDS_PER_WEIGHT = 1.0
"""What a mini-batch of mean size is taken to last before one was measured."""

_MIN_SECONDS_PER_WEIGHT = 1e-6
_MAX_DOUBLINGS = 30


@dataclass(frozen=True)
class TaskRange:
    """The mini-batches of one task: ids from ``start`` up to, not including, ``stop``."""

    start: int
    stop: int

    @property
    def mini_batch_ids(self) -> range:
        """The ids as a range."""
        return range(self.start, self.stop)


@dataclass(frozen=True)
class WaveLimits:
    """How long tasks and waves may last, and how many tasks and mini-batches they may hold.

    The driver holds the outcomes of a wave, some kilobytes a mini-batch, until it is committed.
    A task of one mini-batch may last longer, and a wave has a task for every slot, whatever the
    limits say.
    """

    checkpoint_interval_seconds: float = 600.0
    first_wave_seconds: float = 10.0
    task_seconds: float = 5.0
    min_task_seconds: float = 2.0
    max_task_seconds: float = 10.0
    max_task_mini_batch_count: int = 4_000
    max_wave_task_count: int = 10_000
    max_wave_mini_batch_count: int = 100_000


def plan_wave(
    plan: ScoringPlan,
    pending: Sequence[range],
    *,
    seconds_per_weight: float | None,
    slots: int,
    wave_number: int,
    limits: WaveLimits | None = None,
) -> list[TaskRange]:
    """The tasks of wave ``wave_number`` (from 0), in order; empty only if nothing is pending.

    ``pending`` are ranges of ids in order, without overlap. ``seconds_per_weight`` is how long a
    mini-batch of weight 1 was measured to last on its slot, None if none was.
    """
    first = list(_iter_first_wave(plan, pending, slots=max(slots, 1)))
    if first:
        return first
    seconds = ASSUMED_SECONDS_PER_WEIGHT if seconds_per_weight is None else seconds_per_weight
    pace = _Pace(
        plan.cumulative_weights,
        max(slots, 1),
        max(seconds, _MIN_SECONDS_PER_WEIGHT),
        limits or WaveLimits(),
    )
    return pace.cut_tasks(pace.take_pieces(pending, wave_number=wave_number))


def plan_pending(plan: ScoringPlan, *, done: Iterable[int] = ()) -> list[range]:
    """The mini-batches of ``plan`` that are not among the ids ``done``, as ranges in order."""
    is_done = np.zeros(plan.mini_batch_count + 2, dtype=bool)
    is_done[[0, -1]] = True
    is_done[np.fromiter(done, dtype=np.int64) + 1] = True
    edges = np.flatnonzero(is_done[1:] != is_done[:-1]).reshape(-1, 2).tolist()
    return [range(start, stop) for start, stop in edges]


def remove_tasks(pending: Sequence[range], tasks: Sequence[TaskRange]) -> list[range]:
    """``pending`` without the mini-batches of ``tasks``; both in order."""
    remaining = []
    position = 0
    for piece in pending:
        start = piece.start
        while position < len(tasks) and tasks[position].start < piece.stop:
            if start < tasks[position].start:
                remaining.append(range(start, tasks[position].start))
            start = tasks[position].stop
            position += 1
        if start < piece.stop:
            remaining.append(range(start, piece.stop))
    return remaining


def _iter_first_wave(
    plan: ScoringPlan, pending: Sequence[range], *, slots: int
) -> Iterator[TaskRange]:
    """A task for each slot: where mini-batches last long, tasks stop when their time is over."""
    pieces = [
        range(piece.start, min(piece.stop, plan.first_wave_count))
        for piece in pending
        if piece.start < plan.first_wave_count
    ]
    size = -(-sum(map(len, pieces)) // slots)
    for piece in pieces:
        for start in range(piece.start, piece.stop, size):
            yield TaskRange(start, min(start + size, piece.stop))


@dataclass(frozen=True)
class _Piece:
    """Consecutive pending ids; ``cumulative`` counts no mini-batch for more than one task."""

    start: int
    stop: int
    cumulative: npt.NDArray[np.float64]

    def __len__(self) -> int:
        return self.stop - self.start

    @property
    def weight(self) -> float:
        return float(self.cumulative[-1])


@dataclass(frozen=True)
class _Pace:
    """Limits in seconds, turned into weights by the measured speed."""

    weights_before: npt.NDArray[np.float64]
    slots: int
    seconds_per_weight: float
    limits: WaveLimits

    def take_pieces(self, pending: Sequence[range], *, wave_number: int) -> list[_Piece]:
        """The pending ids that fit into the wave, and at least one for every slot."""
        pieces: list[_Piece] = []
        room = self._get_wave_weight(wave_number)
        slots_left = self.slots
        count_left = max(self.limits.max_wave_mini_batch_count, self.slots)
        for ids in pending:
            stop = self._find_stop(ids.start, room)
            stop = min(max(stop, ids.start + slots_left), ids.start + count_left, ids.stop)
            if stop <= ids.start or len(pieces) == self._max_task_count:
                break
            pieces.append(self._get_piece(ids.start, stop))
            room -= self._get_weight(ids.start, stop)
            slots_left = max(0, slots_left - (stop - ids.start))
            count_left -= stop - ids.start
        return pieces

    def cut_tasks(self, pieces: Sequence[_Piece]) -> list[TaskRange]:
        """Tasks of about equal weight; what exceeds the wave's task count stays pending."""
        tasks: list[TaskRange] = []
        task_counts = _allot_tasks(pieces, task_count=self._count_tasks(pieces))
        for piece, task_count in zip(pieces, task_counts, strict=True):
            edges = _cut_evenly(piece, task_count=task_count)
            for start, stop in itertools.pairwise(edges):
                tasks.extend(self._iter_within_limits(start, stop))
        return tasks[: self._max_task_count]

    @property
    def _max_task_count(self) -> int:
        return max(self.limits.max_wave_task_count, self.slots)

    def _get_wave_weight(self, wave_number: int) -> float:
        doublings = min(max(wave_number - 1, 0), _MAX_DOUBLINGS)
        seconds = min(
            self.limits.first_wave_seconds * float(2**doublings),
            self.limits.checkpoint_interval_seconds,
        )
        tasks_seconds = self.limits.max_wave_task_count * self.limits.task_seconds
        return min(seconds * self.slots, tasks_seconds) / self.seconds_per_weight

    def _get_piece(self, start: int, stop: int) -> _Piece:
        weights = np.diff(self.weights_before[start : stop + 1])
        clipped = np.minimum(weights, self.limits.task_seconds / self.seconds_per_weight)
        return _Piece(start, stop, np.concatenate(([0.0], np.cumsum(clipped))))

    def _get_weight(self, start: int, stop: int) -> float:
        return float(self.weights_before[stop] - self.weights_before[start])

    def _find_stop(self, start: int, weight: float) -> int:
        """The last id up to which mini-batches from ``start`` on weigh no more than ``weight``."""
        limit = self.weights_before[start] + weight * (1 + 1e-9)
        return int(np.searchsorted(self.weights_before, limit, side="right")) - 1

    def _count_tasks(self, pieces: Sequence[_Piece]) -> int:
        """A multiple of the slots, so that they finish together; tasks last what they should."""
        mini_batch_count = sum(len(piece) for piece in pieces)
        seconds = sum(piece.weight for piece in pieces) * self.seconds_per_weight
        round_seconds = seconds / self.slots
        rounds = min(
            math.ceil(round_seconds / self.limits.task_seconds - 1e-9),
            math.floor(round_seconds / self.limits.min_task_seconds),
        )
        round_count = self.limits.max_task_mini_batch_count * self.slots
        rounds = max(rounds, math.ceil(mini_batch_count / round_count), 1)
        return min(rounds * self.slots, mini_batch_count)

    def _iter_within_limits(self, start: int, stop: int) -> Iterator[TaskRange]:
        max_weight = self.limits.max_task_seconds / self.seconds_per_weight
        while start < stop:
            end = min(
                max(self._find_stop(start, max_weight), start + 1),
                start + self.limits.max_task_mini_batch_count,
                stop,
            )
            yield TaskRange(start, end)
            start = end


def _allot_tasks(pieces: Sequence[_Piece], *, task_count: int) -> list[int]:
    """How many tasks each piece is cut into: at least one, together at least ``task_count``."""
    share = sum(piece.weight for piece in pieces) / max(task_count, 1)
    counts = [min(len(piece), max(1, round(piece.weight / share))) for piece in pieces]
    heaviest = [
        (-piece.weight / count, index)
        for index, (piece, count) in enumerate(zip(pieces, counts, strict=True))
        if count < len(piece)
    ]
    heapq.heapify(heaviest)
    for _ in range(task_count - sum(counts)):
        _, index = heapq.heappop(heaviest)
        counts[index] += 1
        if counts[index] < len(pieces[index]):
            heapq.heappush(heaviest, (-pieces[index].weight / counts[index], index))
    return counts


def _cut_evenly(piece: _Piece, *, task_count: int) -> list[int]:
    """The edges of ``task_count`` tasks, none empty, each cut where it is nearest to even."""
    cumulative = piece.cumulative
    order = np.arange(1, task_count)
    wanted = piece.weight * order / task_count
    after = np.maximum(np.searchsorted(cumulative, wanted), 1)
    is_before_nearer = wanted - cumulative[after - 1] < cumulative[after] - wanted
    cuts = np.maximum(after - is_before_nearer, 0)
    cuts = np.maximum.accumulate(np.maximum(cuts - order, 0)) + order
    cuts = np.minimum(cuts, len(piece) - task_count + order)
    return [piece.start, *(cuts + piece.start).tolist(), piece.stop]
