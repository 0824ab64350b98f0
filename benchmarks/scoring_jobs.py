"""Build the launch messages of benchmark jobs and run them. Runs in the driver."""

from __future__ import annotations

import itertools
import json
import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq
from pyspark.sql import SparkSession

from sparkscore.driver import run
from sparkscore.messages.launch import (
    EnvironmentMessage,
    InputMessage,
    LaunchMessage,
    OutputMessage,
    ScoringMessage,
)
from sparkscore.messages.status import COMPLETED, SummaryMessage

PUBLISHED = ("score", "publish")
"""The phases of a job that are left once its session and its plan stand."""


@dataclass(frozen=True)
class Benchmark:
    """What is scored and how; ``model`` is a file or folder, ``code`` a folder with score.py."""

    name: str
    inputs: Path
    model: Path
    mini_batch_size: int
    output_file_name: str
    slots: int
    code: Path | None = None
    environment: EnvironmentMessage | None = None

    @property
    def output_format(self) -> str:
        return Path(self.output_file_name).suffix[1:]


def make_launch(benchmark: Benchmark, *, job_name: str, folder: Path) -> LaunchMessage:
    """A launch with the defaults of a deployment, ``isolation: process`` included."""
    return LaunchMessage(
        job_name=job_name,
        job_folder=str(folder),
        created_at=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        input=InputMessage(uri=str(benchmark.inputs)),
        output=OutputMessage(
            path=str(folder / "score"),
            action="append_row",
            format=benchmark.output_format,
            file_name=benchmark.output_file_name,
        ),
        scoring=_make_scoring(benchmark, job_name=job_name),
        instance_count=1,
        max_concurrency_per_instance=benchmark.slots,
    )


def _make_scoring(benchmark: Benchmark, *, job_name: str) -> ScoringMessage:
    return ScoringMessage(
        job_name=job_name,
        digest=f"benchmark-{benchmark.name}",
        model_folder=str(benchmark.model.parent),
        model_name=benchmark.model.name,
        code_folder=str(benchmark.code) if benchmark.code else None,
        scoring_script="score.py" if benchmark.code else None,
        mini_batch_size=benchmark.mini_batch_size,
        max_retries=3,
        timeout_seconds=300,
        init_timeout_seconds=600,
        error_threshold=0,
        mini_batch_error_threshold=-1,
        isolation="process",
        isolate_failures=True,
        logging_level="info",
        on_bad_row="fail",
        passthrough_columns=(),
        output_action="append_row",
        environment_variables={},
        environment=benchmark.environment,
    )


def make_runner(
    spark: SparkSession, benchmark: Benchmark, *, folder: Path
) -> Callable[[], SummaryMessage]:
    """A function that runs the benchmark as a new job in ``folder``, the one before removed."""
    numbers = itertools.count()

    def run_job() -> SummaryMessage:
        shutil.rmtree(folder, ignore_errors=True)
        job_name = f"{benchmark.name}-{next(numbers)}"
        summary = run(spark, make_launch(benchmark, job_name=job_name, folder=folder))
        if summary.status != COMPLETED or summary.inputs.failed:
            sys.exit(f"{job_name} is {summary.status}: {summary.error or summary.errors}")
        return summary

    return run_job


def published_seconds(summary: SummaryMessage) -> float:
    """Seconds from the plan to the published output, the start of script hosts included."""
    return sum(summary.seconds[phase] for phase in PUBLISHED)


def startup_seconds(folder: Path) -> float:
    """Seconds from the first wave's start until the first script host was through a mini-batch.

    A host's second mini-batch starts when its first one, ``init()`` included, is done.
    """
    with (folder / "events.jsonl").open(encoding="utf-8") as lines:
        events = [json.loads(line) for line in lines]
    wave_started = min(event["at"] for event in events if event["type"] == "wave_started")
    outcomes = pq.read_table(folder / "ledger" / "outcomes.parquet").to_pandas()
    starts = outcomes.sort_values("started_at").groupby("process")["started_at"]
    return float(starts.nth(1).min()) - float(wave_started)
