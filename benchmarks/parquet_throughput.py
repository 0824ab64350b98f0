"""Rows a second through a cheap MLflow model, from Parquet files to Parquet results.

Contenders, in one warm session: sparkscore with everything on, a hand-written ``mapInPandas`` with
the model cached in each process, ``mlflow.pyfunc.spark_udf``, and single-process pandas.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
from linear_model import COLUMNS
from mapped_model import load_model, make_mapper
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, Schema
from pyspark.sql import SparkSession
from rounds import HERE, make_parser, medians, run_rounds, timed, write_result
from scoring_jobs import Benchmark, make_runner
from sessions import start_session

OURS = "sparkscore"
HAND_WRITTEN = "hand-written mapInPandas"
SPARK_UDF = "mlflow spark_udf"
PANDAS = "single-process pandas"
TARGET = 3.0


@dataclass(frozen=True)
class Workload:
    """Files to score, the model, and the folder that contenders write to."""

    inputs: Path
    model: Path
    outputs: Path
    rows: int

    def new_output(self, contender: str) -> Path:
        """The contender's output path, with nothing there."""
        path = self.outputs / contender.replace(" ", "-")
        shutil.rmtree(path, ignore_errors=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        return path


def write_inputs(folder: Path, *, rows: int, files: int) -> None:
    """Write random numbers, unless this very data is there."""
    if folder.exists():
        return
    partial = folder.with_name(f"{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    random = np.random.default_rng(20)
    for number, part in enumerate(np.array_split(np.arange(rows), files)):
        values = random.standard_normal((len(COLUMNS), len(part)))
        table = pa.table(dict(zip(COLUMNS, values, strict=True)))
        pq.write_table(table, partial / f"part-{number:03d}.parquet")
    partial.rename(folder)


def save_model(path: Path) -> None:
    """Save the linear model with a signature of doubles."""
    shutil.rmtree(path, ignore_errors=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    weights = path.with_name("weights.npy")
    np.save(weights, np.random.default_rng(0).standard_normal(len(COLUMNS)))
    mlflow.pyfunc.save_model(
        path,
        python_model=str(HERE / "linear_model.py"),
        artifacts={"weights": str(weights)},
        signature=ModelSignature(
            inputs=Schema([ColSpec("double", name) for name in COLUMNS]),
            outputs=Schema([ColSpec("double", "prediction")]),
        ),
        pip_requirements=[f"mlflow=={mlflow.__version__}"],
    )


def score_with_sparkscore(spark: SparkSession, work: Workload, slots: int) -> Callable[[], object]:
    """Our job: start to published single Parquet file."""
    return make_runner(
        spark,
        Benchmark(
            name="parquet",
            inputs=work.inputs,
            model=work.model,
            mini_batch_size=1,
            output_file_name="predictions.parquet",
            slots=slots,
        ),
        folder=work.outputs / OURS,
    )


def score_by_hand(spark: SparkSession, work: Workload) -> Callable[[], object]:
    """What a user would write first, at its best."""
    score = make_mapper(str(work.model))

    def score_files() -> None:
        rows = spark.read.parquet(str(work.inputs))
        scored = rows.mapInPandas(score, schema="prediction double")
        scored.write.parquet(str(work.new_output(HAND_WRITTEN)))

    return score_files


def score_with_udf(spark: SparkSession, work: Workload) -> Callable[[], object]:
    """MLflow's own way to score a Spark DataFrame."""

    def score_files() -> None:
        predict = mlflow.pyfunc.spark_udf(
            spark, str(work.model), result_type="double", env_manager="local"
        )
        rows = spark.read.parquet(str(work.inputs))
        scored = rows.select(predict(*COLUMNS).alias("prediction"))
        scored.write.parquet(str(work.new_output(SPARK_UDF)))

    return score_files


def score_with_pandas(work: Workload) -> Callable[[], object]:
    """One process, one file after the other, into one Parquet file."""

    def score_files() -> None:
        model = load_model(str(work.model))
        frames = [
            pd.DataFrame({"prediction": model.predict(pd.read_parquet(path))})
            for path in sorted(work.inputs.glob("*.parquet"))
        ]
        path = work.new_output(PANDAS)
        path.mkdir()
        pd.concat(frames, ignore_index=True).to_parquet(path / "predictions.parquet")

    return score_files


def check_outputs(work: Workload, contenders: list[str]) -> None:
    """Exit unless all contenders wrote the same number of rows with the same sum."""
    for contender in contenders:
        folder = work.outputs / contender.replace(" ", "-")
        folder = folder / "score" if contender == OURS else folder
        table = ds.dataset(folder, format="parquet").to_table(columns=["prediction"])
        total = table["prediction"].to_numpy().sum()
        if table.num_rows != work.rows or not np.isclose(total, expected_sum(work), rtol=1e-6):
            sys.exit(f"{contender} wrote {table.num_rows} rows of {work.rows}, sum {total}")


def expected_sum(work: Workload) -> float:
    """The sum of all predictions, by column sums."""
    inputs = ds.dataset(work.inputs, format="parquet")
    sums = np.zeros(len(COLUMNS))
    for batch in inputs.to_batches(columns=COLUMNS):
        sums += [batch.column(name).to_numpy().sum() for name in COLUMNS]
    return float(sums @ np.load(work.model.with_name("weights.npy")))


def make_rows(seconds: dict[str, list[float]], *, rows: int) -> list[dict[str, Any]]:
    """One line a contender: seconds, rows a second, and how often the hand-written job's rate."""
    middle = medians(seconds)
    base = middle.get(HAND_WRITTEN, float("nan"))
    return [
        {
            "contender": name,
            "seconds": took,
            "rows_per_second": round(rows / took),
            "times_hand_written": base / took,
        }
        for name, took in middle.items()
    ]


def parse_arguments() -> argparse.Namespace:
    parser = make_parser("parquet_throughput", about=__doc__)
    parser.add_argument("--rows", type=int, default=5_000_000)
    parser.add_argument("--files", type=int, default=40)
    parser.add_argument("--only", nargs="+", choices=[OURS, HAND_WRITTEN, SPARK_UDF, PANDAS])
    return parser.parse_args()


def main() -> None:
    """Make the data, run all contenders in turn, write the table."""
    arguments = parse_arguments()
    data = arguments.data.resolve() / "parquet"
    work = Workload(
        inputs=data / f"{arguments.rows}-rows-{arguments.files}-files",
        model=data / "model",
        outputs=data / "outputs",
        rows=arguments.rows,
    )
    write_inputs(work.inputs, rows=arguments.rows, files=arguments.files)
    save_model(work.model)
    spark = start_session("parquet-throughput", slots=arguments.slots)
    spark.sparkContext.addPyFile(str(HERE / "mapped_model.py"))
    makers: dict[str, Callable[[], Callable[[], object]]] = {
        OURS: lambda: score_with_sparkscore(spark, work, arguments.slots),
        HAND_WRITTEN: lambda: score_by_hand(spark, work),
        SPARK_UDF: lambda: score_with_udf(spark, work),
        PANDAS: lambda: score_with_pandas(work),
    }
    names = arguments.only or list(makers)
    seconds = run_rounds({it: timed(makers[it]()) for it in names}, rounds=arguments.rounds)
    check_outputs(work, names)
    rows = make_rows(seconds, rows=arguments.rows)
    write_result(
        arguments.result,
        rows,
        target=f"{OURS} at least {TARGET} times {HAND_WRITTEN}",
        rows_scored=arguments.rows,
        files=arguments.files,
        slots=arguments.slots,
        seconds=seconds,
    )
    spark.stop()


if __name__ == "__main__":
    main()
