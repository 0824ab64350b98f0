"""What a driver holds of a job does not grow with the mini-batches that it has scored."""

from __future__ import annotations

import gc
import json
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from sparkscore.driver import job_run, run, scoring
from sparkscore.driver.publishing import publish_output
from sparkscore.messages.launch import LaunchMessage
from sparkscore.messages.status import COMPLETED, SummaryMessage
from sparkscore.plan.scoring_plan import plan_scoring, write_plan
from tests.launches import make_launch, make_scoring
from tests.simulated_cluster import SimulatedScript, SimulatedSession, make_files

SLOTS = 50
WAVE_SECONDS = 20
PER_WAVE = SLOTS * WAVE_SECONDS
BLOCKS_EACH = 1.0
"""An outcome alone has more than twenty."""


def make_job(folder: Path) -> LaunchMessage:
    return make_launch(
        str(folder / "job"),
        inputs="/inputs",
        output=str(folder / "out"),
        scoring=make_scoring(
            model_folder=str(folder), model_name="model.txt", code_folder=str(folder), max_retries=3
        ),
        checkpoint_interval_seconds=WAVE_SECONDS,
    )


def run_simulated(folder: Path, mini_batches: int, script: SimulatedScript) -> SummaryMessage:
    launch = make_job(folder)
    Path(launch.job_folder, "logs").mkdir(parents=True)
    plan = plan_scoring(
        make_files(mini_batches), mini_batch_size=1, root="/inputs", transport="direct", slots=SLOTS
    )
    write_plan(plan, launch.job_folder)
    summary: SummaryMessage = run(SimulatedSession(script, slots=SLOTS), launch)  # type: ignore[arg-type]
    assert summary.status == COMPLETED, summary.error
    return summary


def wave_sizes(folder: Path) -> list[int]:
    with open(folder / "job" / "events.jsonl", encoding="utf-8") as lines:
        waves = [
            event["details"] for event in map(json.loads, lines) if event["type"] == "wave_started"
        ]
    return [sum(stop - start for start, stop in wave["mini_batches"]) for wave in waves]


@pytest.fixture
def blocks_held(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many blocks of memory Python held as each job had been scored and was to be published."""
    held: list[int] = []
    publish = publish_output

    def count_and_publish(*arguments: Any, **settings: Any) -> Any:
        gc.collect()
        held.append(sys.getallocatedblocks())
        return publish(*arguments, **settings)

    monkeypatch.setattr(job_run, "publish_output", count_and_publish)
    return held


def test_scoring__holds_as_much_of_many_mini_batches_as_of_few(
    tmp_path: Path, blocks_held: list[int]
) -> None:
    script = SimulatedScript(seconds=1.0, failing=50)
    sizes = (2_000, 2_000, 10_000)
    for number, size in enumerate(sizes):
        folder = tmp_path / str(number)
        summary = run_simulated(folder, size, script)
        failed = size // script.failing
        assert (summary.inputs.succeeded, summary.inputs.failed) == (size - failed, failed)
        assert summary.rows == size - failed
        ids = pq.read_table(folder / "job/ledger/outcomes.parquet", columns=["mini_batch_id"])
        assert sorted(ids.column(0).to_pylist()) == list(range(size))
    assert max(wave_sizes(tmp_path / "2")) < 1.1 * PER_WAVE
    _, few, many = blocks_held
    assert (many - few) / (sizes[2] - sizes[1]) < BLOCKS_EACH


def test_scoring__waves_are_smaller_where_mini_batches_have_much_to_tell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scoring, "_MOST_TOLD_BYTES", 200_000)
    run_simulated(tmp_path / "little", 2_000, SimulatedScript(seconds=1.0))
    run_simulated(tmp_path / "much", 2_000, SimulatedScript(seconds=1.0, failing=2))
    assert max(wave_sizes(tmp_path / "little")) > 400
    assert max(wave_sizes(tmp_path / "much")) < 250
