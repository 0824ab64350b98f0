"""Jobs whose drivers run on a platform: invoke to download, through a store and nothing else.

The platform is a Kubernetes API server with an operator that starts drivers as processes here.
"""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from sparkscore.control import InvokeRequest, Job, Workspace
from sparkscore.control.jobs.processes import is_alive
from sparkscore.storage import open_store
from tests.servers.kubernetes import KubernetesServer, kubernetes_server
from tests.servers.spark_operator import SparkOperator, spark_operator
from tests.servers.store import StoreServer
from tests.spark.drivers import wait_until

SCRIPT = """\
import os, time
from pathlib import Path

def init():
    global words
    words = Path(os.environ["AZUREML_MODEL_DIR"], "words", "good.txt").read_text().split()

def run(mini_batch):
    print("scores", len(mini_batch))
    time.sleep(float(os.environ.get("PAUSE", "0")))
    return [{"file": Path(path).name, "good": score(Path(path))} for path in mini_batch]

def score(path):
    return sum(word in words for word in path.read_text(encoding="utf-8").split())
"""

pytestmark = [pytest.mark.spark, pytest.mark.slow]


@dataclass
class Place:
    """A workspace with the compute ``pods``, and what is behind it."""

    workspace: Workspace
    operator: SparkOperator
    server: KubernetesServer
    store: StoreServer

    def invoke(self, name: str, *, pause: float = 0.0, compute: str = "pods", **asked: Any) -> Job:
        overrides = (f"environment_variables.PAUSE={pause}",) if pause else ()
        request = InvokeRequest(
            input=f"{self.store.uri}/moods",
            job_name=name,
            compute=compute,
            output_path=f"{self.store.uri}/out/{name}",
            overrides=overrides,
            **asked,
        )
        return self.workspace.batch_endpoints.invoke("mood", request)

    def list_staged(self, name: str) -> set[str]:
        """Files in the job's folder in the store."""
        store, root = open_store(f"{self.store.uri}/jobs/{name}")
        store.invalidate_cache()
        return {str(path).removeprefix(f"{root}/") for path in store.find(root)}


@pytest.fixture
def place(
    s3_store: StoreServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Place]:
    for name, value in s3_store.environment.items():
        monkeypatch.setenv(name, value)
    for number in range(24):
        s3_store.put(f"moods/{number:02d}.txt", b"a good day" if number % 3 else b"\xff")
    s3_store.put("models/words/good.txt", b"good great")
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "score.py").write_text(SCRIPT)
    (tmp_path / "ws").mkdir()
    (tmp_path / "ws" / "sparkscore.toml").write_text("[mlflow]\nlog_jobs = false\n")
    with (
        kubernetes_server() as server,
        spark_operator(server, tmp_path, images=("sparkscore:tests",)) as operator,
    ):
        (tmp_path / "disk").mkdir()  # a driver that is killed leaves what it had there
        server.secrets["store"] = {**s3_store.environment, "TMPDIR": str(tmp_path / "disk")}
        kubeconfig = server.write_kubeconfig(tmp_path / "kubeconfig")
        monkeypatch.setenv("KUBECONFIG", str(kubeconfig))
        workspace = _open_workspace(tmp_path, s3_store)
        yield Place(workspace, operator, server, s3_store)
        for job in workspace.jobs.list():
            if not job.is_ended:
                workspace.jobs.cancel(job.name).wait(90)
        workspace.close()


def _open_workspace(folder: Path, store: StoreServer) -> Workspace:
    workspace = Workspace.open(folder / "ws")
    workspace.computes.create(
        {
            "name": "pods",
            "type": "kubernetes",
            "image": "sparkscore:tests",
            "staging": f"{store.uri}/jobs",
            "environment_from_secrets": ["store"],
            "max_platform_retries": 2,
            "page_url": "https://pages.example.com/{namespace}/{name}",
        }
    )
    workspace.batch_endpoints.create(name="mood")
    workspace.batch_deployments.create(
        {
            "name": "mood-v1",
            "endpoint_name": "mood",
            "model": {"path": f"{store.uri}/models/words"},
            "code_configuration": {"code": str(folder / "code"), "scoring_script": "score.py"},
            "mini_batch_size": 2,
            "error_threshold": -1,
            "retry_settings": {"max_retries": 0},
        },
        set_default=True,
    )
    return workspace


def read_output(workspace: Workspace, name: str, folder: Path) -> list[str]:
    down = workspace.jobs.download(name, download_path=folder / name)
    return (down / "named-outputs" / "score" / "predictions.csv").read_text().splitlines()


def test_invoke__same_as_on_this_machine(place: Place, tmp_path: Path) -> None:
    seen: list[str] = []
    remote = place.invoke("far").wait(240, on_status=lambda status: seen.append(status.status))
    assert remote.status == "Completed", remote.record.error
    local = place.invoke("near", compute="local").wait(240)
    assert local.status == "Completed", local.record.error
    assert remote.input_counts == local.input_counts
    rows = read_output(place.workspace, "far", tmp_path)
    assert rows == read_output(place.workspace, "near", tmp_path)
    assert len(rows) == 17
    shown = remote.to_dict()
    assert shown["platform_run"]["platform"] == "kubernetes"
    page = "https://pages.example.com/" + shown["platform_run"]["run_id"]
    assert shown["services"]["Kubernetes"]["endpoint"] == page
    assert "Preparing" in seen or "Provisioning" in seen
    logs = {
        name: [line for line in place.workspace.jobs.iter_logs(name) if "scores" in line]
        for name in ("far", "near")
    }
    assert len(logs["far"]) == len(logs["near"]) > 0
    for secret in place.store.secrets:
        assert secret not in json.dumps(shown)
        assert secret not in (Path(remote.record.folder) / "launch.json").read_text()
    _retry_what_failed(place, "far", tmp_path)


def _retry_what_failed(place: Place, name: str, folder: Path) -> None:
    for number in range(0, 24, 3):
        place.store.put(f"moods/{number:02d}.txt", b"great")
    request = InvokeRequest(
        job_name="again", compute="pods", output_path=f"{place.store.uri}/out/again"
    )
    again = place.workspace.jobs.retry_failed(name, request).wait(240)
    assert again.status == "Completed", again.record.error
    assert again.to_dict()["inputs"]["input"]["count"] == 8
    assert len(read_output(place.workspace, "again", folder)) == 9


def wait_for_scored(place: Place, name: str) -> None:
    """Until a wave of the job is safe in the store."""
    wait_until(lambda: any("_committed.json" in file for file in place.list_staged(name)))


def test_one_job__torn_adopted_canceled_and_resumed(place: Place, tmp_path: Path) -> None:
    jobs = place.workspace.jobs
    place.invoke("torn", pause=1.0)
    wait_for_scored(place, "torn")
    place.operator.kill_driver(next(iter(place.operator.processes)))
    wait_until(lambda: "staging/inherited.2.json" in place.list_staged("torn"))  # its retry
    place.operator.evict_driver(next(iter(place.operator.processes)))
    wait_until(lambda: "lease/000003.json" in place.list_staged("torn"))
    assert "summary.json" not in place.list_staged("torn")
    launcher = jobs.get("torn").record.launcher
    assert launcher is not None
    os.kill(launcher.process_id, signal.SIGKILL)
    wait_until(lambda: is_alive(launcher) is False)
    jobs.cancel("torn")
    canceled = jobs.get("torn").wait(120)
    assert canceled.status == "Canceled", canceled.record.error
    assert open_store(f"{place.store.uri}/out/torn")[0].exists("bucket/out/torn") is False
    job = jobs.resume("torn").wait(240)
    assert job.status == "Completed", job.record.error
    assert len(read_output(place.workspace, "torn", tmp_path)) == 17
    assert job.input_counts == {"total": 24, "succeeded": 16, "failed": 8, "unprocessed": 0}
    events = (Path(job.record.folder) / "events.jsonl").read_text().splitlines()
    resumed = [json.loads(line)["details"] for line in events if '"resumed"' in line]
    assert resumed[-1]["mini_batches"] > 0
