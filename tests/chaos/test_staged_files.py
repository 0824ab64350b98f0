"""Staged files that are damaged while a job runs, or between its runs, are scored again."""

from __future__ import annotations

import os
import random
import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from sparkscore.driver import run
from tests.chaos.conftest import Faults
from tests.chaos.plain_jobs import PlainJob, make_plain_job
from tests.spark.drivers import find_events

pytestmark = pytest.mark.spark

Damage = Callable[[Path, random.Random], None]


def truncate(file: Path, chance: random.Random) -> None:
    os.truncate(file, chance.randrange(file.stat().st_size))


def flip_bit(file: Path, chance: random.Random) -> None:
    content = bytearray(file.read_bytes())
    content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    file.write_bytes(content)


def overwrite(file: Path, chance: random.Random) -> None:
    file.write_bytes(chance.randbytes(file.stat().st_size))


def remove(file: Path, chance: random.Random) -> None:
    file.unlink()


DAMAGES: dict[str, Damage] = {
    "truncate": truncate,
    "flip bit": flip_bit,
    "overwrite": overwrite,
    "remove": remove,
}


class Vandal(threading.Thread):
    """Damages staged files of committed waves while the job scores."""

    def __init__(self, job: PlainJob, faults: Faults, chance: random.Random, *, most: int) -> None:
        super().__init__()
        self._job, self._faults, self._chance, self._most = job, faults, chance, most
        self._over = threading.Event()

    def run(self) -> None:
        seen: set[Path] = set()
        while not self._over.wait(0.02) and self._faults.total < self._most:
            if find_events(self._job.folder, "staging_damaged"):
                return
            for file in find_staged(self._job.folder) - seen:
                seen.add(file)
                if self._chance.random() < 0.7 and self._faults.total < self._most:
                    do_damage(file, self._faults, self._chance)

    def end(self) -> None:
        self._over.set()
        self.join()


def find_staged(folder: Path) -> set[Path]:
    """The staged files of committed waves."""
    marks = folder.glob("staging/wave-*/_committed.json")
    return {file for mark in marks for file in mark.parent.glob("part-*.parquet")}


def do_damage(file: Path, faults: Faults, chance: random.Random) -> None:
    kind = chance.choice(sorted(DAMAGES))
    try:
        DAMAGES[kind](file, chance)
    except FileNotFoundError:
        return
    faults.add(f"{kind} staged file")


@pytest.mark.timeout(900)
def test_staged_files__damaged_between_waves(
    spark: SparkSession, tmp_path: Path, faults: Faults, chance: random.Random
) -> None:
    job = make_plain_job(
        tmp_path,
        inputs=faults.scaled(640),
        seconds=0.03,
        job={"checkpoint_interval_seconds": 1.0},
    )
    vandal = Vandal(job, faults, chance, most=faults.scaled(20))
    vandal.start()
    try:
        summary = run(spark, job.launch)
    finally:
        vandal.end()
    assert summary.status == "Completed", summary.error
    job.check()
    assert faults.total >= 5
    damaged = sum(event["mini_batches"] for event in find_events(job.folder, "staging_damaged"))
    assert damaged >= faults.total


def forget_the_end(job: PlainJob) -> None:
    """As if the driver had been killed before it published."""
    (job.folder / "summary.json").unlink()
    (job.folder / "publish.json").unlink()
    shutil.rmtree(job.output)


@pytest.mark.timeout(900)
def test_staged_files__damaged_between_runs(
    spark: SparkSession, tmp_path: Path, faults: Faults, chance: random.Random
) -> None:
    """Files, marks, the lists of drivers before, and the account: all of it at once, many times."""
    job = make_plain_job(
        tmp_path,
        inputs=640,
        seconds=0.01,
        job={"checkpoint_interval_seconds": 0.5, "keep_staging": True},
    )
    assert run(spark, job.launch).status == "Completed"
    for _ in range(faults.scaled(3)):
        forget_the_end(job)
        staged = sorted(find_staged(job.folder))
        for file in chance.sample(staged, k=min(len(staged), 4)):
            do_damage(file, faults, chance)
        for pattern in ("staging/wave-*/_committed.json", "lease/*.json", "ledger/*.parquet"):
            files = sorted(job.folder.glob(pattern))
            do_damage(chance.choice(files), faults, chance)
        do_damage(job.folder / "failed_inputs.csv", faults, chance)
        summary = run(spark, job.launch)
        assert summary.status == "Completed", summary.error
        job.check()


@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", ["plan.json", "job.json", "result_schema.arrow", "*.parquet"])
def test_plan__that_is_damaged_ends_the_job_by_name(
    spark: SparkSession, tmp_path: Path, faults: Faults, chance: random.Random, name: str
) -> None:
    """Nobody can tell which mini-batches were scored: never a wrong account, never a traceback."""
    job = make_plain_job(tmp_path, inputs=20, job={"keep_staging": True})
    assert run(spark, job.launch).status == "Completed"
    forget_the_end(job)
    (file,) = (job.folder / "plan").glob(name)
    whole = file.read_bytes()
    for kind in ("truncate", "overwrite"):
        DAMAGES[kind](file, chance)
        faults.add(f"{kind} plan")
        summary = run(spark, job.launch)
        assert summary.status == "Failed"
        assert summary.error is not None
        assert summary.error["condition"] != "INTERNAL_ERROR", summary.error
        file.write_bytes(whole)
    summary = run(spark, job.launch)
    assert summary.status == "Completed", summary.error
    job.check()
