"""Tasks and waves. Any process."""

from __future__ import annotations

import itertools

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparkscore.plan import (
    ScoringPlan,
    TaskRange,
    WaveLimits,
    plan_pending,
    plan_scoring,
    plan_wave,
    remove_tasks,
)

LIMITS = WaveLimits()


def make_plan(sizes: list[int], *, slots: int = 2) -> ScoringPlan:
    files = pa.table(
        {
            "path": [f"{number:06}" for number in range(len(sizes))],
            "size": pa.array(sizes, pa.int64()),
            "etag": [""] * len(sizes),
        }
    )
    return plan_scoring(files, mini_batch_size=1, root="/in", transport="direct", slots=slots)


def walk_waves(
    plan: ScoringPlan,
    pending: list[range],
    *,
    seconds: float | None = None,
    slots: int = 2,
    limits: WaveLimits = LIMITS,
) -> list[list[TaskRange]]:
    waves: list[list[TaskRange]] = []
    while pending:
        tasks = plan_wave(
            plan,
            pending,
            seconds_per_weight=seconds,
            slots=slots,
            wave_number=len(waves),
            limits=limits,
        )
        assert tasks
        pending = remove_tasks(pending, tasks)
        waves.append(tasks)
    return waves


def list_ids(ranges: list[range] | list[TaskRange]) -> list[int]:
    pieces = [piece if isinstance(piece, range) else piece.mini_batch_ids for piece in ranges]
    return list(itertools.chain.from_iterable(pieces))


def get_seconds(plan: ScoringPlan, task: TaskRange, seconds: float | None) -> float:
    weights = plan.cumulative_weights
    return float(weights[task.stop] - weights[task.start]) * (seconds or 1.0)


sizes_strategy = st.lists(
    st.one_of(st.just(0), st.integers(0, 100), st.integers(0, 10**9)), min_size=1, max_size=250
)
seconds_strategy = st.one_of(st.none(), st.floats(1e-9, 1000.0))
limits_strategy = st.builds(
    WaveLimits,
    checkpoint_interval_seconds=st.floats(1.0, 900.0),
    max_task_mini_batch_count=st.integers(1, 60),
    max_wave_task_count=st.integers(1, 60),
)


@settings(max_examples=300, deadline=None)
@given(
    sizes_strategy,
    st.sets(st.integers(0, 249)),
    seconds_strategy,
    st.integers(1, 40),
    st.integers(1, 40),
    limits_strategy,
)
def test_waves__cover_what_is_pending_once(sizes, done, seconds, plan_slots, slots, limits):
    plan = make_plan(sizes, slots=plan_slots)
    pending = plan_pending(plan, done={number for number in done if number < len(sizes)})
    waves = walk_waves(plan, pending, seconds=seconds, slots=slots, limits=limits)
    tasks = list(itertools.chain.from_iterable(waves))
    assert all(task.start < task.stop for task in tasks)
    assert list_ids(tasks) == list_ids(pending)
    assert waves == walk_waves(plan, pending, seconds=seconds, slots=slots, limits=limits)
    for wave in waves:
        is_first = wave[0].start < plan.first_wave_count
        assert all((task.start < plan.first_wave_count) == is_first for task in wave)
        if is_first:
            count = len(list_ids(wave))
            assert max(len(task.mini_batch_ids) for task in wave) <= -(-count // slots)
        else:
            check_limits(plan, wave, seconds, slots, limits)
            assert len(wave) >= min(slots, len(list_ids(wave)))


def check_limits(plan, wave, seconds, slots, limits):
    assert len(wave) <= max(limits.max_wave_task_count, slots)
    for task in wave:
        mini_batch_count = len(task.mini_batch_ids)
        assert mini_batch_count <= limits.max_task_mini_batch_count
        if mini_batch_count > 1:
            assert get_seconds(plan, task, seconds) <= limits.max_task_seconds * 1.001
    total = sum(get_seconds(plan, task, seconds) for task in wave)
    allowed = limits.checkpoint_interval_seconds * slots
    if len(list_ids(wave)) > slots:
        assert total <= allowed * 1.001 + slots * max(
            get_seconds(plan, TaskRange(number, number + 1), seconds) for number in list_ids(wave)
        )


@settings(max_examples=200, deadline=None)
@given(st.integers(1, 2000), st.integers(1, 16), st.floats(0.001, 1.0), st.integers(1, 7))
def test_waves__tasks_last_two_to_ten_seconds(count, slots, seconds, wave_number):
    plan = make_plan([0] * (8 + count))
    ids = range(8, 8 + count)
    tasks = plan_wave(plan, [ids], seconds_per_weight=seconds, slots=slots, wave_number=wave_number)
    lengths = [get_seconds(plan, task, seconds) for task in tasks]
    assert max(lengths) <= 10.0
    assert max(lengths) - min(lengths) <= 2 * seconds + 1e-6
    if len(tasks) > slots:
        assert sum(lengths) / len(lengths) >= 2.0
    assert len(tasks) >= min(slots, count)


def test_first_wave__one_task_per_slot():
    plan = make_plan([1] * 30, slots=12)
    tasks = plan_wave(plan, plan_pending(plan), seconds_per_weight=None, slots=2, wave_number=0)
    assert tasks == [TaskRange(0, 6), TaskRange(6, 12)]


def test_first_wave__what_a_resumed_job_has_left_of_it():
    plan = make_plan([1] * 30)
    pending = plan_pending(plan, done=[0, 1, 3, 20])
    tasks = plan_wave(plan, pending, seconds_per_weight=0.001, slots=2, wave_number=5)
    assert list_ids(tasks) == [2, 4, 5, 6, 7]
    assert [len(task.mini_batch_ids) for task in tasks] == [1, 3, 1]


def test_waves__grow_to_the_checkpoint_interval():
    plan = make_plan([0] * 1000)
    limits = WaveLimits(checkpoint_interval_seconds=60)
    waves = walk_waves(plan, plan_pending(plan), seconds=1.0, slots=2, limits=limits)
    lengths = [len(list_ids(wave)) / 2 for wave in waves]
    assert lengths[:6] == [4, 10, 20, 40, 60, 60]


def test_waves__last_one_is_split_evenly():
    plan = make_plan([0] * (8 + 23))
    tasks = plan_wave(plan, [range(8, 31)], seconds_per_weight=1.0, slots=4, wave_number=9)
    assert [len(task.mini_batch_ids) for task in tasks] == [3, 3, 3, 3, 2, 3, 3, 3]


def test_waves__little_work_still_fills_all_slots():
    plan = make_plan([0] * (8 + 4))
    tasks = plan_wave(plan, [range(8, 12)], seconds_per_weight=0.001, slots=3, wave_number=1)
    assert len(tasks) == 3


def test_waves__slow_mini_batches_still_fill_all_slots():
    plan = make_plan([0] * 100)
    tasks = plan_wave(plan, [range(8, 100)], seconds_per_weight=120.0, slots=4, wave_number=1)
    assert tasks == [TaskRange(number, number + 1) for number in range(8, 12)]


def test_waves__fast_mini_batches_are_bounded_by_count():
    plan = make_plan([0] * 50_008)
    tasks = plan_wave(plan, [range(8, 50_008)], seconds_per_weight=1e-5, slots=2, wave_number=1)
    assert len(tasks) == 14
    assert max(len(task.mini_batch_ids) for task in tasks) <= 4_000


def test_waves__hold_no_more_mini_batches_than_the_driver_can():
    plan = make_plan([1] * 1000)
    limits = WaveLimits(max_wave_mini_batch_count=100)
    pending = [range(100, 130), range(140, 1000)]
    wave = plan_wave(plan, pending, seconds_per_weight=1e-6, slots=2, wave_number=9, limits=limits)
    assert list_ids(wave) == [*range(100, 130), *range(140, 210)]
    limits = WaveLimits(max_wave_mini_batch_count=1)
    wave = plan_wave(plan, pending, seconds_per_weight=1e-6, slots=4, wave_number=9, limits=limits)
    assert len(list_ids(wave)) == 4


def test_waves__speed_of_zero_is_a_speed():
    plan = make_plan([0] * 20)
    tasks = plan_wave(plan, [range(8, 20)], seconds_per_weight=0.0, slots=2, wave_number=1)
    assert tasks == [TaskRange(8, 14), TaskRange(14, 20)]


def test_waves__heavy_mini_batch_has_a_task_of_its_own():
    sizes = [100] * 40
    sizes[20] = 100_000
    plan = make_plan(sizes)
    tasks = plan_wave(plan, [range(8, 40)], seconds_per_weight=1.0, slots=2, wave_number=9)
    assert TaskRange(20, 21) in tasks
    assert len(tasks) <= 8


def test_waves__pieces_are_not_joined():
    plan = make_plan([0] * 40)
    pending = plan_pending(plan, done=[*range(12), *range(15, 30), 35])
    tasks = plan_wave(plan, pending, seconds_per_weight=1.0, slots=2, wave_number=9)
    assert list_ids(tasks) == [12, 13, 14, 30, 31, 32, 33, 34, 36, 37, 38, 39]
    assert [task.start for task in tasks] == [12, 30, 33, 36]


def test_waves__nothing_pending():
    plan = make_plan([0])
    assert plan_wave(plan, [], seconds_per_weight=None, slots=2, wave_number=0) == []


@pytest.mark.slow
def test_waves__million_mini_batches_in_resumed_splinters():
    plan = make_plan([0] * 1_000_000)
    pending = plan_pending(plan, done=range(8, 1_000_000, 2))
    pending = remove_tasks(pending, [TaskRange(0, 8)])
    tasks = plan_wave(plan, pending, seconds_per_weight=0.001, slots=2, wave_number=20)
    assert len(tasks) == 10_000


@given(st.integers(1, 60), st.sets(st.integers(0, 59)))
def test_pending__is_what_is_not_done(count, done):
    plan = make_plan([0] * count)
    done = {number for number in done if number < count}
    pending = plan_pending(plan, done=done)
    assert list_ids(pending) == [number for number in range(count) if number not in done]
    assert all(before.stop < after.start for before, after in itertools.pairwise(pending))
    assert all(len(piece) > 0 for piece in pending)


@given(st.sets(st.integers(0, 59)), st.sets(st.integers(0, 59)))
def test_remove_tasks__leaves_the_rest(done, running):
    plan = make_plan([0] * 60)
    pending = plan_pending(plan, done=done)
    running -= done
    tasks = [TaskRange(number, number + 1) for number in sorted(running)]
    left = remove_tasks(pending, tasks)
    assert left == plan_pending(plan, done=done | running)
