"""The bare PySpark script that startup.py compares with: a session and one ``mapInPandas``."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator

import pandas as pd
from pyspark.sql import SparkSession

Mapper = Callable[[Iterator[pd.DataFrame]], Iterator[pd.DataFrame]]


def make_mapper(marker_path: str) -> Mapper:
    """A function that notes when its first batch is done."""

    def pass_on(batches: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        for batch in batches:
            with open(marker_path, "a", encoding="utf-8") as marker:
                marker.write(f"{time.time()!r}\n")
            yield batch

    return pass_on


def main() -> None:
    """Map ten rows in one task."""
    os.environ["PYSPARK_PYTHON"] = sys.executable
    spark = SparkSession.builder.master("local[*]").getOrCreate()
    rows = spark.range(0, 10, 1, 1).mapInPandas(make_mapper(sys.argv[1]), schema="id long")
    print(len(rows.collect()))
    spark.stop()


if __name__ == "__main__":
    main()
