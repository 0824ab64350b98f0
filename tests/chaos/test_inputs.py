"""Inputs that are deleted or replaced after the plan was made: they fail, and nothing else."""

from __future__ import annotations

import os
import random
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from sparkscore.driver import run
from tests.chaos.conftest import Faults
from tests.chaos.plain_jobs import PlainJob, make_plain_job

pytestmark = pytest.mark.spark

INPUTS = 640


def delete(file: Path) -> str:
    file.unlink()
    return "INPUT_NOT_FOUND"


def replace(file: Path) -> str:
    """By a file of the same size: its time tells."""
    new = file.with_name(".new")
    new.write_bytes(file.read_bytes())
    stat = file.stat()
    os.utime(new, ns=(stat.st_atime_ns, stat.st_mtime_ns + 1_000_000_000))
    new.replace(file)
    return "INPUT_CHANGED"


def grow(file: Path) -> str:
    """Its time is set back to what it was: the size tells."""
    stat = file.stat()
    with file.open("a") as content:
        content.write("more")
    os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    return "INPUT_CHANGED"


def make_folder(file: Path) -> str:
    file.unlink()
    file.mkdir()
    return "INPUT_CHANGED"


CHANGES: dict[str, Callable[[Path], str]] = {
    "delete input": delete,
    "replace input": replace,
    "grow input": grow,
    "folder for input": make_folder,
}


class Meddler(threading.Thread):
    """Changes inputs once the plan is there, before any of them is scored."""

    def __init__(self, job: PlainJob, faults: Faults, chance: random.Random) -> None:
        super().__init__()
        self._job, self._faults, self._chance = job, faults, chance
        self.over = threading.Event()
        self.failing: dict[str, str] = {}

    def run(self) -> None:
        while not (self._job.folder / "plan" / "plan.json").exists():
            if self.over.wait(0.005):
                return
        able = [name for name in self._job.inputs if name not in self._job.failing]
        for name in self._chance.sample(able, k=self._faults.scaled(40)):
            kind = self._chance.choice(sorted(CHANGES))
            self.failing[name] = CHANGES[kind](self._job.input_folder / name)
            self._faults.add(kind)
        (self._job.input_folder / "_changed").touch()


@pytest.mark.timeout(600)
def test_inputs__changed_between_plan_and_scoring(
    spark: SparkSession, tmp_path: Path, faults: Faults, chance: random.Random
) -> None:
    job = make_plain_job(tmp_path, inputs=faults.scaled(INPUTS))
    wait_in_init(job)
    meddler = Meddler(job, faults, chance)
    meddler.start()
    try:
        summary = run(spark, job.launch)
    finally:
        meddler.over.set()
        meddler.join()
    assert summary.status == "Completed", summary.error
    job.check(failing=meddler.failing)


def wait_in_init(job: PlainJob) -> None:
    """Let ``init()`` wait until all changes are done."""
    script = Path(str(job.launch.scoring.code_folder), "score.py")
    changed = job.input_folder / "_changed"
    text = script.read_text().replace(
        "def init():\n    pass\n",
        f"def init():\n    while not os.path.exists({str(changed)!r}):\n        time.sleep(0.01)\n",
    )
    assert str(changed) in text
    script.write_text(text)
