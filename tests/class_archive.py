"""Spark's classes in an archive that Java maps (class data sharing): tests' JVMs start sooner.

``python -m tests.class_archive`` runs three jobs in a session and lets its JVM keep the classes
that it has loaded. A JVM takes the archive only if Java and every jar are the ones it was made
from, and else starts as without it: an old archive costs time and changes nothing.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pyspark

from sparkscore.targets.java import find_java

ARCHIVE = Path(sys.prefix) / "spark-classes.jsa"
_MADE_FOR = ARCHIVE.with_suffix(".txt")
_JARS = Path(pyspark.__file__).parent / "jars"

_QUICK_START = "-XX:TieredStopAtLevel=1"
"""The JVMs of tests live for seconds: the second compiler would cost more than it gives."""
_SILENT = "-Xlog:cds*=off"

SCRIPT = """
import os
import pandas as pd
def run(batch):
    return pd.DataFrame({"name": [os.path.basename(path) for path in batch], "n": 1, "x": 0.5})
"""


def jvm_options() -> str:
    """What every JVM of tests is started with; the archive only if there is one."""
    if not ARCHIVE.exists():
        return _QUICK_START
    return f"{_QUICK_START} {_SILENT} -XX:SharedArchiveFile={ARCHIVE}"


def make_archive() -> None:
    """Make the archive, unless there is one for this Java and this Spark."""
    wanted = _describe_classes()
    if ARCHIVE.exists() and _MADE_FOR.exists() and _MADE_FOR.read_text() == wanted:
        return
    new = ARCHIVE.with_suffix(".new")
    new.unlink(missing_ok=True)
    os.environ["SPARK_SUBMIT_OPTS"] = f"{_QUICK_START} {_SILENT} -XX:ArchiveClassesAtExit={new}"
    with tempfile.TemporaryDirectory(prefix="classes-") as folder:
        _load_classes(Path(folder))
    if new.exists():
        new.replace(ARCHIVE)
        _MADE_FOR.write_text(wanted)


def _describe_classes() -> str:
    java = find_java(os.environ).home / "bin" / "java"
    version = subprocess.run([java, "-version"], capture_output=True, text=True, check=True).stderr
    jars = [f"{jar} {jar.stat().st_mtime_ns}" for jar in sorted(_JARS.iterdir())]
    return "\n".join([version, *jars])


def _load_classes(folder: Path) -> None:
    """Run a job for each kind of publishing, and wait until the JVM has written its archive."""
    from sparkscore.driver import run
    from tests.spark.conftest import open_spark, write_launch

    spark = open_spark(folder / "warehouse")
    gateway = spark.sparkContext._gateway
    assert gateway is not None
    for name, file_name in (("csv", "rows.csv"), ("parquet", "rows"), ("delta", "table")):
        output = {"format": name, "file_name": file_name}
        summary = run(spark, write_launch(folder, SCRIPT, name=name, output=output))
        assert summary.status == "Completed", summary.error
    spark.stop()
    gateway.proc.stdin.close()
    gateway.proc.wait(timeout=300)


if __name__ == "__main__":
    make_archive()
