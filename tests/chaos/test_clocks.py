"""The clock of a driver's machine jumps, forwards and back, while its job runs."""

from __future__ import annotations

import json
import random
import struct
import subprocess
import time
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from tests.chaos.conftest import Faults
from tests.chaos.harness import make_job
from tests.chaos.surroundings import Surroundings
from tests.spark.drivers import DriverProcess, find_events

pytestmark = pytest.mark.spark

COMPILER = Path(__file__).parents[2] / "scripts" / "compiler"
SOURCE = Path(__file__).with_name("wall_clock.c")
JUMPS_SECONDS = (-86_400, 86_400, -3_600, 3_600, -120, 120, -45, 45, -1, 366 * 86_400)


@pytest.fixture
def clock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file with an offset in seconds that the wall clock of all new processes obeys."""
    library, file = tmp_path / "wall_clock.so", tmp_path / "offset"
    compiler = subprocess.run([COMPILER], stdout=subprocess.PIPE, text=True, check=True)
    command = [compiler.stdout.strip(), "-shared", "-fPIC", "-O", "-Wall", "-Werror"]
    subprocess.run([*command, "-o", library, SOURCE], check=True)
    file.write_bytes(bytes(8))
    monkeypatch.setenv("LD_PRELOAD", str(library))
    monkeypatch.setenv("WALL_CLOCK_OFFSET", str(file))
    return file


@pytest.mark.timeout(600)
def test_clock__jumps_while_a_job_runs(
    tmp_path: Path, clock: Path, faults: Faults, chance: random.Random, surroundings: Surroundings
) -> None:
    job = make_job(tmp_path, seconds=0.1)
    began = time.monotonic()
    driver = DriverProcess(job.launch)
    driver.wait_until(lambda: find_events(job.folder, "wave_committed"))
    jumps = list(JUMPS_SECONDS) * faults.scaled(1)
    chance.shuffle(jumps)
    for jump in jumps:
        set_offset(clock, jump)
        driver.wait_until(partial(beats_at, job.folder, jump))
        faults.add("clock jump")
        time.sleep(chance.uniform(0, 0.5))
    job.calm()
    assert driver.end() == 0, driver.said
    lasted = time.monotonic() - began
    summary = job.check()
    check_durations(job.folder, summary, lasted_seconds=lasted)
    surroundings.check_nothing_left()


def set_offset(clock: Path, seconds: int) -> None:
    """In place: the processes have mapped the file."""
    with clock.open("r+b") as file:
        file.write(struct.pack("=q", seconds))


def beats_at(folder: Path, offset_seconds: int) -> bool:
    """Whether the driver's last heartbeat was at this offset from now."""
    beat = json.loads((folder / "status.json").read_text())["heartbeat_at"]
    return bool(abs(beat - time.time() - offset_seconds) < 10)


def check_durations(folder: Path, summary: dict[str, Any], *, lasted_seconds: float) -> None:
    """Durations are those of a clock that does not jump."""
    assert 0 < summary["seconds"]["total"] <= lasted_seconds
    ledger = pq.read_table(folder / "ledger" / "outcomes.parquet", columns=["seconds"])
    for seconds in ledger.column(0).to_pylist():
        assert 0 <= seconds <= lasted_seconds
