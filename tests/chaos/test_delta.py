"""Drivers killed before, inside and after a Delta commit: the table has each row exactly once."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from sparkscore.driver import run
from sparkscore.messages.launch import LaunchMessage
from tests.chaos.checks import check_job
from tests.chaos.conftest import Faults
from tests.spark.conftest import write_launch
from tests.spark.drivers import ONE_SLOT, DriverProcess

pytestmark = pytest.mark.spark

ROWS_PER_INPUT = 10_000
INPUTS = tuple(f"{number:04d}.txt" for number in range(60))
FAILING = dict.fromkeys(("0013.txt", "0047.txt"), "SCRIPT_RAISED")
SCRIPT = f"""
import os
import pandas as pd
def run(batch):
    names = [os.path.basename(path) for path in batch]
    if set(names) & {set(FAILING)!r}:
        raise ValueError("unlucky")
    rows = [(name, row) for name in names for row in range({ROWS_PER_INPUT})]
    return pd.DataFrame(rows, columns=["file", "row"])
"""
OLD_ROWS = 3


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("mode", "kills"),
    [("new", ("inside", "after")), ("append", ("before", "after")), ("overwrite", ("inside",))],
)
def test_delta__commit_of_a_killed_driver_counts_once(
    spark: SparkSession,
    tmp_path: Path,
    faults: Faults,
    chance: random.Random,
    mode: str,
    kills: tuple[str, ...],
) -> None:
    table = tmp_path / "out" / "table"
    launch = make_launch(spark, tmp_path, table, mode=mode)
    old_commits = find_commits(table)
    for kill in faults.scaled(1) * kills:
        if find_commits(table) != old_commits:
            break
        if kill_driver(launch, table, at=kill, chance=chance):
            faults.add(f"kill {kill} commit")
    assert faults.total > 0
    summary = run(spark, launch)
    assert summary.status == "Completed", summary.error
    assert summary.output is not None
    check_table(spark, Path(launch.job_folder), table, mode=mode)
    (commit,) = find_commits(table) - old_commits
    assert find_job(table / "_delta_log" / commit) == launch.job_name


def make_launch(spark: SparkSession, place: Path, table: Path, *, mode: str) -> LaunchMessage:
    """A job that writes a new folder, or to a table that has some rows."""
    output: dict[str, Any] = {"format": "delta", "file_name": "table", "path": str(table.parent)}
    if mode != "new":
        spark.createDataFrame([("old", row) for row in range(OLD_ROWS)], ["file", "row"]).coalesce(
            1
        ).write.format("delta").save(str(table))
        output = {"format": "delta", "table": f"delta.`{table}`", "mode": mode}
    return write_launch(
        place, SCRIPT, dict.fromkeys(INPUTS, ""), job=ONE_SLOT, output=output, max_retries=0
    )


def kill_driver(launch: LaunchMessage, table: Path, *, at: str, chance: random.Random) -> bool:
    """SIGKILL to a driver that has announced its commit, has written data, or has committed; False
    if it was quicker."""
    announcement = Path(launch.job_folder, "publish.json")
    announced, data, commits = find_time(announcement), find_data(table), find_commits(table)
    happened: dict[str, Callable[[], bool]] = {
        "before": lambda: find_time(announcement) != announced,
        "inside": lambda: not find_data(table) <= data,
        "after": lambda: not find_commits(table) <= commits,
    }
    driver = DriverProcess(launch)
    driver.wait_until(lambda: happened[at]() or driver.process.poll() is not None)
    if at == "inside":
        time.sleep(chance.uniform(0, 0.3))
    driver.kill()
    return not Path(launch.job_folder, "summary.json").exists()


def check_table(spark: SparkSession, folder: Path, table: Path, *, mode: str) -> None:
    """The rows of the job, once each; those that stood there before only where they are kept."""
    rows = spark.read.format("delta").load(str(table)).collect()
    old = [row for row in rows if row["file"] == "old"]
    assert len(old) == (OLD_ROWS if mode == "append" else 0)
    check_job(
        folder,
        inputs=INPUTS,
        failing=FAILING,
        rows=(row.asDict() for row in rows if row["file"] != "old"),
        rows_per_input=ROWS_PER_INPUT,
    )


def find_commits(table: Path) -> set[str]:
    return {file.name for file in table.glob("_delta_log/*.json")}


def find_data(table: Path) -> set[str]:
    return {file.name for file in table.glob("*.parquet")}


def find_time(file: Path) -> int:
    return file.stat().st_mtime_ns if file.exists() else 0


def find_job(commit: Path) -> str:
    """The job that a commit names."""
    actions = [json.loads(line) for line in commit.read_text().splitlines()]
    (info,) = [action["commitInfo"] for action in actions if "commitInfo" in action]
    return str(json.loads(info["userMetadata"])["job"])
