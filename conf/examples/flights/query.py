"""Query the Delta table of a job: predicted and actual delay by airline. Runs after scoring.

Plain Spark SQL on a plain session; only the jars of Delta are found by sparkscore.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from pyspark.sql import DataFrame, SparkSession

from sparkscore.driver.delta_jars import delta_jars

TOTALS = """
SELECT count(*) AS flights, count(DISTINCT file) AS files, count(prediction) AS predictions
FROM delta.`{table}`
"""
DELAYS = """
WITH unseen AS (
  SELECT carrier, prediction, try_cast(arr_delay AS DOUBLE) AS actual
  FROM delta.`{table}`
  WHERE CAST(day AS INT) % 5 <> 0
)
SELECT
  carrier,
  count(*) AS flights,
  round(avg(prediction), 1) AS predicted_minutes,
  round(avg(actual), 1) AS actual_minutes,
  round(avg(abs(prediction - actual)), 1) AS mean_error
FROM unseen
WHERE actual IS NOT NULL
GROUP BY carrier
ORDER BY flights DESC
LIMIT 8
"""


def start_session() -> SparkSession:
    """A local session that reads Delta tables."""
    settings = {
        "spark.jars": ",".join(str(jar) for jar in delta_jars()),
        "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
        "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
        "spark.sql.shuffle.partitions": "2",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
    }
    builder = SparkSession.builder.master("local[2]").appName("flights-query")
    session: SparkSession = builder.config(map=settings).getOrCreate()
    session.sparkContext.setLogLevel("ERROR")
    return session


def print_table(answer: DataFrame) -> None:
    """Print all rows, numbers to the right."""
    print(answer.toPandas().to_string(index=False))


def main() -> None:
    """Print the table's size, then the airlines with most flights on days not trained on."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("table", type=Path, help="the folder of a job's Delta table")
    table = parser.parse_args().table.resolve()
    spark = start_session()
    print_table(spark.sql(TOTALS.format(table=table)))
    print("\nArrival delay of flights on days that the model was not trained on:")
    print_table(spark.sql(DELAYS.format(table=table)))
    spark.stop()


if __name__ == "__main__":
    main()
