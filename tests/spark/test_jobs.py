"""Detached jobs of a workspace on real Spark, from start to results."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml
from pyspark.sql import DataFrame, SparkSession

from sparkscore.control.jobs import Job
from sparkscore.control.jobs.processes import get_own_identity
from sparkscore.control.one_shot import make_job, prepare_run
from sparkscore.control.options import RunOptions
from sparkscore.control.workspace import Workspace
from sparkscore.driver.publish.csv_format import csv_bytes, header_line
from sparkscore.driver.publish.jsonl_format import jsonl_bytes
from sparkscore.messages.status import StatusMessage
from sparkscore.state import JobRecord
from tests.control.jobs.test_results import TABLE
from tests.control.jobs.test_results import make_job as make_result_job
from tests.control.samples import make_quiet_workspace

SCRIPT = """\
import os
import time

import pandas as pd


def init():
    pass


def run(mini_batch):
    time.sleep({seconds})
    names = [os.path.basename(path) for path in mini_batch]
    return pd.DataFrame({{"file": names, "size": [len(name) for name in names]}})
"""

StartJob = Callable[..., Job]


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    opened = Workspace.open(make_quiet_workspace(tmp_path / "ws"))
    yield opened
    for job in opened.jobs.list():
        if not job.is_ended:
            opened.jobs.cancel(job.name).wait(60)
    opened.close()


@pytest.fixture
def start_job(workspace: Workspace, tmp_path: Path) -> StartJob:
    """Starts a job on eight files, of a deployment with these settings."""

    def start(name: str, *, seconds: float = 0, **settings: object) -> Job:
        source, folder = tmp_path / name, workspace.jobs.get_local_folder(name)
        (source / "code").mkdir(parents=True)
        (source / "code" / "score.py").write_text(SCRIPT.format(seconds=seconds))
        (source / "model").mkdir()
        (source / "in").mkdir()
        for number in range(8):
            (source / "in" / f"{'x' * (number + 1)}.txt").write_text("")
        deployment = {
            "name": "sizes",
            "endpoint_name": "files",
            "model": {"path": "model"},
            "code_configuration": {"code": "code", "scoring_script": "score.py"},
            "settings": {"mini_batch_size": 2, **settings},
        }
        (source / "deployment.yml").write_text(yaml.safe_dump(deployment))
        options = RunOptions(
            file=source / "deployment.yml",
            input=str(source / "in"),
            job_folder=folder,
            output_path=str(tmp_path / "out" / name),
        )
        launch = make_job(prepare_run(options)).launch
        now = time.time()
        record = JobRecord(
            name=name,
            status="NotStarted",
            folder=str(folder),
            request_digest="",
            created_at=now,
            updated_at=now,
            display_name=name,
            experiment_name="files",
            endpoint_name="files",
            deployment_name="sizes",
            compute={"name": "local", "master": None},
            deployment={"settings": {"output_header": True, "output_separator": ","}},
            outputs={"score": {"type": "uri_file", "path": launch.output.path}},
            creator=get_own_identity(),
        )
        with workspace.store.writing() as writer:
            writer.add_job(record)
        return workspace.jobs.start(name)

    return start


EXPECTED = {
    "file": [f"{'x' * (n + 1)}.txt" for n in range(8)],
    "size": [n + 5 for n in range(8)],
}


@pytest.mark.spark
def test_jobs__queue_stream_results_and_cancel(
    workspace: Workspace, start_job: StartJob, tmp_path: Path, spark: SparkSession
) -> None:
    start_job("first", output_format="delta")
    second = start_job("second", seconds=60)
    seen: list[StatusMessage] = []
    done = workspace.jobs.stream("first", on_status=seen.append)
    assert done.status == "Completed", done.record.error
    assert seen[-1].inputs_succeeded == 8
    assert done.results().sort_values("size").to_dict("list") == EXPECTED
    frame: DataFrame = done.results(spark)
    assert frame.dtypes == [("file", "string"), ("size", "bigint")]
    assert frame.orderBy("size").toPandas().to_dict("list") == EXPECTED
    assert done.to_dict()["input_counts"]["succeeded"] == 8
    target = workspace.jobs.download("first", download_path=tmp_path / "down", all=True)
    table = target / "named-outputs" / "score"
    assert spark.read.format("delta").load(str(table)).count() == 8
    assert (target / "artifacts" / "ledger" / "outcomes.parquet").is_file()
    assert "==> logs/driver.log <==" in list(workspace.jobs.iter_logs("first"))

    deadline = time.monotonic() + 90
    while workspace.jobs.get("second").status != "Running":
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert workspace.jobs.cancel("second").status == "CancelRequested"
    ended = second.wait(90)
    assert ended.status == "Canceled"
    assert ended.record.error is not None
    assert ended.record.error["condition"] == "CANCELED"


@pytest.mark.spark
@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet"])
def test_results__in_the_callers_session(
    workspace: Workspace, tmp_path: Path, spark: SparkSession, form: str
) -> None:
    file = tmp_path / f"out.{form}"
    if form == "csv":
        file.write_bytes(header_line(TABLE.schema, separator=",") + csv_bytes(TABLE, separator=","))
    elif form == "jsonl":
        file.write_bytes(jsonl_bytes(TABLE))
    else:
        pq.write_table(TABLE, file)
    job = make_result_job(
        workspace, tmp_path, {"path": str(file), "format": form}, schema=TABLE.schema
    )
    frame: DataFrame = job.results(spark)
    assert frame.dtypes == [
        ("text", "string"),
        ("yes", "boolean"),
        ("count", "bigint"),
        ("small", "tinyint"),
        ("ratio", "double"),
        ("single", "float"),
        ("money", "decimal(10,2)"),
        ("day", "date"),
        ("moment", "timestamp"),
        ("local", "timestamp_ntz"),
        ("bytes", "binary"),
    ]
    rows = [row.asDict() for row in frame.drop("ratio", "moment").collect()]
    expected = TABLE.drop_columns(["ratio", "moment"]).to_pylist()
    assert [{**row, "bytes": row["bytes"] and bytes(row["bytes"])} for row in rows] == expected
    moments = frame.selectExpr("unix_micros(moment) AS at").collect()
    assert [row["at"] for row in moments] == TABLE["moment"].cast("int64").to_pylist()
