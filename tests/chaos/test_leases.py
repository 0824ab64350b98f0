"""Several drivers on one job folder: one runs the job, the others end and write nothing."""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from sparkscore.driver import run
from tests.chaos.conftest import Faults
from tests.chaos.plain_jobs import PlainJob, make_plain_job
from tests.chaos.surroundings import Surroundings
from tests.spark.drivers import ONE_SLOT, DriverProcess, find_events, list_below

pytestmark = pytest.mark.spark

RIVALS = 6


@pytest.mark.timeout(900)
def test_lease__one_of_many_drivers_runs_the_job(
    tmp_path: Path, faults: Faults, chance: random.Random, surroundings: Surroundings
) -> None:
    """They start together; the one that won is killed, and the next ones start together."""
    job = make_plain_job(tmp_path, inputs=200, seconds=0.05, job=ONE_SLOT)
    winner = race(job, faults, chance)
    winner.wait_until(lambda: find_events(job.folder, "wave_committed"))
    winner.kill()
    winner = race(job, faults, chance)
    assert winner.end() == 0, winner.said
    job.check()
    assert len(find_events(job.folder, "resumed")) == 1
    surroundings.check_nothing_left()


def race(job: PlainJob, faults: Faults, chance: random.Random) -> DriverProcess:
    """Start drivers together, or nearly so; the one that is left when the others have lost."""
    drivers = []
    for _ in range(RIVALS):
        drivers.append(DriverProcess(job.launch))
        time.sleep(chance.choice([0, 0, 0.05]))
    deadline = time.monotonic() + 120
    while len(running := [one for one in drivers if one.process.poll() is None]) > 1:
        assert time.monotonic() < deadline, "two drivers run on one folder"
        time.sleep(0.05)
    (winner,) = running
    faults.add("rival driver", RIVALS - 1)
    for loser in drivers:
        if loser is not winner:
            assert loser.end() == 5, loser.said
    assert winner.said.count("sparkscore: LEASE_HELD: ") >= RIVALS - 1
    return winner


@pytest.mark.timeout(900)
def test_lease__of_a_stopped_driver_is_taken_over(
    spark: SparkSession, tmp_path: Path, faults: Faults
) -> None:
    """The zombie wakes up in the middle of its wave, when the job has long been completed."""
    job = make_plain_job(tmp_path, inputs=80, seconds=0.15, job=ONE_SLOT)
    zombie = DriverProcess(job.launch)
    zombie.wait_until(lambda: find_events(job.folder, "wave_committed"))
    os.kill(zombie.process.pid, signal.SIGSTOP)
    faults.add("stop driver")
    summary = run(spark, job.launch)
    assert summary.status == "Completed", summary.error
    told, stood = read_end(job), list_below(job.folder)
    os.kill(zombie.process.pid, signal.SIGCONT)
    assert zombie.end(seconds=90) == 5, zombie.said
    assert "sparkscore: LEASE_LOST: " in zombie.said
    zombie.wait_for_children()
    assert read_end(job) == told
    written = list_below(job.folder) - stood
    assert not {name for name in written if not name.startswith(("logs/", "staging/", "scratch/"))}


def read_end(job: PlainJob) -> list[Any]:
    """What the job folder and the output say of the job's end."""
    files = [job.folder / "summary.json", job.folder / "status.json", job.output]
    return [
        {name: (file / name).read_bytes() for name in list_below(file)}
        if file.is_dir()
        else file.read_bytes()
        for file in files
    ]
