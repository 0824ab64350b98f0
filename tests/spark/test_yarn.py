"""A compiled folder on YARN: its submit.sh, a resource manager, a node manager, real containers."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sparkscore.targets.java import find_java
from tests.spark.clusters import SPARK_HOME
from tests.spark.test_cluster import DEPLOYMENT, HELPER, SCRIPT, sparkscore
from tests.spark.yarn import JARS, YarnCluster

pytestmark = [pytest.mark.cluster, pytest.mark.slow]

SMALL = (
    *("--conf", f"spark.yarn.jars=local:{JARS}/*"),
    *("--conf", "spark.yarn.am.memory=512m", "--executor-memory", "512m"),
)


@pytest.fixture(scope="module")
def yarn(tmp_path_factory: pytest.TempPathFactory) -> Iterator[YarnCluster]:
    cluster = YarnCluster(tmp_path_factory.mktemp("yarn"))
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A compiled folder beside the input and the output folder ``out``."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "deployment.yml").write_text(DEPLOYMENT)
    (folder / "model.txt").write_text("0.5")
    (folder / "code").mkdir()
    (folder / "code" / "score.py").write_text(SCRIPT)
    (folder / "code" / "naming.py").write_text(HELPER)
    (folder / "in").mkdir()
    for number in range(20):
        (folder / "in" / f"{number:02d}.txt").write_text("x" * number)
    sparkscore(
        folder,
        *("compile", "--file", "deployment.yml", "--target", "spark-submit", "-o", "yarn-job"),
        *("--input", "in", "--output-path", "out"),
    )
    return folder / "yarn-job"


def test_yarn__compiled_folder(yarn: YarnCluster, compiled: Path) -> None:
    done = subprocess.run(
        [compiled / "submit.sh", "yarn", "client", *SMALL],
        env={
            **os.environ,
            "JAVA_HOME": str(find_java(os.environ).home),
            "SPARK_SUBMIT": str(SPARK_HOME / "bin" / "spark-submit"),
            "SPARK_LOCAL_IP": "127.0.0.1",
            "HADOOP_CONF_DIR": str(yarn.configuration),
            "PYSPARK_PYTHON": sys.executable,
        },
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr
    lines = (compiled.parent / "out" / "predictions.csv").read_text().splitlines()
    assert lines[0] == "file,score"
    assert sorted(lines[1:])[:2] == ["00.txt,0.0", "01.txt,0.5"]
    assert len(lines) == 20  # 17.txt fails
    assert yarn.list_applications() == [("yarn-job", "SUCCEEDED")]
