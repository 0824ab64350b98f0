"""A compiled folder on YARN: its submit.sh, a resource manager, a node manager, real containers."""

from __future__ import annotations

import contextlib
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
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a deployment and its input."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "deployment.yml").write_text(DEPLOYMENT)
    (folder / "model.txt").write_text("0.5")
    (folder / "code").mkdir()
    (folder / "code" / "score.py").write_text(SCRIPT)
    (folder / "code" / "naming.py").write_text(HELPER)
    (folder / "in").mkdir()
    for number in range(20):
        (folder / "in" / f"{number:02d}.txt").write_text("x" * number)
    return folder


def compile_job(project: Path, mode: str) -> Path:
    """The submit script of a job that writes to ``out-<mode>``."""
    sparkscore(
        project,
        *("compile", "--file", "deployment.yml", "--target", "spark-submit", "-o", f"yarn-{mode}"),
        *("--input", "in", "--output-path", f"out-{mode}"),
    )
    return project / f"yarn-{mode}" / "submit.sh"


def test_yarn__compiled_folder(yarn: YarnCluster, project: Path) -> None:
    """In cluster mode the driver is a container too. Both jobs run at the same time."""
    variables = {
        **os.environ,
        "JAVA_HOME": str(find_java(os.environ).home),
        "SPARK_SUBMIT": str(SPARK_HOME / "bin" / "spark-submit"),
        "SPARK_LOCAL_IP": "127.0.0.1",
        "HADOOP_CONF_DIR": str(yarn.configuration),
        "PYSPARK_PYTHON": sys.executable,
    }
    with contextlib.ExitStack() as stack:
        runs = {}
        for mode in ("cluster", "client"):
            log = stack.enter_context((project / f"{mode}.log").open("w"))
            command = [compile_job(project, mode), "yarn", mode, *SMALL]
            run = subprocess.Popen(command, env=variables, stdout=log, stderr=log)
            runs[mode] = stack.enter_context(run)
            stack.callback(run.kill)
        codes = {mode: run.wait(200) for mode, run in runs.items()}
    for mode, code in codes.items():
        assert code == 0, (project / f"{mode}.log").read_text()[-4000:]
        lines = (project / f"out-{mode}" / "predictions.csv").read_text().splitlines()
        assert lines[0] == "file,score"
        assert sorted(lines[1:])[:2] == ["00.txt,0.0", "01.txt,0.5"]
        assert len(lines) == 20  # 17.txt fails
    done = [("yarn-client", "SUCCEEDED"), ("yarn-cluster", "SUCCEEDED")]
    assert sorted(yarn.list_applications()) == done
