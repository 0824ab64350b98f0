"""MLflow models without code, through Spark: tables in, tables out."""

from __future__ import annotations

import csv
import warnings
from pathlib import Path
from typing import Any

import mlflow
import pytest
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, Schema
from pyspark.sql import SparkSession

MODEL = """
import mlflow
import pandas as pd

class Doubler(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        frame = pd.DataFrame({"twice": model_input["amount"] * 2})
        frame["label"] = model_input["kind"] + "!"
        return frame

mlflow.models.set_model(Doubler())
"""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of mixed types that doubles a number."""
    folder = tmp_path_factory.mktemp("mlflow")
    (folder / "doubler.py").write_text(MODEL)
    columns = [ColSpec("long", "amount"), ColSpec("string", "kind")]
    optional = ColSpec("double", "extra", required=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        mlflow.pyfunc.save_model(
            str(folder / "model"),
            python_model=str(folder / "doubler.py"),
            signature=ModelSignature(inputs=Schema([*columns, optional])),
            pip_requirements=[],
        )
    return folder / "model"


def csv_text(rows: list[tuple[str, str, str]]) -> str:
    return "id,amount,kind\n" + "".join(f"{','.join(row)}\n" for row in rows)


BIG = 2**53 + 1
INPUTS = {
    "a/one.csv": csv_text([(str(BIG), "1", "007"), ("2", "2", "x")]),
    "a/two.csv": csv_text([("3", "3", "y"), ("4", "oops", "z"), ("5", "5", "w")]),
    "b/three.csv": csv_text([]),
    "b/four.csv": csv_text([("6", str(BIG), "v")]),
    "b/five.avro": "not a table",
}


def score(run_job: Any, model: Path, **settings: Any) -> Any:
    return run_job(
        "",
        INPUTS,
        code_folder=None,
        scoring_script=None,
        model_folder=str(model.parent),
        model_name=model.name,
        passthrough_columns=("id",),
        max_retries=0,
        timeout_seconds=120,
        init_timeout_seconds=120,
        **settings,
    )


def test_mlflow__bad_cell_fails_its_file_by_name(run_job: Any, model: Path) -> None:
    job = score(run_job, model)
    failed = {row["path"]: row["message"] for row in job.failed_inputs()}
    assert set(failed) == {"a/two.csv", "b/five.avro"}
    assert all(word in failed["a/two.csv"] for word in ("two.csv", "row 1", "'amount'", "'oops'"))
    assert "avro" in failed["b/five.avro"]
    assert [list(row.values()) for row in job.rows()] == [
        ["a/one.csv", "0", str(BIG), "2", "007!"],
        ["a/one.csv", "1", "2", "4", "x!"],
        ["b/four.csv", "0", "6", str(2 * BIG), "v!"],
    ]
    assert list(job.rows()[0]) == ["file", "row", "id", "twice", "label"]


def test_mlflow__bad_rows_are_skipped_and_listed_apart(run_job: Any, model: Path) -> None:
    job = score(run_job, model, on_bad_row="skip")
    assert [row["path"] for row in job.failed_inputs()] == ["b/five.avro"]
    assert job.summary.bad_rows == 1
    with open(job.folder / "bad_rows.csv", encoding="utf-8", newline="") as file:
        (bad,) = csv.DictReader(file)
    assert (bad["file"], bad["row"]) == ("a/two.csv", "1")
    assert [(row["file"], row["row"]) for row in job.rows() if row["file"] == "a/two.csv"] == [
        ("a/two.csv", "0"),
        ("a/two.csv", "2"),
    ]


def test_mlflow__delta_table_has_the_rows_and_names_the_job(
    run_job: Any, model: Path, spark: SparkSession
) -> None:
    job = score(run_job, model, output={"format": "delta", "file_name": ""})
    table = spark.read.format("delta").load(str(job.output))
    assert table.count() == job.summary.rows == 3
    assert {row.file: row.twice for row in table.collect() if row.row == 0} == {
        "a/one.csv": 2,
        "b/four.csv": 2 * BIG,
    }
    (commit,) = spark.sql(f"DESCRIBE HISTORY delta.`{job.output}`").collect()
    assert '"job"' in commit.userMetadata
    assert job.summary.output is not None
    assert (job.summary.output["format"], job.summary.output["version"]) == ("delta", 0)


def test_mlflow__model_that_cannot_load_fails_the_job(run_job: Any, tmp_path: Path) -> None:
    broken = tmp_path / "broken" / "model"
    broken.mkdir(parents=True)
    (broken / "MLmodel").write_text("flavors: {sklearn: {pickled_model: m.pkl}}\n")
    job = score(run_job, broken)
    assert job.summary.status == "Failed"
    assert job.summary.error is not None
    assert job.summary.error["condition"] == "INIT_FAILED"
    assert "sklearn" in job.summary.error["message"]
