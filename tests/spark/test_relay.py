"""Jobs whose workers are told no folder of the driver's: a local cluster, one session, many jobs.

The workers' package, model and code come through Spark, and so do results, files and logs.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from sparkscore.messages.codec import to_json
from sparkscore.messages.launch import LaunchMessage
from tests.spark.clusters import cluster_environment
from tests.spark.conftest import write_launch

SCRIPT = """
import os
import pandas as pd

def init():
    global factor, place
    with open(os.path.join(os.environ["AZUREML_MODEL_DIR"], "model", "factor")) as model:
        factor = float(model.read())
    place = os.environ["AZUREML_MODEL_DIR"]
    print("init in", os.path.dirname(__file__), flush=True)

def run(batch):
    print("batch of", len(batch), flush=True)
    out = os.environ["AZUREML_BI_OUTPUT_PATH"]
    names = [os.path.basename(path) for path in batch]
    if "0007.txt" in names:
        raise ValueError("7 is bad")
    if "0011.txt" in names:
        os.kill(os.getpid(), 9)
    for name in names:
        with open(os.path.join(out, name + ".out"), "w") as file:
            file.write(name * 3)
    return pd.DataFrame({"name": names, "score": [factor * int(n[:4]) for n in names],
                         "model": place, "code": os.path.dirname(__file__)})
"""
RUN_ALL = """
import json, os, sys
from dataclasses import replace
from pathlib import Path
from sparkscore.driver import run
from sparkscore.driver.job_folder import read_launch
from sparkscore.driver.session import open_session, stop_session
launches = [read_launch(Path(path)) for path in sys.argv[1:]]
spark = open_session(replace(launches[0], job_folder=str(Path("session").absolute())))
for launch in launches:
    summary = run(spark, launch)
    output = summary.output
    if output and output.get("version") is not None:
        where = output.get("table") or f"delta.`{output['path']}`"
        rows = spark.sql(f"SELECT name, score FROM {where} ORDER BY name").collect()
        history = spark.sql(f"DESCRIBE HISTORY {where}").collect()
        read = {"rows": [list(row) for row in rows], "user": history[0].userMetadata}
        Path(launch.job_folder, "read.json").write_text(json.dumps(read))
stop_session()
"""
INPUTS = 24
BAD = (7, 11)


@dataclass(frozen=True)
class Ran:
    """What the jobs have left."""

    launches: dict[str, LaunchMessage]

    def folder(self, name: str) -> Path:
        """The job folder of a job."""
        return Path(self.launches[name].job_folder)

    def output(self, name: str) -> Path:
        """The output folder of a job."""
        return Path(self.launches[name].output.path)

    def summary(self, name: str) -> dict[str, Any]:
        """The summary of a job."""
        content: dict[str, Any] = json.loads((self.folder(name) / "summary.json").read_text())
        return content

    def read(self, name: str) -> dict[str, Any]:
        """What Spark read of a job's table."""
        content: dict[str, Any] = json.loads((self.folder(name) / "read.json").read_text())
        return content


def make_jobs(folder: Path) -> dict[str, LaunchMessage]:
    def job(name: str, relay: bool = True, **output: Any) -> LaunchMessage:
        conf = {"spark.sql.warehouse.dir": str(folder / "warehouse")}
        settings = {"master": "local-cluster[2,1,1024]", "relay": relay, "spark_conf": conf}
        launch = write_launch(folder, SCRIPT, INPUTS, name=name, output=output, job=settings)
        model = Path(launch.scoring.model_folder, "model")
        model.mkdir(parents=True)
        (model / "factor").write_text("0.5")
        return replace(launch, scoring=replace(launch.scoring, digest=f"digest of {name}"))

    return {
        "table": job("table", format="delta", file_name="", table="scores"),
        "csv": job("csv"),
        "shared": job("shared", relay=False),
        "delta": job("delta", format="delta", file_name=""),
        "files": job("files", action="summary_only"),
    }


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """The jobs, one after the other in one session of a process of their own."""
    folder = tmp_path_factory.mktemp("relay")
    launches = make_jobs(folder)
    files = []
    for launch in launches.values():
        files.append(Path(launch.job_folder) / "launch.json")
        files[-1].parent.mkdir(parents=True)
        files[-1].write_text(to_json(launch))
    done = subprocess.run(
        [sys.executable, "-c", RUN_ALL, *map(str, files)],
        cwd=folder,
        env={**cluster_environment(), "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return Ran(launches)


@pytest.mark.parametrize("name", ["table", "csv", "shared", "delta", "files"])
def test_relay__account_is_exact(ran: Ran, name: str) -> None:
    summary = ran.summary(name)
    assert summary["error"] is None
    assert summary["inputs"] == {"total": INPUTS, "succeeded": INPUTS - 2, "failed": 2}
    assert summary["worker_processes"] >= 2
    conditions = {error["condition"] for error in summary["errors"]}
    assert conditions == {"SCRIPT_RAISED", "SCRIPT_CRASHED"}


def test_relay__csv_has_the_same_rows_as_with_shared_folders(ran: Ran) -> None:
    relayed, shared = (
        [
            line.split(",")
            for line in (ran.output(name) / "predictions.csv").read_text().splitlines()
        ]
        for name in ("csv", "shared")
    )
    assert len(relayed) == 1 + INPUTS - 2
    assert [line[:2] for line in relayed] == [line[:2] for line in shared]
    root = ran.folder("shared").parent
    for line in shared[1:]:
        assert line[2:] == [f"{root}/model", f"{root}/code"]
    below = str(ran.folder("csv").parent)
    assert not any(place.startswith(below) for line in relayed[1:] for place in line[2:])


@pytest.mark.parametrize("name", ["table", "delta"])
def test_relay__delta_is_read_by_spark(ran: Ran, name: str) -> None:
    read = ran.read(name)
    numbers = [number for number in range(INPUTS) if number not in BAD]
    assert read["rows"] == [[f"{number:04d}.txt", number / 2] for number in numbers]
    assert json.loads(read["user"])["job"] == name


def test_relay__files_of_scripts_come_back(ran: Ran) -> None:
    names = {f"{number:04d}.txt.out" for number in range(INPUTS) if number not in BAD}
    published = ran.output("files")
    assert {path.name for path in published.iterdir()} == names
    assert (published / "0003.txt.out").read_text() == "0003.txt" * 3
    assert {path.name for path in (ran.folder("csv") / "files").iterdir()} == names


def test_relay__logs_come_back(ran: Ran) -> None:
    logs = sorted((ran.folder("csv") / "logs" / "user" / "stdout").rglob("*.txt"))
    text = "".join(path.read_text() for path in logs)
    assert len(logs) >= 2
    assert text.count("[init] init in ") >= 2
    assert "[mb 000000 try 1] batch of 2" in text


def test_relay__nothing_is_left(ran: Ran) -> None:
    for name in ran.launches:
        folder = ran.folder(name)
        assert [left for left in ("staging", "scratch") if (folder / left).exists()] == []
