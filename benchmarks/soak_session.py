"""A session that lives as long as the soak and runs one job after the other. Spark driver.

``python soak_session.py INPUTS FOLDER`` reads kinds of jobs from standard input, a line each, runs
them in its session, and answers with a line of JSON that begins with ``@@``.
"""

from __future__ import annotations

import gc
import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path

from pyspark.sql import SparkSession
from scoring_jobs import Benchmark, make_launch
from sessions import start_session
from soak_inputs import KINDS, MARK, SCRIPT

from sparkscore.driver import run
from sparkscore.driver.delta_jars import delta_jars
from sparkscore.messages.launch import LaunchMessage
from sparkscore.plan.spark_application import DELTA_CONF

SLOTS = 2
_CONF = {
    "spark.driver.memory": "1g",
    # The whole heap from the beginning: what the process grows by is not the heap, which is
    # measured apart.
    "spark.driver.extraJavaOptions": "-Xms1g -XX:+AlwaysPreTouch",
    "spark.sql.shuffle.partitions": "2",
    "spark.databricks.delta.snapshotPartitions": "1",
    **DELTA_CONF,
}


def make_job(kind: str, *, inputs: Path, folder: Path, number: int) -> LaunchMessage:
    """The launch of one job; an odd one has every error isolated, retried and logged."""
    format_, _ = KINDS[kind]
    benchmark = Benchmark(
        name=f"soak-{kind}",
        inputs=inputs / kind,
        model=inputs / "model.txt",
        mini_batch_size=2,
        output_file_name=f"predictions.{format_}",
        slots=SLOTS,
        code=SCRIPT,
    )
    launch = make_launch(benchmark, job_name=f"session-{number:05d}", folder=folder)
    return replace(launch, scoring=replace(launch.scoring, max_retries=number % 2))


def measure_heap_megabytes(spark: SparkSession) -> float:
    """The heap that is in use once everything that can go has gone."""
    gc.collect()
    java = spark.sparkContext._jvm.java.lang
    for _ in range(2):
        java.System.gc()
    runtime = java.Runtime.getRuntime()
    return float((runtime.totalMemory() - runtime.freeMemory()) / 2**20)


def main() -> None:
    """Answer lines until there are no more."""
    inputs, folder = Path(sys.argv[1]), Path(sys.argv[2])
    conf = {
        **_CONF,
        "spark.jars": ",".join(map(str, delta_jars())),
        "spark.local.dir": str(folder / "local"),
        "spark.sql.warehouse.dir": str(folder / "warehouse"),
    }
    spark = start_session("soak", slots=SLOTS, conf=conf)
    for number, line in enumerate(sys.stdin):
        kind = line.strip()
        job_folder = folder / "jobs" / f"{number:05d}"
        launch = make_job(kind, inputs=inputs, folder=job_folder, number=number)
        summary = run(spark, launch)
        shutil.rmtree(job_folder)
        answer = {
            "status": summary.status,
            "expected": KINDS[kind][1],
            "error": summary.error,
            "heap_megabytes": measure_heap_megabytes(spark),
        }
        print(f"\n{MARK}{json.dumps(answer)}", flush=True)
    spark.stop()


if __name__ == "__main__":
    main()
