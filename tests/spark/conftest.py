"""One real Spark session, and jobs that run in it."""

from __future__ import annotations

import csv
import json
import os
import sys
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from sparkscore.driver import run
from sparkscore.driver.delta_jars import delta_jars
from sparkscore.messages.launch import (
    InputMessage,
    LaunchMessage,
    OutputMessage,
)
from sparkscore.messages.status import SummaryMessage
from sparkscore.plan.spark_application import DELTA_CONF
from tests.launches import make_scoring
from tests.spark.drivers import kill_drivers


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What stands in this folder needs Spark."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.spark)


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    """``local[2,4]`` with Delta, as a notebook would have it."""
    session = open_spark(tmp_path_factory.mktemp("warehouse"))
    yield session
    session.stop()


def open_spark(warehouse: Path) -> SparkSession:
    """What ``spark`` gives, with its tables in ``warehouse``."""
    os.environ["PYSPARK_PYTHON"] = sys.executable
    os.environ["PYTHONPATH"] = str(Path(__file__).parents[2])
    conf: dict[str, Any] = {
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.driver.memory": "1g",
        "spark.sql.shuffle.partitions": "2",
        "spark.databricks.delta.snapshotPartitions": "1",
        "spark.sql.warehouse.dir": str(warehouse),
        "spark.jars": ",".join(map(str, delta_jars())),
        **DELTA_CONF,
    }
    session = SparkSession.builder.master("local[2,4]").config(map=conf).getOrCreate()
    session.sparkContext.setLogLevel("OFF")
    return session


@pytest.fixture(autouse=True)
def no_driver_left() -> Iterator[None]:
    """Drivers that a failed test has left are killed."""
    yield
    kill_drivers()


@dataclass(frozen=True)
class JobResult:
    """What a job left behind."""

    summary: SummaryMessage
    folder: Path
    output: Path

    def rows(self) -> list[dict[str, str]]:
        """The rows of the published CSV file."""
        with open(self.output / "predictions.csv", encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))

    def predictions(self) -> list[str]:
        """The column ``prediction`` of the published CSV file."""
        return [row["prediction"] for row in self.rows()]

    def failed_inputs(self) -> list[dict[str, str]]:
        """The lines of ``failed_inputs.csv``."""
        with open(self.folder / "failed_inputs.csv", encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))

    def events(self, kind: str) -> list[dict[str, Any]]:
        """The events of one type."""
        lines = (self.folder / "events.jsonl").read_text().splitlines()
        return [event for event in map(json.loads, lines) if event["type"] == kind]


MakeLaunch = Callable[..., LaunchMessage]
RunJob = Callable[..., JobResult]


@pytest.fixture
def make_launch(tmp_path: Path) -> MakeLaunch:
    """Writes a scoring script and input files; gives the message of a job on them.

    ``inputs`` is a number of files or their texts by name. Keyword arguments name fields of
    ScoringMessage; ``output`` and ``job`` hold fields of OutputMessage and LaunchMessage.
    """

    def make(
        script: str,
        inputs: int | dict[str, str] = 8,
        *,
        name: str = "job",
        output: dict[str, Any] | None = None,
        job: dict[str, Any] | None = None,
        **scoring: Any,
    ) -> LaunchMessage:
        return write_launch(tmp_path, script, inputs, name=name, output=output, job=job, **scoring)

    return make


def write_launch(
    tmp_path: Path,
    script: str,
    inputs: int | dict[str, str] = 8,
    *,
    name: str = "job",
    output: dict[str, Any] | None = None,
    job: dict[str, Any] | None = None,
    **scoring: Any,
) -> LaunchMessage:
    """What ``make_launch`` does, in a folder of the caller's."""
    root = tmp_path / name
    texts = {f"{n:04d}.txt": "" for n in range(inputs)} if isinstance(inputs, int) else inputs
    for path, text in texts.items():
        (root / "in" / path).parent.mkdir(parents=True, exist_ok=True)
        (root / "in" / path).write_text(text)
    code = root / "code"
    code.mkdir(parents=True)
    text = textwrap.dedent(script)
    (code / "score.py").write_text(
        text if "def init" in text else text + "\ndef init():\n    pass\n"
    )
    message = OutputMessage(str(root / "out"), "append_row", "csv", "predictions.csv")
    settings = {
        "job_name": name,
        "model_folder": str(root / "model"),
        "code_folder": str(code),
        "mini_batch_size": 2,
        "timeout_seconds": 20,
        "output_action": (output or {}).get("action", "append_row"),
    }
    return LaunchMessage(
        job_name=name,
        job_folder=str(root / "job"),
        created_at="2026-01-01T00:00:00Z",
        input=InputMessage(str(root / "in")),
        output=replace(message, **(output or {})),
        scoring=make_scoring(**settings | scoring),
        **(job or {}),
    )


@pytest.fixture
def run_job(spark: SparkSession, make_launch: MakeLaunch) -> RunJob:
    """Runs a job in the session; takes what ``make_launch`` takes."""

    def run_it(*arguments: Any, **settings: Any) -> JobResult:
        launch = make_launch(*arguments, **settings)
        summary = run(spark, launch)
        check_account(summary)
        return JobResult(summary, Path(launch.job_folder), Path(launch.output.path))

    return run_it


def check_account(summary: SummaryMessage) -> None:
    """What holds for every job, however it ended."""
    inputs = summary.inputs
    assert inputs.total == inputs.succeeded + inputs.failed + summary.unprocessed_inputs
    assert summary.unprocessed_inputs >= 0
    if summary.status == "Completed":
        assert summary.unprocessed_inputs == 0
        assert summary.error is None
