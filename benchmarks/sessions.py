"""Start the Spark session that the contenders of one benchmark share. Runs in the driver."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping

from pyspark.sql import SparkSession


def start_session(name: str, *, slots: int, conf: Mapping[str, str] | None = None) -> SparkSession:
    """A local session with Spark's defaults but for memory, task retries, the UI and ``conf``."""
    os.environ["PYSPARK_PYTHON"] = sys.executable
    session: SparkSession = (
        SparkSession.builder.master(f"local[{slots},4]")
        .appName(name)
        .config("spark.driver.memory", "4g")
        .config("spark.ui.enabled", "false")
        .config("spark.ui.showConsoleProgress", "false")
        .config(map=dict(conf or {}))
        .getOrCreate()
    )
    session.sparkContext.setLogLevel("ERROR")
    return session
