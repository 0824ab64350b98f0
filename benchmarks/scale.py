"""What the driver of a very large job needs: processor time for each mini-batch, memory, seconds.

    python benchmarks/scale.py [--mini-batches 1000000] [--executors 1000]

Planner, wave scheduler, ledger, account and publishing are the real ones; the executors are not
there: other processes write what a thousand of them would have staged. So what is measured is what
the driver's Python does. Each job runs in a new process, which the benchmark looks at from outside.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from rounds import HERE, make_parser, write_result
from scoring_jobs import Benchmark, make_launch

sys.path.insert(0, str(HERE.parent))

from sparkscore.driver import run
from sparkscore.messages.launch import LaunchMessage
from sparkscore.messages.status import FINALIZING, RUNNING, TERMINAL
from sparkscore.plan.scoring_plan import plan_scoring, write_plan
from tests.simulated_cluster import SimulatedScript, SimulatedSession, make_files

TARGET_MILLISECONDS = 0.2
TARGET_GROWTH_MB = 100.0
_LOOK_SECONDS = 0.2
_MEGABYTE = 2**20


@dataclass(frozen=True)
class Size:
    """A job: so many mini-batches of so many files, each said to take ``seconds`` on a slot."""

    mini_batches: int
    files_each: int
    executors: int
    seconds: float
    failing: int

    @property
    def slots(self) -> int:
        """One slot an executor."""
        return self.executors


@dataclass(frozen=True)
class Sample:
    """What the driver's process had used at a time."""

    at: float
    cpu_seconds: float
    memory_mb: float


def make_job(size: Size, folder: Path) -> LaunchMessage:
    """The launch message of the job in ``folder``."""
    benchmark = Benchmark(
        name="scale",
        inputs=folder / "inputs",
        model=folder / "model.txt",
        mini_batch_size=size.files_each,
        output_file_name="predictions.parquet",
        slots=size.slots,
        code=folder,
    )
    launch = make_launch(benchmark, job_name="scale", folder=folder / "job")
    scoring = replace(launch.scoring, error_threshold=-1)
    return replace(launch, scoring=scoring, instance_count=size.executors, keep_staging=True)


def plan_job(size: Size, folder: Path) -> dict[str, float]:
    """Plan the job of files that are listed already; the process's figures."""
    launch = make_job(size, folder)
    files = make_files(size.mini_batches * size.files_each)
    started = time.perf_counter()
    plan = plan_scoring(
        files,
        mini_batch_size=size.files_each,
        root=launch.input.uri,
        transport="fetch",
        slots=size.slots,
    )
    planned = time.perf_counter()
    write_plan(plan, launch.job_folder)
    return {
        "plan_seconds": planned - started,
        "write_plan_seconds": time.perf_counter() - planned,
        "listing_mb": files.nbytes / _MEGABYTE,
    }


def score_job(size: Size, folder: Path) -> dict[str, float]:
    """Run the job, or go on with it, as a driver does."""
    launch = make_job(size, folder)
    script = SimulatedScript(seconds=size.seconds, failing=size.failing, hosts=size.executors)
    session = SimulatedSession(script, slots=size.slots, processes=1)
    try:
        summary = run(session, launch)  # type: ignore[arg-type]
    finally:
        session.close()
    failed = size.mini_batches // size.failing if size.failing else 0
    wanted = (size.mini_batches * size.files_each - failed, failed)
    found = (summary.inputs.succeeded, summary.inputs.failed)
    if summary.status != "Completed" or found != wanted or summary.rows != wanted[0]:
        sys.exit(f"the job is {summary.status} with {summary.inputs}: {summary.error}")
    return {name: float(value) for name, value in summary.seconds.items()}


STEPS = {"plan": plan_job, "score": score_job}


def run_step(name: str, size: Size, folder: Path) -> tuple[dict[str, float], list[Sample]]:
    """A step in a process of its own: what it says, and what it used as time went by."""
    process = psutil.Popen(
        [sys.executable, __file__, "--step", name, str(folder), json.dumps(vars(size))],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(HERE.parent)},
    )
    samples: list[Sample] = []
    while process.poll() is None:
        try:
            with process.oneshot():
                times, memory = process.cpu_times(), process.memory_info()
        except psutil.Error:
            break
        cpu_seconds = times.user + times.system
        samples.append(Sample(time.time(), cpu_seconds, memory.rss / _MEGABYTE))
        time.sleep(_LOOK_SECONDS)
    text, _ = process.communicate()
    if process.returncode != 0:
        sys.exit(f"the step {name} ended with {process.returncode}")
    return json.loads(text.splitlines()[-1]), samples


def find_times(folder: Path) -> dict[str, float]:
    """When the last run of the job entered each status; terminal ones are called ``end``."""
    times: dict[str, float] = {}
    with (folder / "job" / "events.jsonl").open(encoding="utf-8") as lines:
        for event in map(json.loads, lines):
            if event["type"] == "status":
                status = event["details"]["status"]
                times["end" if status in TERMINAL else status] = event["at"]
    return times


def cpu_until(samples: list[Sample], at: float) -> float:
    """Processor seconds that the process had used at a time."""
    return float(np.interp(at, [one.at for one in samples], [one.cpu_seconds for one in samples]))


def memory_between(samples: list[Sample], start: float, end: float) -> float:
    """The most memory between two times, in MB."""
    return max((one.memory_mb for one in samples if start <= one.at <= end), default=math.nan)


def describe_run(size: Size, folder: Path, samples: list[Sample]) -> dict[str, float]:
    """Milliseconds of processor time for each mini-batch, and memory in MB, from the plan on."""
    times = find_times(folder)
    started, scored, ended = times[RUNNING], times[FINALIZING], times["end"]
    fifth = (scored - started) / 5
    until_start = cpu_until(samples, started)
    until_scored, until_end = cpu_until(samples, scored), cpu_until(samples, ended)
    return {
        "score_ms_each": (until_scored - until_start) * 1000 / size.mini_batches,
        "publish_ms_each": (until_end - until_scored) * 1000 / size.mini_batches,
        "milliseconds_each": (until_end - until_start) * 1000 / size.mini_batches,
        "before_scoring_mb": memory_between(samples, started - 0.5, started + 0.3),
        "early_mb": memory_between(samples, started + fifth, started + 3 * fifth),
        "late_mb": memory_between(samples, started + 3 * fifth, scored),
        "peak_mb": max(one.memory_mb for one in samples),
        "seconds_before": until_start,
    }


def forget_end(folder: Path) -> None:
    """Make the completed job one whose driver was killed as it was about to publish."""
    (folder / "job" / "summary.json").unlink()
    (folder / "job" / "publish.json").unlink()
    shutil.rmtree(folder / "job" / "score")


def measure(size: Size, folder: Path) -> dict[str, Any]:
    """Plan, score, and go on with the same job when all is scored."""
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "job").mkdir(parents=True)
    plan, planning = run_step("plan", size, folder)
    seconds, samples = run_step("score", size, folder)
    row: dict[str, Any] = {
        **vars(size),
        **plan,
        "plan_peak_mb": max(one.memory_mb for one in planning),
        **describe_run(size, folder, samples),
        "score_seconds": seconds["score"],
        "publish_seconds": seconds["publish"],
        "staged_files": sum(1 for _ in folder.glob("job/staging/wave-*/part-*.parquet")),
        "waves": sum(1 for _ in folder.glob("job/staging/wave-*")),
        "ledger_mb": (folder / "job/ledger/outcomes.parquet").stat().st_size / _MEGABYTE,
    }
    forget_end(folder)
    seconds, samples = run_step("score", size, folder)
    row["resume_seconds"] = seconds["total"]
    row["resume_peak_mb"] = max(one.memory_mb for one in samples)
    shutil.rmtree(folder)
    return {name: round(value, 4) for name, value in row.items()}


def parse_arguments() -> argparse.Namespace:
    parser = make_parser("scale", about=__doc__)
    parser.add_argument("--mini-batches", type=int, default=1_000_000)
    parser.add_argument("--files-each", type=int, default=10)
    parser.add_argument("--executors", type=int, default=1_000)
    parser.add_argument("--seconds", type=float, nargs="+", default=[1.0, 0.1])
    parser.add_argument("--failing", type=int, default=100, help="one in so many has a failed file")
    parser.add_argument(
        "--step", nargs=3, metavar=("NAME", "FOLDER", "SIZE"), help=argparse.SUPPRESS
    )
    return parser.parse_args()


def main() -> int:
    """Measure each size; returns 0 if the targets were met."""
    arguments = parse_arguments()
    if arguments.step:
        name, folder, size = arguments.step
        print(json.dumps(STEPS[name](Size(**json.loads(size)), Path(folder))))
        return 0
    rows = []
    for seconds in arguments.seconds:
        size = Size(
            arguments.mini_batches,
            arguments.files_each,
            arguments.executors,
            seconds,
            arguments.failing,
        )
        rows.append(measure(size, arguments.data.resolve() / "scale"))
        print(rows[-1], flush=True)
    target = (
        f"under {TARGET_MILLISECONDS} ms of the driver for each mini-batch, memory grows by "
        f"less than {TARGET_GROWTH_MB:g} MB while it scores"
    )
    write_result(arguments.result, rows, target=target)
    is_met = all(
        row["milliseconds_each"] < TARGET_MILLISECONDS
        and row["late_mb"] - row["early_mb"] < TARGET_GROWTH_MB
        for row in rows
    )
    return 0 if is_met else 1


if __name__ == "__main__":
    sys.exit(main())
