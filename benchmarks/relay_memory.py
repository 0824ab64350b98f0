"""The driver's memory where workers share no folder with it, for jobs of different size.

All results then come back through the driver. Jobs run on a local cluster, so that executors are
processes of their own. Each driver is a new process; its peak resident memory is read from the
system, of its Python process and of its JVM.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
from mini_batch_overhead import write_files
from rounds import HERE, make_parser, write_result
from scoring_jobs import Benchmark, make_launch

from sparkscore.messages import codec
from sparkscore.messages.launch import LaunchMessage

MEGABYTES = 8
TARGET_MB = 100
_LOOK_SECONDS = 0.1


class PeakMemory:
    """The peaks of a driver's two processes, in MiB, as the system has noted them."""

    def __init__(self, process_id: int) -> None:
        self._driver = psutil.Process(process_id)
        self.peaks = {"python": 0, "jvm": 0}

    def look(self) -> None:
        """Read both; those that are gone keep their last figure."""
        try:
            self._note("python", self._driver)
            for child in self._driver.children():
                if child.name() == "java":
                    self._note("jvm", child)
        except (psutil.Error, OSError):
            return

    def _note(self, name: str, process: psutil.Process) -> None:
        lines = Path(f"/proc/{process.pid}/status").read_text(encoding="utf-8").splitlines()
        for line in lines:
            if line.startswith("VmHWM:"):
                self.peaks[name] = max(self.peaks[name], int(line.split()[1]) // 1024)


def run_job(launch: LaunchMessage) -> dict[str, Any]:
    """Run a job in a new driver process; its seconds and peaks."""
    folder = Path(launch.job_folder)
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "logs").mkdir(parents=True)
    message = folder / "launch.json"
    message.write_text(codec.to_json(launch), encoding="utf-8")
    with (folder / "logs" / "driver.log").open("ab") as log:
        command = [sys.executable, "-m", "sparkscore.driver", str(message)]
        driver = subprocess.Popen(command, stdout=log, stderr=log)
        memory = PeakMemory(driver.pid)
        while driver.poll() is None:
            memory.look()
            time.sleep(_LOOK_SECONDS)
    summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    if summary["status"] != "Completed" or summary["inputs"]["failed"]:
        sys.exit(f"{launch.job_name} is {summary['status']}: {summary['error']}")
    return {
        "mini_batches": summary["inputs"]["total"],
        "results_mb": summary["rows"],
        "score_seconds": summary["seconds"]["score"],
        "publish_seconds": summary["seconds"]["publish"],
        "python_mb": memory.peaks["python"],
        "jvm_mb": memory.peaks["jvm"],
    }


def make_job(data: Path, *, megabytes: int) -> LaunchMessage:
    """A job whose results have so many MiB together."""
    count = megabytes // MEGABYTES
    files = data / f"{count}-files"
    write_files(files, count=count)
    model = data / "model" / "model.txt"
    model.parent.mkdir(exist_ok=True)
    model.write_text("1\n", encoding="utf-8")
    benchmark = Benchmark(
        name="relay_memory",
        inputs=files,
        model=model,
        mini_batch_size=1,
        output_file_name="noise.parquet",
        slots=1,
        code=HERE / "scripts" / "noise",
    )
    launch = make_launch(benchmark, job_name=f"relay-{megabytes}", folder=data / "job")
    variables = {"MEGABYTES": str(MEGABYTES)}
    return replace(
        launch,
        scoring=replace(launch.scoring, environment_variables=variables),
        master="local-cluster[2,1,1024]",
        relay=True,
    )


def parse_arguments() -> argparse.Namespace:
    parser = make_parser("relay_memory", about=__doc__)
    parser.add_argument("--megabytes", type=int, nargs="+", default=[200, 1000, 2000])
    return parser.parse_args()


def main() -> None:
    """Run jobs of each size in turn, write the table."""
    arguments = parse_arguments()
    data = arguments.data.resolve() / "relay_memory"
    rounds: dict[int, list[dict[str, Any]]] = {size: [] for size in arguments.megabytes}
    for number in range(arguments.rounds):
        for size, runs in rounds.items():
            runs.append(run_job(make_job(data, megabytes=size)))
            print(f"round {number + 1} of {arguments.rounds}: {runs[-1]}", flush=True)
    shutil.rmtree(data / "job", ignore_errors=True)
    middles = [
        {name: statistics.median(run[name] for run in runs) for name in runs[0]}
        for runs in rounds.values()
    ]
    target = f"Python grows by less than {TARGET_MB} MB from the smallest job to the largest"
    write_result(arguments.result, middles, target=target, rounds=list(rounds.values()))


if __name__ == "__main__":
    main()
