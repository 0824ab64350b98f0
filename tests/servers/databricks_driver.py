"""What a Databricks driver does with a Python file: runs it in a Python that has a session already.

``sys.exit`` of any code fails the task, as it does there, and so does a file that stops the
session or leaves something behind that ends the process: both are the platform's own.
"""

from __future__ import annotations

import json
import sys
import tempfile
import threading
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]


def main() -> int:
    launch = json.loads(Path(sys.argv[1]).read_text())
    sys.path[:] = [
        path
        for path in sys.path
        if Path(path or ".").resolve() not in (REPOSITORY, REPOSITORY / "tests" / "servers")
    ]
    from pyspark.sql import SparkSession

    let_spark_read_stores()
    builder = SparkSession.builder.master(launch["master"]).appName("Databricks Shell")
    for key, value in launch["conf"].items():
        builder = builder.config(key, value)
    builder = builder.config("spark.driver.host", "127.0.0.1").config("spark.ui.enabled", "false")
    session = builder.getOrCreate()
    session.sparkContext.setLogLevel("WARN")
    failure = run(launch["file"], launch["parameters"])
    if failure is None and session.sparkContext._jsc is None:
        failure = "the session was stopped, but it belongs to the cluster"
    if failure is None and any(thread.name == "leave" for thread in threading.enumerate()):
        failure = "something will end the process, but it belongs to the cluster"
    if failure is not None:
        print(failure, flush=True)
        return 1
    session.stop()
    return 0


def run(file: str, parameters: list[str]) -> str | None:
    """Run the text of the file in a namespace that has no ``__file__``."""
    sys.argv = [file, *parameters]
    text = Path(file).read_text()
    try:
        exec(compile(text, file, "exec"), {"__name__": "__main__"})
    except SystemExit as error:
        return f"SystemExit: {error.code}"
    return None


def let_spark_read_stores() -> None:
    """``addPyFile`` takes URIs of stores there, for which this Spark has no jars."""
    import fsspec
    from pyspark import SparkContext

    add_file = SparkContext.addPyFile

    def add(context: SparkContext, path: str) -> None:
        if "://" in path:
            local = Path(tempfile.mkdtemp(dir="."), path.rpartition("/")[2]).absolute()
            with fsspec.open(path, "rb") as source:
                local.write_bytes(source.read())
            path = str(local)
        add_file(context, path)

    SparkContext.addPyFile = add  # type: ignore[assignment, method-assign]


if __name__ == "__main__":
    sys.exit(main())
