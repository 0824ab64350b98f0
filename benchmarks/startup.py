"""Seconds from the command to the first finished mini-batch, against a bare PySpark script.

Both are new processes that start Java, a local session and a Python worker. Each notes the time of
day as its first mini-batch (the script's first pandas batch) is done.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rounds import HERE, make_parser, medians, run_rounds, write_result

SCRIPTS = HERE / "scripts" / "startup"
OURS = "sparkscore batch-deployment run"
BARE = "bare PySpark script"
TARGET = 1.3
FILES = 10


def write_files(folder: Path) -> None:
    """Write ten small files."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(FILES):
        (folder / f"{number}.txt").write_text("1\n", encoding="utf-8")


def seconds_to_marker(command: list[str], marker: Path) -> float:
    """Run the command to its end; the seconds until it wrote the time of day to ``marker``."""
    marker.unlink(missing_ok=True)
    environment = {**os.environ, "PYSPARK_PYTHON": sys.executable}
    started = time.time()
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if ended.returncode != 0 or not marker.exists():
        sys.exit(f"{' '.join(command)} ended with {ended.returncode}:\n{ended.stderr}")
    return float(marker.read_text(encoding="utf-8").split()[0]) - started


def start_with_sparkscore(data: Path) -> Callable[[], float]:
    """One command, its job folder new each time."""
    marker, folder = data / "sparkscore-marker", data / "job"
    command = [str(Path(sys.executable).with_name("sparkscore")), "batch-deployment", "run"]
    command += ["--file", str(SCRIPTS / "deployment.yml"), "--input", str(data / "files")]
    command += ["--job-folder", str(folder)]
    command += ["--set", f"environment_variables.FIRST_MINI_BATCH={marker}"]

    def start() -> float:
        shutil.rmtree(folder, ignore_errors=True)
        return seconds_to_marker(command, marker)

    return start


def start_bare(data: Path) -> Callable[[], float]:
    """The shortest script that runs a function in a Python worker."""
    marker = data / "bare-marker"
    command = [sys.executable, str(SCRIPTS / "bare_session.py"), str(marker)]
    return lambda: seconds_to_marker(command, marker)


def make_rows(seconds: dict[str, list[float]]) -> list[dict[str, Any]]:
    """One line a contender: seconds, and how often the bare script's."""
    middle = medians(seconds)
    return [
        {"contender": name, "seconds": took, "times_bare": took / middle[BARE]}
        for name, took in middle.items()
    ]


def main() -> None:
    """Start both in turn, write the table."""
    arguments = make_parser("startup", about=__doc__, rounds=5).parse_args()
    data = arguments.data.resolve() / "startup"
    write_files(data / "files")
    contenders = {OURS: start_with_sparkscore(data), BARE: start_bare(data)}
    seconds = run_rounds(contenders, rounds=arguments.rounds)
    target = f"{OURS} at most {TARGET} times {BARE}"
    write_result(arguments.result, make_rows(seconds), target=target, seconds=seconds)


if __name__ == "__main__":
    main()
