"""The same deployment file on a standalone cluster: master and two workers, real processes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from sparkscore.control import InvokeRequest, Workspace
from sparkscore.control.watch import find_status
from sparkscore.messages.codec import to_json
from tests.spark.clusters import SPARK_HOME, Cluster, cluster_environment, free_port
from tests.spark.conftest import write_launch
from tests.spark.drivers import find_events, kill_processes, wait_until

pytestmark = pytest.mark.cluster

IMPATIENT_DRIVER = """\
import sys
from sparkscore.driver import executor_watch, main
executor_watch.WAIT_SECONDS = 0.5
sys.exit(main.main(sys.argv[1:]))
"""
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


@pytest.fixture(scope="module")
def java_environment() -> dict[str, str]:
    return cluster_environment()


@pytest.fixture(scope="module")
def master(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a master with two workers of one core each, on hosts of different names."""
    cluster = Cluster(tmp_path_factory.mktemp("cluster"))
    try:
        cluster.start(workers=2)
        yield cluster.url
    finally:
        cluster.stop()


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
    shutil.move(project / "compiled", project / "moved")
    done = subprocess.run(
        ["moved/submit.sh", master],
        cwd=project,
        env={**java_environment, "SPARK_SUBMIT": str(SPARK_HOME / "bin" / "spark-submit")},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    assert (project / "submitted" / "predictions.csv").read_bytes() == local_output


def test_cluster__resumes_a_local_job_whose_driver_was_killed(
    master: str, project: Path, local_output: bytes, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    gate.touch()
    held = {**yaml.safe_load(DEPLOYMENT), "model": {"path": str(project / "model.txt")}}
    held["code_configuration"]["code"] = str(copy_code(project, tmp_path, gate))
    request = InvokeRequest(
        input=str(project / "in"),
        job_name="moved",
        output_path=str(tmp_path / "out"),
        compute="local[1]",
    )
    (tmp_path / "ws").mkdir()
    (tmp_path / "ws" / "sparkscore.toml").write_text("[mlflow]\nlog_jobs = false\n")
    with closing(Workspace.open(tmp_path / "ws")) as workspace:
        workspace.batch_endpoints.create(name="files")
        workspace.batch_deployments.create(held, set_default=True)
        folder = Path(workspace.batch_endpoints.invoke("files", request).record.folder)
        wait_until(lambda: find_events(folder, "wave_committed"))
        kill_processes(workspace.jobs.get("moved").record)
        gate.unlink()
        job = workspace.jobs.resume("moved", compute=master).wait(240)
    assert job.status == "Completed", job.record.error
    assert (tmp_path / "out" / "predictions.csv").read_bytes() == local_output
    (resumed,) = find_events(folder, "resumed")
    assert 0 < resumed["mini_batches"] < 14
    (earlier,) = job.to_dict()["earlier_runs"]
    assert (earlier["compute"], job.to_dict()["compute"]["name"]) == ("local[1]", master)


def copy_code(project: Path, folder: Path, gate: Path) -> Path:
    """The project's code; the mini-batch with the last input waits as long as ``gate`` stands."""
    shutil.copytree(project / "code", folder / "code")
    wait = f"""
    while os.path.exists({str(gate)!r}) and any(path.endswith("39.txt") for path in batch):
        time.sleep(0.05)
"""
    script = SCRIPT.replace("def run(batch):\n", f"import time\n\ndef run(batch):{wait}")
    (folder / "code" / "score.py").write_text(script)
    return folder / "code"


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


@contextmanager
def ending(process: subprocess.Popen[bytes]) -> Iterator[None]:
    try:
        yield
    finally:
        process.kill()
        process.wait()


def test_cluster__without_a_free_worker_is_said_until_there_is_one(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path)
    launch = write_launch(
        tmp_path, "def run(batch):\n    return batch", 4, job={"master": cluster.url}
    )
    folder = Path(launch.job_folder)
    folder.mkdir()
    (folder / "launch.json").write_text(to_json(launch))

    def find_hint() -> str | None:
        status = find_status(folder / "status.json")
        return None if status is None else status.hint

    try:
        cluster.start(workers=0)
        log = (tmp_path / "driver.log").open("wb")
        driver = subprocess.Popen(
            [sys.executable, "-c", IMPATIENT_DRIVER, str(folder / "launch.json")],
            env={**cluster_environment(), "PYTHONPATH": os.getcwd()},
            stdout=log,
            stderr=log,
        )
        with log, ending(driver):
            wait_until(find_hint)
            (event,) = find_events(folder, "waiting_for_executors")
            assert event["seconds"] >= 0.5
            cluster.start_worker()
            assert driver.wait(120) == 0, (tmp_path / "driver.log").read_text()[-4000:]
    finally:
        cluster.stop()
    assert find_hint() is None
    assert json.loads((folder / "summary.json").read_text())["status"] == "Completed"
