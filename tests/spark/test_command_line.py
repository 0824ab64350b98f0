"""``sparkscore batch-deployment run`` from start to end, in processes of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

DEPLOYMENT = """\
name: names
endpoint_name: files
model: {path: ./model.txt}
code_configuration: {code: ./code, scoring_script: score.py}
compute: azureml:cpu-cluster
environment: azureml:sklearn:1
mini_batch_size: 2
error_threshold: 1
retry_settings: {max_retries: 0, timeout: 30}
"""
SCRIPT = """\
import os, time

def init():
    pass

def run(batch):
    rows = []
    for path in batch:
        with open(path) as file:
            kind = file.read()
        if kind == "slow":
            print("sleeping", flush=True)
            time.sleep(120)
        if kind == "bad":
            raise ValueError("bad input")
        rows.append(os.path.basename(path))
    return rows
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A deployment with three folders of inputs: good, failing and slow ones."""
    (tmp_path / "deployment.yml").write_text(DEPLOYMENT)
    (tmp_path / "model.txt").write_text("model")
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "score.py").write_text(SCRIPT)
    for kind, count in (("good", 7), ("bad", 5), ("slow", 6)):
        folder = tmp_path / kind
        folder.mkdir()
        for number in range(count):
            (folder / f"{number}.txt").write_text(kind)
    return tmp_path


def start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "sparkscore.cli", "batch-deployment", "run"]
    return subprocess.Popen(
        [*command, "--file", "deployment.yml", *arguments],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_run__prints_json_alone_and_exits_with_0(project: Path) -> None:
    done = start(project, "--input", "good", "--output-path", "out", "-o", "json")
    stdout, stderr = done.communicate(timeout=180)
    assert done.returncode == 0, stderr
    summary = json.loads(stdout)
    assert summary["inputs"] == {"total": 7, "succeeded": 7, "failed": 0}
    assert summary["output"]["path"] == str(project / "out" / "predictions.csv")
    assert (project / "out" / "predictions.csv").read_text().splitlines() == [
        "prediction",
        *(f"{number}.txt" for number in range(7)),
    ]
    assert os.listdir(project / "out") == ["predictions.csv"]
    assert "runs locally" in stderr
    assert "azureml:cpu-cluster is recorded" in stderr
    assert "own Python" in stderr
    assert {"file", "model", "code"}.isdisjoint(os.listdir(project / "sparkscore-jobs"))
    (job,) = (project / "sparkscore-jobs").iterdir()
    assert not (job / "scratch").exists()
    log = (job / "logs" / "driver.log").read_text()
    assert "Traceback" not in log
    assert "SPARK_LOCAL_DIRS" not in log


def test_run__failed_job_exits_with_4_and_says_why(project: Path) -> None:
    done = start(project, "--input", "bad", "--output-path", "out", "--job-folder", "job")
    stdout, stderr = done.communicate(timeout=180)
    assert done.returncode == 4
    assert "ERROR_THRESHOLD_EXCEEDED" in stdout + stderr
    assert "ValueError: bad input" in stdout + stderr
    assert "Traceback" not in stdout + stderr
    assert not (project / "out").exists()
    summary = json.loads((project / "job" / "summary.json").read_text())
    assert summary["status"] == "Failed"
    failed = (project / "job" / "failed_inputs.csv").read_text().splitlines()
    assert len(failed) == 1 + summary["inputs"]["failed"]


def wait_until_scoring(folder: Path, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 120
    while process.poll() is None and time.monotonic() < deadline:
        if any("sleeping" in log.read_text() for log in folder.rglob("*.stdout.txt")):
            return
        time.sleep(0.1)
    raise AssertionError("the job did not start to score")


@pytest.mark.parametrize(
    ("number", "exit_code"), [(signal.SIGINT, 130), (signal.SIGTERM, 6)], ids=["SIGINT", "SIGTERM"]
)
def test_run__interrupt_cancels_and_leaves_no_process(
    project: Path, number: signal.Signals, exit_code: int
) -> None:
    process = start(project, "--input", "slow", "--output-path", "out", "--job-folder", "job")
    wait_until_scoring(project / "job", process)
    family = psutil.Process(process.pid).children(recursive=True)
    assert len(family) >= 3
    process.send_signal(number)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == exit_code, stderr
    summary = json.loads((project / "job" / "summary.json").read_text())
    assert summary["status"] == "Canceled"
    assert summary["unprocessed_inputs"] == 6
    assert not (project / "out").exists()
    _, alive = psutil.wait_procs(family, timeout=20)
    assert [child for child in alive if child.status() != psutil.STATUS_ZOMBIE] == []


def test_run__killed_command_line_ends_its_driver(project: Path) -> None:
    process = start(project, "--input", "slow", "--output-path", "out", "--job-folder", "job")
    wait_until_scoring(project / "job", process)
    family = psutil.Process(process.pid).children(recursive=True)
    process.kill()
    process.communicate()
    _, alive = psutil.wait_procs(family, timeout=40)
    assert [child for child in alive if child.status() != psutil.STATUS_ZOMBIE] == []
    assert not (project / "out").exists()
