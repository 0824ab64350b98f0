"""The same deployment file on a standalone cluster: master and two workers, real processes."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyspark
import pytest

from sparkscore.targets.java import find_java

pytestmark = pytest.mark.cluster

SPARK_HOME = Path(pyspark.__file__).parent
DEPLOYMENT = """\
name: sizes
endpoint_name: files
model: {path: ./model.txt}
code_configuration: {code: ./code, scoring_script: score.py}
resources: {instance_count: 2}
mini_batch_size: 3
retry_settings: {max_retries: 0, timeout: 30}
"""
SCRIPT = """\
import os
import naming

def init():
    with open(os.path.join(os.environ["AZUREML_MODEL_DIR"], "model.txt")) as model:
        naming.factor = float(model.read())

def run(batch):
    return [naming.row(path) for path in batch]
"""
HELPER = """\
import os

factor = None

def row(path):
    if path.endswith("17.txt"):
        raise ValueError(path)
    return {"file": os.path.basename(path), "score": os.path.getsize(path) * factor}
"""


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@pytest.fixture(scope="module")
def java_environment() -> dict[str, str]:
    java = find_java(os.environ)
    return {
        **os.environ,
        "JAVA_HOME": str(java.home),
        "SPARK_HOME": str(SPARK_HOME),
        "SPARK_SCALA_VERSION": "2.13",
        "SPARK_LOCAL_IP": "127.0.0.1",
        "PYSPARK_PYTHON": sys.executable,
    }


@pytest.fixture(scope="module")
def master(
    java_environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """The URL of a master with two workers of one core each, on hosts of different names."""
    folder = tmp_path_factory.mktemp("cluster")
    port, web_port = free_port(), free_port()
    url = f"spark://127.0.0.1:{port}"
    started = [
        start(
            java_environment,
            folder,
            "master.Master",
            ["--host", "127.0.0.1", "--port", str(port), "--webui-port", str(web_port)],
        )
    ]
    started += [
        start(
            java_environment | {"SPARK_LOCAL_IP": host},
            folder,
            "worker.Worker",
            [
                "--host",
                host,
                "--cores",
                "1",
                "--memory",
                "1500m",
                "--webui-port",
                "0",
                "--work-dir",
                str(folder / host),
                url,
            ],
        )
        for host in ("127.0.0.1", "127.0.0.2")
    ]
    try:
        wait_for_workers(web_port, count=2)
        yield url
    finally:
        for process in reversed(started):
            process.terminate()
            process.wait(20)


def start(
    environment: dict[str, str], folder: Path, kind: str, arguments: list[str]
) -> subprocess.Popen[bytes]:
    java = Path(environment["JAVA_HOME"], "bin", "java")
    with open(folder / "cluster.log", "ab") as log:
        return subprocess.Popen(
            [
                str(java),
                "-Xmx256m",
                "-cp",
                f"{SPARK_HOME}/jars/*",
                f"org.apache.spark.deploy.{kind}",
                *arguments,
            ],
            env=environment,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )


def wait_for_workers(web_port: int, *, count: int) -> None:
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{web_port}/json/", timeout=5) as page:
                workers = json.load(page)["workers"]
            if sum(worker["state"] == "ALIVE" for worker in workers) == count:
                return
        except OSError:
            pass
        time.sleep(0.3)
    raise AssertionError("the cluster's workers did not register")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A deployment file with model, code and forty inputs."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "deployment.yml").write_text(DEPLOYMENT)
    (folder / "model.txt").write_text("0.5")
    (folder / "code").mkdir()
    (folder / "code" / "score.py").write_text(SCRIPT)
    (folder / "code" / "naming.py").write_text(HELPER)
    (folder / "in").mkdir()
    for number in range(40):
        (folder / "in" / f"{number:02d}.txt").write_text("x" * number)
    return folder


def sparkscore(folder: Path, *arguments: str, environment: Any = None) -> str:
    command = [sys.executable, "-m", "sparkscore.cli", "batch-deployment", *arguments]
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def local_output(project: Path) -> bytes:
    """What the deployment gives on ``local[2]``."""
    sparkscore(
        project,
        *("run", "--file", "deployment.yml", "--input", "in"),
        *("--output-path", "local", "--compute", "local[2]"),
    )
    return (project / "local" / "predictions.csv").read_bytes()


def test_cluster__gives_the_same_bytes_as_local(
    master: str, project: Path, local_output: bytes
) -> None:
    text = sparkscore(
        project,
        *("run", "--file", "deployment.yml", "--input", "in", "-o", "json"),
        *("--output-path", "cluster", "--compute", master),
    )
    assert (project / "cluster" / "predictions.csv").read_bytes() == local_output
    assert local_output.count(b"\n") == 40
    summary = json.loads(text)
    assert summary["inputs"] == {"total": 40, "succeeded": 39, "failed": 1}
    assert summary["worker_processes"] == summary["init_calls"] == 2


def test_cluster__writes_a_delta_table(master: str, project: Path) -> None:
    text = sparkscore(
        project,
        *("run", "--file", "deployment.yml", "--input", "in", "-o", "json", "--limit", "9"),
        *("--output-path", "table", "--compute", master, "--set", "output_format=delta"),
    )
    output = json.loads(text)["output"]
    assert (output["format"], output["path"], output["version"]) == (
        "delta",
        str(project / "table"),
        0,
    )
    assert (project / "table" / "_delta_log").is_dir()


def test_cluster__compiled_folder_needs_one_command(
    master: str, project: Path, local_output: bytes, java_environment: dict[str, str]
) -> None:
    sparkscore(
        project,
        *("compile", "--file", "deployment.yml", "--target", "spark-submit", "-o", "compiled"),
        *("--input", "in", "--output-path", "submitted"),
    )
    score = Path(__file__).parents[2] / "jobs" / "score.py"
    done = subprocess.run(
        [SPARK_HOME / "bin" / "spark-submit", "--master", master, score, "compiled/launch.json"],
        cwd=project,
        env=java_environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    assert (project / "submitted" / "predictions.csv").read_bytes() == local_output


def test_cluster__master_that_does_not_answer_is_said_at_once(project: Path) -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "sparkscore.cli",
            "batch-deployment",
            "run",
            "--file",
            "deployment.yml",
            "--input",
            "in",
            "--output-path",
            "nowhere",
            "--compute",
            f"spark://127.0.0.1:{free_port()}",
        ],
        cwd=project,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 3
    assert "MASTER_UNREACHABLE" in done.stderr
    assert not (project / "nowhere").exists()
