"""Says what a plan will do, by walking the same waves that a run walks. Any process, pure."""

from __future__ import annotations

from dataclasses import dataclass, field

import pyarrow.compute as pc

from sparkscore.plan.scoring_plan import ScoringPlan
from sparkscore.plan.waves import (
    ASSUMED_SECONDS_PER_WEIGHT,
    WaveLimits,
    plan_pending,
    plan_wave,
    remove_tasks,
)

_SHOWN_WAVE_COUNT = 8
_TRANSPORTS = {
    "direct": "in place",
    "fetch": "after a copy to the worker's scratch folder",
}


@dataclass(frozen=True)
class WaveExplanation:
    """One wave; ``seconds`` is its length on all slots under the assumed speed."""

    wave: int
    tasks: int
    mini_batches: int
    inputs: int
    bytes: int
    seconds: float


@dataclass(frozen=True)
class PlanExplanation:
    """What ``--plan`` shows; ``to_dict`` of the message codec gives its JSON.

    Waves and tasks hold under ``assumed_seconds_per_mini_batch``: those of a run follow the
    measured speed, and only the first wave is sure. ``driver_memory_bytes`` and
    ``task_attempts`` are None where Spark or the cluster decides.
    """

    root: str
    transport: str
    inputs: int
    bytes: int
    skipped_hidden: int
    skipped_filtered: int
    mini_batch_size: int
    mini_batches: int
    tasks: int
    slots: int
    slots_reason: str
    checkpoint_interval_seconds: float
    assumed_seconds_per_mini_batch: float
    driver_memory_bytes: int | None
    task_attempts: int | None
    digest: str
    waves: tuple[WaveExplanation, ...] = field(default=())


def explain_plan(
    plan: ScoringPlan,
    *,
    slots: int,
    checkpoint_interval_seconds: float,
    slots_reason: str = "",
    driver_memory_bytes: int | None = None,
    task_attempts: int | None = None,
) -> PlanExplanation:
    """The facts of ``plan``, with the waves that it would have at the assumed speed."""
    limits = WaveLimits(checkpoint_interval_seconds=checkpoint_interval_seconds)
    waves = _walk_waves(plan, slots=slots, limits=limits)
    return PlanExplanation(
        root=plan.root,
        transport=plan.transport,
        inputs=plan.input_count,
        bytes=plan.input_bytes,
        skipped_hidden=plan.skipped_hidden_count,
        skipped_filtered=plan.skipped_filtered_count,
        mini_batch_size=plan.mini_batch_size,
        mini_batches=plan.mini_batch_count,
        tasks=sum(wave.tasks for wave in waves),
        slots=slots,
        slots_reason=slots_reason,
        checkpoint_interval_seconds=checkpoint_interval_seconds,
        assumed_seconds_per_mini_batch=ASSUMED_SECONDS_PER_WEIGHT,
        driver_memory_bytes=driver_memory_bytes,
        task_attempts=task_attempts,
        digest=plan.digest,
        waves=waves,
    )


def render_plan(explanation: PlanExplanation) -> str:
    """The explanation as text of some lines, without a final newline."""
    return "\n".join([*_list_facts(explanation), *_list_waves(explanation)])


def _walk_waves(
    plan: ScoringPlan, *, slots: int, limits: WaveLimits
) -> tuple[WaveExplanation, ...]:
    waves: list[WaveExplanation] = []
    pending = plan_pending(plan)
    while pending:
        tasks = plan_wave(
            plan,
            pending,
            seconds_per_weight=None,
            slots=slots,
            wave_number=len(waves),
            limits=limits,
        )
        ids = range(tasks[0].start, tasks[-1].stop)
        waves.append(_explain_wave(plan, ids, wave=len(waves), tasks=len(tasks), slots=slots))
        pending = remove_tasks(pending, tasks)
    return tuple(waves)


def _explain_wave(
    plan: ScoringPlan, ids: range, *, wave: int, tasks: int, slots: int
) -> WaveExplanation:
    files = plan.get_files(ids)
    weight = float(plan.cumulative_weights[ids.stop] - plan.cumulative_weights[ids.start])
    return WaveExplanation(
        wave=wave,
        tasks=tasks,
        mini_batches=len(ids),
        inputs=files.num_rows,
        bytes=int(pc.sum(files["size"]).as_py()),
        seconds=round(weight * ASSUMED_SECONDS_PER_WEIGHT / min(slots, tasks), 1),
    )


def _list_facts(explanation: PlanExplanation) -> list[str]:
    facts = {
        "inputs": f"{explanation.inputs:,} files, {_render_bytes(explanation.bytes)}",
        "hidden, skipped": f"{explanation.skipped_hidden:,}",
        "filtered, skipped": f"{explanation.skipped_filtered:,}",
        "read": _TRANSPORTS.get(explanation.transport, explanation.transport),
        "mini-batches": f"{explanation.mini_batches:,} of at most {explanation.mini_batch_size:,}",
        "slots": _with_reason(f"{explanation.slots:,}", explanation.slots_reason),
        "JVM heap": _render_heap(explanation.driver_memory_bytes),
        "attempts per task": str(explanation.task_attempts or "as the cluster is set up"),
        "checkpoint interval": f"{explanation.checkpoint_interval_seconds:g} s",
        "tasks": f"{explanation.tasks:,} in {_render_count(len(explanation.waves), 'wave')}",
    }
    return [
        f"Plan {explanation.digest[:12]} for {explanation.root}",
        *(f"  {name:<20} {value}" for name, value in facts.items()),
        (
            f"  assumed: {explanation.assumed_seconds_per_mini_batch:g} s per mini-batch; "
            "sizes of later waves follow the measured speed"
        ),
    ]


def _list_waves(explanation: PlanExplanation) -> list[str]:
    waves = explanation.waves
    shown = waves if len(waves) <= _SHOWN_WAVE_COUNT else waves[: _SHOWN_WAVE_COUNT - 1]
    lines = [_render_wave(wave) for wave in shown]
    if len(shown) < len(waves):
        lines.append(f"  ... and {_render_count(len(waves) - len(shown) - 1, 'wave')} up to")
        lines.append(_render_wave(waves[-1]))
    return lines


def _render_wave(wave: WaveExplanation) -> str:
    return (
        f"  wave {wave.wave}: {_render_count(wave.tasks, 'task')}, "
        f"{_render_count(wave.mini_batches, 'mini-batch')}, "
        f"{_render_count(wave.inputs, 'input')}, "
        f"{_render_bytes(wave.bytes)}, {wave.seconds:g} s"
    )


def _render_count(count: int, noun: str) -> str:
    plural = "es" if noun.endswith("ch") else "s"
    return f"{count:,} {noun}{'' if count == 1 else plural}"


def _render_heap(count_bytes: int | None) -> str:
    return "as Spark is set up" if count_bytes is None else _render_bytes(count_bytes)


def _render_bytes(count_bytes: int) -> str:
    amount = float(count_bytes)
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if amount < 1024:
            return f"{amount:,.0f} {unit}" if unit == "bytes" else f"{amount:,.1f} {unit}"
        amount /= 1024
    return f"{amount:,.1f} TiB"


def _with_reason(value: str, reason: str) -> str:
    return f"{value} ({reason})" if reason else value
