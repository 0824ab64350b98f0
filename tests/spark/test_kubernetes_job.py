"""A compiled job on Kubernetes: its folder in S3, the resource applied, the driver a real one.

The resource is that of Apache's operator; the jobs of test_platform_jobs.py have Kubeflow's.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from sparkscore.control.compile import compile_deployment
from sparkscore.control.options import CompileOptions, RunOptions
from sparkscore.storage import open_store
from sparkscore.targets.base import CompiledApplication, RemoteStatus
from sparkscore.targets.kubernetes import platform_for
from sparkscore.targets.kubernetes.compile import RESOURCE_FILES
from tests.servers.kubernetes import kubernetes_server
from tests.servers.spark_operator import spark_operator
from tests.servers.store import StoreServer

DEADLINE_SECONDS = 180.0
IMAGE = "sparkscore:tests"
INPUTS = 5
SCRIPT = """
import os
from pathlib import Path

def init():
    global weights
    weights = (Path(os.environ["AZUREML_MODEL_DIR"]) / "model" / "weights.txt").read_text()

def run(mini_batch):
    return [
        {"file": Path(path).name, "length": len(Path(path).read_text()), "weights": weights}
        for path in mini_batch
    ]
"""


def write_job(folder: Path, store: StoreServer) -> tuple[Path, Path]:
    """A deployment and a compute, as their user writes them."""
    (folder / "code").mkdir(parents=True)
    (folder / "code" / "score.py").write_text(SCRIPT)
    (folder / "model").mkdir()
    (folder / "model" / "weights.txt").write_text("seven")
    deployment = {
        "name": "lengths",
        "endpoint_name": "texts",
        "model": {"path": "model"},
        "code_configuration": {"code": "code", "scoring_script": "score.py"},
        "mini_batch_size": 2,
        "max_concurrency_per_instance": 2,
        "output_file_name": "lengths.jsonl",
    }
    compute = {
        "name": "pods",
        "type": "kubernetes",
        "image": IMAGE,
        "staging": f"{store.uri}/staging",
        "operator": "apache",
        "namespace": "scoring",
        "environment_from_secrets": ["store"],
        "driver_memory": "1g",
    }
    files = folder / "deployment.yml", folder / "compute.yml"
    for file, content in zip(files, (deployment, compute), strict=True):
        file.write_text(yaml.safe_dump(content))
    return files


def upload(folder: Path, store: StoreServer, below: str) -> None:
    for file in sorted(folder.rglob("*")):
        if file.is_file():
            store.put(f"{below}/{file.relative_to(folder).as_posix()}", file.read_bytes())


def wait_for_end(platform: Any, run_id: str) -> RemoteStatus:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while (status := platform.get_status(run_id)).state not in ("succeeded", "failed"):
        assert time.monotonic() < deadline, status
        time.sleep(0.2)
    found: RemoteStatus = status
    return found


@pytest.mark.slow
def test_compiled_job__each_run_is_a_job_of_its_own(
    s3_store: StoreServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in s3_store.environment.items():
        monkeypatch.setenv(name, value)
    for number in range(INPUTS):
        s3_store.put(f"k8s/in/{number:02}.txt", b"x" * number)
    deployment, compute = write_job(tmp_path / "mine", s3_store)
    options = RunOptions(
        file=deployment,
        compute=str(compute),
        input=f"{s3_store.uri}/k8s/in",
        output_path=f"{s3_store.uri}/k8s/out",
    )
    folder = tmp_path / "Lengths_1"
    compile_deployment(CompileOptions(options, "kubernetes", folder))
    upload(folder, s3_store, "staging/Lengths_1")
    resource = yaml.safe_load((folder / RESOURCE_FILES["apache"]).read_text())
    resource["spec"]["driverArgs"] += ["--run", "monday"]
    compiled = CompiledApplication(
        "kubernetes", (), {RESOURCE_FILES["apache"]: yaml.safe_dump(resource)}
    )
    with kubernetes_server() as server, spark_operator(server, tmp_path, images=(IMAGE,)):
        monkeypatch.setenv("KUBECONFIG", str(server.write_kubeconfig(tmp_path / "config")))
        server.secrets["store"] = dict(s3_store.environment)
        platform = platform_for(yaml.safe_load(compute.read_text()))
        run = platform.submit(compiled, name="Lengths_1")
        status = wait_for_end(platform, run.run_id)
        assert status.state == "succeeded", (status, server.logs)
    summary = read_json(s3_store, "staging/Lengths_1/runs/monday/summary.json")
    assert (summary["status"], summary["inputs"]["succeeded"]) == ("Completed", INPUTS)
    rows = [
        json.loads(line) for line in read(s3_store, "k8s/out/monday/lengths.jsonl").splitlines()
    ]
    assert rows == [
        {"file": f"{number:02}.txt", "length": number, "weights": "seven"}
        for number in range(INPUTS)
    ]


def read(server: StoreServer, path: str) -> bytes:
    store, root = open_store(f"{server.uri}/{path}", server.options)
    content: bytes = store.cat_file(root)
    return content


def read_json(server: StoreServer, path: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(read(server, path))
    return content
