"""Seconds that a resumed job takes when 1 % of its mini-batches are missing.

The job's script sleeps for a known time in each mini-batch. The job runs to the end of scoring and
then fails, because a file stands where its output belongs. That file is removed, and with it staged
files that hold 1 % of the mini-batches. A new driver process goes on with the job: its seconds
after start-up are compared with those of the whole scoring.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from mini_batch_overhead import write_files
from rounds import HERE, make_parser, write_result
from scoring_jobs import Benchmark, make_launch

from sparkscore.messages import codec
from sparkscore.messages.launch import LaunchMessage

MISSING = 0.01
TARGET = 0.05


@dataclass(frozen=True)
class DriverRun:
    """A driver process from its start to its end, and the summary that it left."""

    seconds: float
    summary: dict[str, Any]

    @property
    def start_seconds(self) -> float:
        """Until the session stood, and from the summary to the end of the process."""
        phases = self.summary["seconds"]
        return float(self.seconds - phases["total"] + phases["start"])

    @property
    def rest_seconds(self) -> float:
        """All that is not start-up: the plan, what was staged, scoring, publishing."""
        return self.seconds - self.start_seconds


def run_driver(launch: LaunchMessage, *, expected: str) -> DriverRun:
    """Run the job of ``launch`` in a new driver process."""
    folder = Path(launch.job_folder)
    (folder / "logs").mkdir(parents=True, exist_ok=True)
    message = folder / "launch.json"
    message.write_text(codec.to_json(launch), encoding="utf-8")
    started = time.perf_counter()
    with (folder / "logs" / "driver.log").open("ab") as log:
        command = [sys.executable, "-m", "sparkscore.driver", str(message)]
        subprocess.run(command, stdout=log, stderr=log, check=False)
    seconds = time.perf_counter() - started
    summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    if summary["status"] != expected:
        sys.exit(f"{launch.job_name} is {summary['status']}: {summary['error']}")
    return DriverRun(seconds, summary)


def remove_staged(folder: Path, *, count: int) -> int:
    """Remove staged files, smallest first, that hold at least ``count`` mini-batches; how many."""
    files = folder.glob("staging/wave-*/part-*.parquet")
    held = {file: len(pq.read_table(file, columns=["mini_batch_id"])) for file in files}
    removed = 0
    for file in sorted(held, key=lambda file: (held[file], file)):
        if removed >= count:
            break
        file.unlink()
        removed += held[file]
    return removed


def run_round(launch: LaunchMessage, *, mini_batches: int) -> dict[str, Any]:
    """Score all, lose 1 %, go on."""
    folder, output = Path(launch.job_folder), Path(launch.output.path)
    shutil.rmtree(folder, ignore_errors=True)
    in_the_way = output / launch.output.file_name
    output.mkdir(parents=True)
    in_the_way.touch()
    whole = run_driver(launch, expected="Failed")
    if whole.summary["error"]["condition"] != "OUTPUT_EXISTS":
        sys.exit(f"{launch.job_name} failed otherwise: {whole.summary['error']}")
    in_the_way.unlink()
    missing = remove_staged(folder, count=round(mini_batches * MISSING))
    resumed = run_driver(launch, expected="Completed")
    if resumed.summary["inputs"]["succeeded"] != mini_batches:
        sys.exit(f"{launch.job_name} has lost inputs: {resumed.summary['inputs']}")
    scoring = whole.summary["seconds"]["score"]
    return {
        "mini_batches": mini_batches,
        "missing": missing,
        "scoring_seconds": scoring,
        "start_seconds": whole.start_seconds,
        "resume_start_seconds": resumed.start_seconds,
        "resume_scoring_seconds": resumed.summary["seconds"]["score"],
        "resume_rest_seconds": resumed.rest_seconds,
        "share_of_scoring": resumed.rest_seconds / scoring,
    }


def parse_arguments() -> argparse.Namespace:
    parser = make_parser("resume", about=__doc__)
    parser.add_argument("--mini-batches", type=int, default=3000)
    parser.add_argument("--milliseconds", type=int, default=100, help="what a mini-batch sleeps")
    return parser.parse_args()


def main() -> None:
    """Run whole and resumed jobs in turn, write the table."""
    arguments = parse_arguments()
    data = arguments.data.resolve() / "resume"
    files = data / f"{arguments.mini_batches}-files"
    write_files(files, count=arguments.mini_batches)
    (data / "model.txt").write_text("1\n", encoding="utf-8")
    benchmark = Benchmark(
        name="resume",
        inputs=files,
        model=data / "model.txt",
        mini_batch_size=1,
        output_file_name="predictions.csv",
        slots=arguments.slots,
        code=HERE / "scripts" / "sleeps",
    )
    launch = make_launch(benchmark, job_name="resume", folder=data / "job")
    variables = {"MILLISECONDS": str(arguments.milliseconds)}
    launch = replace(launch, scoring=replace(launch.scoring, environment_variables=variables))
    rounds = []
    for number in range(arguments.rounds):
        rounds.append(run_round(launch, mini_batches=arguments.mini_batches))
        print(f"round {number + 1} of {arguments.rounds}: {rounds[-1]}", flush=True)
    middle = {name: statistics.median(one[name] for one in rounds) for name in rounds[0]}
    target = f"all after start-up at most {TARGET} of the whole scoring"
    write_result(arguments.result, [middle], target=target, rounds=rounds)


if __name__ == "__main__":
    main()
