"""Environment variables of a driver that is started on this machine. Control plane."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Mapping
from pathlib import Path

from sparkscore.errors import MissingDependencyError
from sparkscore.messages.launch import STOP_WITH_PARENT
from sparkscore.targets.java import find_java

MISLEADING_VARIABLES = (
    "MASTER",
    "PYSPARK_GATEWAY_PORT",
    "PYSPARK_GATEWAY_SECRET",
    "PYSPARK_PIN_THREAD",
    "PYSPARK_SUBMIT_ARGS",
    "SPARK_API_MODE",
    "SPARK_CONNECT_MODE_ENABLED",
    "SPARK_ENV_LOADED",
    "SPARK_LOCAL_REMOTE",
    "SPARK_REMOTE",
)
"""Left behind by another Spark shell or session, they would lead a new driver astray."""


def make_driver_environment(
    environment: Mapping[str, str], *, worker_python: str, is_detached: bool = False
) -> dict[str, str]:
    """``environment`` with Java, Spark and the Pythons of driver and workers set.

    Unless ``is_detached``, the driver ends with the process that starts it. Raises
    MissingDependencyError if Java or Spark is missing.
    """
    java = find_java(environment)
    kept = {name: text for name, text in environment.items() if name not in MISLEADING_VARIABLES}
    return {
        **kept,
        "JAVA_HOME": str(java.home),
        "SPARK_HOME": str(get_spark_home(environment)),
        "PYSPARK_PYTHON": worker_python,
        "PYSPARK_DRIVER_PYTHON": sys.executable,
        "PYTHONUNBUFFERED": "1",
        STOP_WITH_PARENT: "0" if is_detached else "1",
    }


def get_spark_home(environment: Mapping[str, str]) -> Path:
    """The Spark that belongs to the pyspark of this Python, else SPARK_HOME.

    A SPARK_HOME of another version would give pyspark jars that it cannot talk to.
    """
    found = importlib.util.find_spec("pyspark")
    locations = (found and found.submodule_search_locations) or ()
    for home in (*locations, environment.get("SPARK_HOME")):
        if home and (Path(home) / "jars").is_dir():
            return Path(home)
    raise MissingDependencyError(
        f"the Python of sparkscore ({sys.executable}) has no Spark: install pyspark into it, or "
        "set SPARK_HOME to a Spark of the same version as its pyspark",
        condition="SPARK_NOT_FOUND",
        python=sys.executable,
    )
