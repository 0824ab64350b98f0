"""What --plan shows. Any process."""

from __future__ import annotations

import json

import pyarrow as pa

from sparkscore.messages.codec import to_dict
from sparkscore.plan import (
    PlanExplanation,
    ScoringPlan,
    explain_plan,
    plan_pending,
    plan_scoring,
    plan_wave,
    remove_tasks,
    render_plan,
)


def make_plan(file_count: int) -> ScoringPlan:
    files = pa.table(
        {
            "path": [f"{number:06}" for number in range(file_count)],
            "size": pa.array([1024] * file_count, pa.int64()),
            "etag": [""] * file_count,
        }
    )
    return plan_scoring(
        files,
        mini_batch_size=10,
        root="/data/images",
        transport="direct",
        slots=2,
        skipped_hidden_count=3,
    )


def explain(file_count: int) -> PlanExplanation:
    return explain_plan(
        make_plan(file_count),
        slots=2,
        checkpoint_interval_seconds=600,
        slots_reason="all cores",
        driver_memory_bytes=4 * 1024**3,
        task_attempts=4,
    )


def test_explanation__counts():
    explanation = explain(1797)
    assert (explanation.inputs, explanation.bytes) == (1797, 1797 * 1024)
    assert (explanation.mini_batches, explanation.skipped_hidden) == (180, 3)
    assert sum(wave.mini_batches for wave in explanation.waves) == 180
    assert sum(wave.inputs for wave in explanation.waves) == 1797
    assert sum(wave.bytes for wave in explanation.waves) == 1797 * 1024
    assert sum(wave.tasks for wave in explanation.waves) == explanation.tasks


def test_explanation__waves_are_those_of_a_run():
    plan = make_plan(1797)
    pending = plan_pending(plan)
    for wave in explain(1797).waves:
        tasks = plan_wave(plan, pending, seconds_per_weight=None, slots=2, wave_number=wave.wave)
        assert wave.tasks == len(tasks)
        pending = remove_tasks(pending, tasks)
    assert pending == []


def test_explanation__is_json():
    content = to_dict(explain(25))
    assert json.loads(json.dumps(content)) == content
    assert content["waves"] == [
        {"wave": 0, "tasks": 2, "mini_batches": 3, "inputs": 25, "bytes": 25600, "seconds": 1.5}
    ]


def test_render__all_facts():
    plan = make_plan(1800)
    assert render_plan(explain(1800)).splitlines() == [
        f"Plan {plan.digest[:12]} for /data/images",
        "  inputs               1,800 files, 1.8 MiB",
        "  hidden, skipped      3",
        "  filtered, skipped    0",
        "  read                 in place",
        "  mini-batches         180 of at most 10",
        "  slots                2 (all cores)",
        "  JVM heap             4.0 GiB",
        "  attempts per task    4",
        "  checkpoint interval  600 s",
        "  tasks                38 in 5 waves",
        "  assumed: 1 s per mini-batch; sizes of later waves follow the measured speed",
        "  wave 0: 2 tasks, 8 mini-batches, 80 inputs, 80.0 KiB, 4 s",
        "  wave 1: 4 tasks, 20 mini-batches, 200 inputs, 200.0 KiB, 10 s",
        "  wave 2: 8 tasks, 40 mini-batches, 400 inputs, 400.0 KiB, 20 s",
        "  wave 3: 16 tasks, 80 mini-batches, 800 inputs, 800.0 KiB, 40 s",
        "  wave 4: 8 tasks, 32 mini-batches, 320 inputs, 320.0 KiB, 16 s",
    ]


def test_render__one_of_each():
    text = render_plan(explain(1))
    assert "1 in 1 wave\n" in text
    assert "wave 0: 1 task, 1 mini-batch, 1 input, 1.0 KiB, 1 s" in text


def test_render__many_waves_are_shortened():
    lines = render_plan(explain(100_000)).splitlines()
    shown = [line for line in lines if line.startswith("  wave")]
    assert len(shown) == 8
    assert lines[-1].startswith(f"  wave {len(explain(100_000).waves) - 1}:")
    assert lines[-2] == f"  ... and {len(explain(100_000).waves) - 8} waves up to"


def test_render__what_the_cluster_decides():
    explanation = explain_plan(make_plan(1), slots=4, checkpoint_interval_seconds=60)
    text = render_plan(explanation)
    assert "slots                4\n" in text
    assert "JVM heap             as Spark is set up" in text
    assert "attempts per task    as the cluster is set up" in text
