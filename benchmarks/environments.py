"""Rows a second through a cheap MLflow model that runs in an environment of its own.

Contenders, in one warm session: sparkscore with ``environment: model`` and everything on, and
``mlflow.pyfunc.spark_udf`` with ``env_manager="uv"``. Both have built their environment before.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import mlflow
from linear_model import COLUMNS
from parquet_throughput import OURS, Workload, check_outputs, save_model, write_inputs
from pyspark.sql import SparkSession
from rounds import make_parser, medians, run_rounds, timed, write_result
from scoring_jobs import Benchmark, make_runner
from sessions import start_session

from sparkscore.control.environments.build import Environment, build_environment
from sparkscore.control.environments.cache import get_environments_folder
from sparkscore.control.environments.model import read_model_environment
from sparkscore.control.environments.request import read_request
from sparkscore.control.model import LocalModel
from sparkscore.messages.launch import EnvironmentMessage

SPARK_UDF = "mlflow spark_udf with uv"
TARGET = 10.0


def build_model_environment(model: Path) -> Environment:
    """What ``environment: model`` builds."""
    request = read_request(read_model_environment(LocalModel(model)))
    assert request is not None
    folder = get_environments_folder() / request.digest
    return build_environment(request, folder, log_file=folder.with_suffix(".log"))


def score_with_sparkscore(
    spark: SparkSession, work: Workload, environment: Environment, slots: int
) -> Callable[[], object]:
    """Our job: start to published single Parquet file."""
    benchmark = Benchmark(
        name="environments",
        inputs=work.inputs,
        model=work.model,
        mini_batch_size=1,
        output_file_name="predictions.parquet",
        slots=slots,
        environment=EnvironmentMessage(environment.folder.name, environment.python),
    )
    return make_runner(spark, benchmark, folder=work.outputs / OURS)


def score_with_udf(spark: SparkSession, work: Workload) -> Callable[[], object]:
    """MLflow's own way to score in a model's environment: a server beside each worker."""

    def score_files() -> None:
        predict = mlflow.pyfunc.spark_udf(
            spark, str(work.model), result_type="double", env_manager="uv"
        )
        rows = spark.read.parquet(str(work.inputs))
        scored = rows.select(predict(*COLUMNS).alias("prediction"))
        scored.write.parquet(str(work.new_output(SPARK_UDF)))

    return score_files


def parse_arguments() -> argparse.Namespace:
    parser = make_parser("environments", about=__doc__)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--files", type=int, default=8)
    return parser.parse_args()


def main() -> None:
    """Make data, model and environment, run both in turn, write the table."""
    arguments = parse_arguments()
    data = arguments.data.resolve() / "environments"
    work = Workload(
        inputs=data / f"{arguments.rows}-rows-{arguments.files}-files",
        model=data / "model",
        outputs=data / "outputs",
        rows=arguments.rows,
    )
    write_inputs(work.inputs, rows=arguments.rows, files=arguments.files)
    save_model(work.model)
    environment = build_model_environment(work.model)
    print(f"environment in {environment.folder}: mlflow {environment.packages['mlflow']}")
    spark = start_session("environments", slots=arguments.slots)
    makers = {
        OURS: lambda: score_with_sparkscore(spark, work, environment, arguments.slots),
        SPARK_UDF: lambda: score_with_udf(spark, work),
    }
    seconds = run_rounds({it: timed(makers[it]()) for it in makers}, rounds=arguments.rounds)
    check_outputs(work, list(makers))
    middle = medians(seconds)
    rows = [
        {
            "contender": name,
            "seconds": took,
            "rows_per_second": round(arguments.rows / took),
            "times_spark_udf": middle[SPARK_UDF] / took,
        }
        for name, took in middle.items()
    ]
    write_result(
        arguments.result,
        rows,
        target=f"{OURS} at least {TARGET} times {SPARK_UDF}",
        rows_scored=arguments.rows,
        files=arguments.files,
        slots=arguments.slots,
        seconds=seconds,
        packages=environment.packages,
    )
    spark.stop()


if __name__ == "__main__":
    main()
