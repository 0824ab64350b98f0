"""Jobs on a platform as the control plane sees them: real launchers, a store, far drivers."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import signal
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from sparkscore.control import InvokeRequest, Job, Workspace
from sparkscore.control.jobs.processes import is_alive
from sparkscore.control.jobs.remote_run import note_remote
from sparkscore.control.jobs.remote_store import RemoteStore
from sparkscore.errors import AlreadyExistsError, InvalidFieldError, SparkscoreError
from sparkscore.messages.codec import to_json
from sparkscore.messages.status import InputCounts, SummaryMessage
from sparkscore.state import JobRecord
from sparkscore.storage import open_store
from tests.control.jobs.conftest import wait_until
from tests.servers.kubernetes import KubernetesServer, kubernetes_server
from tests.servers.operator_words import AskedRun
from tests.servers.s3 import s3_server
from tests.servers.spark_operator import SparkOperator, spark_operator
from tests.servers.store import StoreServer

SCRIPT = "def init():\n    pass\n\ndef run(mini_batch):\n    return mini_batch\n"
FAR_DRIVER = Path(__file__).parents[1] / "far_driver.py"

_NUMBERS = itertools.count()


def make_command(asked: AskedRun, folder: Path) -> list[str]:
    del folder
    return [sys.executable, str(FAR_DRIVER), *asked.arguments]


@dataclass
class Place:
    """A workspace with the compute ``pods``, and what is behind it."""

    workspace: Workspace
    operator: SparkOperator
    server: KubernetesServer
    store: StoreServer
    name: str = ""

    def behave(self, how: str) -> None:
        """What drivers that start from now on do."""
        self.server.secrets["store"] = {**self.store.environment, "FAR_DRIVER": how}

    def invoke(self, **asked: Any) -> Job:
        name = self.name
        given: dict[str, Any] = {
            "input": f"{self.store.uri}/one-input",
            "output_path": f"{self.store.uri}/out/{name}",
            **asked,
        }
        request = InvokeRequest(job_name=name, compute="pods", **given)
        return self.workspace.batch_endpoints.invoke("mood", request)

    def put(self, name: str) -> None:
        self.store.put(f"jobs/{self.name}/{name}", b"1")

    def list_staged(self) -> set[str]:
        store, root = open_store(f"{self.store.uri}/jobs/{self.name}")
        store.invalidate_cache()
        return {str(path).removeprefix(f"{root}/") for path in store.find(root)}

    def count_starts(self) -> int:
        return sum(name.startswith("starts/") for name in self.list_staged())

    def get_record(self) -> JobRecord:
        with self.workspace.store.reading() as reader:
            return reader.get_job(self.name)

    def wait_for_driver(self) -> Job:
        wait_until(lambda: self.workspace.jobs.get(self.name).status == "Running", seconds=60)
        return self.workspace.jobs.get(self.name)

    def kill_launcher(self) -> None:
        launcher = self.get_record().launcher
        assert launcher is not None
        os.kill(launcher.process_id, signal.SIGKILL)
        wait_until(lambda: is_alive(launcher) is False)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """One workspace for all tests: its registry takes seconds to make."""
    with s3_server() as s3_store, pytest.MonkeyPatch.context() as monkeypatch:
        for name, value in s3_store.environment.items():
            monkeypatch.setenv(name, value)
        s3_store.put("one-input/a.txt", b"a")
        yield from make_place(tmp_path_factory.mktemp("platform"), s3_store, monkeypatch)


@pytest.fixture
def place(cluster: Place) -> Iterator[Place]:
    """The cluster with a job's name of the test's own."""
    cluster.name = f"job-{next(_NUMBERS)}"
    cluster.behave("complete")
    yield cluster
    for job in cluster.workspace.jobs.list():
        if not job.is_ended:
            cluster.workspace.jobs.cancel(job.name).wait(90)


def make_place(
    tmp_path: Path, s3_store: StoreServer, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Place]:
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "score.py").write_text(SCRIPT)
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "weights").write_text("1")
    (tmp_path / "ws").mkdir()
    (tmp_path / "ws" / "sparkscore.toml").write_text("[mlflow]\nlog_jobs = false\n")
    with (
        kubernetes_server() as server,
        spark_operator(server, tmp_path, make_command=make_command) as operator,
    ):
        monkeypatch.setenv("KUBECONFIG", str(server.write_kubeconfig(tmp_path / "kubeconfig")))
        workspace = open_workspace(tmp_path, f"{s3_store.uri}/jobs")
        yield Place(workspace, operator, server, s3_store)
        workspace.close()


def open_workspace(folder: Path, staging: str) -> Workspace:
    workspace = Workspace.open(folder / "ws")
    document = {
        "name": "pods",
        "type": "kubernetes",
        "image": "sparkscore:tests",
        "staging": staging,
        "environment_from_secrets": ["store"],
        "max_instances": 4,
        "page_url": "https://pages.example.com/{namespace}/{name}",
    }
    workspace.computes.create(document)
    workspace.batch_endpoints.create(name="mood")
    workspace.batch_deployments.create(
        {
            "name": "mood-v1",
            "endpoint_name": "mood",
            "model": {"path": str(folder / "model")},
            "code_configuration": {"code": str(folder / "code"), "scoring_script": "score.py"},
        },
        set_default=True,
    )
    return workspace


@pytest.mark.slow
def test_job__is_uploaded_submitted_and_followed(place: Place) -> None:
    lines: list[str] = []

    def note_line(line: str) -> None:
        lines.append(line)
        place.server.faults.clear()

    place.server.faults = [(503, {})] * 1000  # until the job says so
    place.invoke()
    job = place.workspace.jobs.stream(place.name, on_line=note_line)
    assert job.status == "Completed", job.record.error
    assert lines[0].startswith("kubernetes: PLATFORM_UNREACHABLE: ")
    assert "UNREACHABLE" not in job.to_dict()["platform_run"]["message"]
    assert job.input_counts == {"total": 8, "succeeded": 8, "failed": 0, "unprocessed": 0}
    assert {"launch.json", "run.json", "code/score.py", "model/model/weights"} <= (
        place.list_staged()
    )
    folder = Path(job.record.folder)
    assert (folder / "failed_inputs.csv").exists()
    assert any("hello" in line for line in place.workspace.jobs.iter_logs(place.name))
    shown = job.to_dict()
    assert shown["platform_run"] == {
        "platform": "kubernetes",
        "run_id": f"default/{place.name}",
        "url": f"https://pages.example.com/default/{place.name}",
        "state": shown["platform_run"]["state"],
        "message": shown["platform_run"]["message"],
        "folder": f"{place.store.uri}/jobs/{place.name}",
    }
    assert (
        shown["services"]["Kubernetes"]["endpoint"]
        == f"https://pages.example.com/default/{place.name}"
    )
    launch = json.loads((folder / "launch.json").read_text())
    assert (launch["staged"], launch["relay"], launch["master"]) == (True, True, None)
    for secret in place.store.secrets:
        for file in folder.rglob("*"):
            assert not file.is_file() or secret not in file.read_text(errors="replace")
    _use_copy(place, job)


def _use_copy(place: Place, job: Job) -> None:
    """The same job again is the same; without its folder here the store has what it left."""
    assert place.invoke().record.sequence == job.record.sequence
    assert place.count_starts() == 1
    wait_until(lambda: is_alive(place.get_record().launcher) is False)
    shutil.rmtree(job.record.folder)
    assert any("hello" in line for line in place.workspace.jobs.iter_logs(place.name))
    place.workspace.jobs.prune(older_than_days=0.0)
    assert place.list_staged() == set()


@pytest.mark.slow
def test_cancel__reaches_the_driver_by_its_folder(place: Place) -> None:
    place.behave("wait")
    place.invoke()
    place.wait_for_driver()
    assert place.workspace.jobs.cancel(place.name).status == "CancelRequested"
    job = place.workspace.jobs.get(place.name).wait(60)
    assert job.status == "Canceled"
    assert job.record.error is not None
    assert job.record.error["condition"] == "CANCELED"


@pytest.mark.slow
def test_cancel__before_a_driver_is_there(place: Place) -> None:
    place.server.secrets.pop("store")  # its pod cannot start
    place.invoke()
    wait_until(lambda: (place.get_record().remote or {}).get("run_id") is not None, seconds=60)
    place.workspace.jobs.cancel(place.name)
    assert place.workspace.jobs.get(place.name).wait(60).status == "Canceled"
    assert place.name not in [key[2] for key in place.server.resources]


@pytest.mark.parametrize("key", ["input", "output_path"])
def test_paths_of_this_machine__are_refused(place: Place, tmp_path: Path, key: str) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "a.txt").write_text("a")
    with pytest.raises(InvalidFieldError) as caught:
        place.invoke(**{key: str(tmp_path / "here")})
    assert caught.value.condition == "LOCAL_DATA_NOT_REACHABLE"
    assert place.name not in [job.name for job in place.workspace.jobs.list()]


def test_folder_of_another_job__is_left_alone(place: Place) -> None:
    place.put("launch.json")
    with pytest.raises(AlreadyExistsError) as caught:
        place.invoke()
    assert caught.value.condition == "JOB_EXISTS"


def test_folder_that_another_job_takes_meanwhile__is_left_alone(
    place: Place, tmp_path: Path
) -> None:
    (tmp_path / "launch.json").write_text("{}")
    folder = RemoteStore(f"{place.store.uri}/jobs/{place.name}", {})
    folder.prepare(tmp_path, token="one", run=0, on_wait=lambda: None)
    with pytest.raises(AlreadyExistsError) as caught:
        folder.prepare(tmp_path, token="two", run=0, on_wait=lambda: None)
    assert caught.value.condition == "JOB_EXISTS"


def test_platform_that_refuses__fails_the_job_by_name(place: Place) -> None:
    token, place.server.token = place.server.token, "another"
    job = place.invoke().wait(60)
    place.server.token = token
    assert job.status == "Failed"
    assert job.record.error is not None
    assert job.record.error["condition"] == "PLATFORM_DENIED"


def test_run_that_completed_unseen__is_found_by_a_resume(place: Place) -> None:
    token, place.server.token = place.server.token, "another"
    assert place.invoke().wait(60).status == "Failed"
    place.server.token = token
    inputs = InputCounts(8, 8, 0)
    output = {"path": "s3://bucket/out", "format": "csv"}
    ended = SummaryMessage(place.name, "Completed", inputs, output=output)
    place.store.put(f"jobs/{place.name}/summary.json", to_json(ended).encode())
    job = place.workspace.jobs.resume(place.name)
    assert job.status == "Completed"
    assert job.input_counts == {"total": 8, "succeeded": 8, "failed": 0, "unprocessed": 0}
    assert place.count_starts() == 0


@pytest.mark.slow
def test_launcher_killed__who_looks_gives_the_job_another(place: Place) -> None:
    place.behave("wait")
    place.server.lost_answers = 1
    place.invoke()
    place.wait_for_driver()
    place.kill_launcher()
    assert place.workspace.jobs.get(place.name).status == "Running"
    assert is_alive(place.get_record().launcher) is True
    place.kill_launcher()
    with place.workspace.store.writing() as writer:  # as if it had been killed while it submitted
        record = writer.get_job(place.name)
        writer.update_job(note_remote(record, run_id=None))
    place.workspace.jobs.get(place.name)
    run_id = f"default/{place.name}"
    wait_until(lambda: (place.get_record().remote or {}).get("run_id") == run_id, seconds=60)
    place.put("go")
    assert place.workspace.jobs.get(place.name).wait(60).status == "Completed"
    assert place.count_starts() == 1


@pytest.mark.slow
def test_driver_that_dies__is_started_again_explained_and_resumed(place: Place) -> None:
    place.behave("die")
    job = place.invoke().wait(60)
    assert job.status == "Failed"
    error = job.record.error
    assert error is not None
    assert error["condition"] == "PLATFORM_RUN_FAILED"
    assert error["run_id"] == f"default/{place.name}"
    assert "boom" in error["message"] or "ExitCode: 3" in error["message"]
    assert place.count_starts() == 2
    with pytest.raises(InvalidFieldError) as refused:
        place.workspace.jobs.resume(place.name, compute="local")
    assert refused.value.condition == "NOT_RESUMABLE"
    place.behave("complete")
    job = place.workspace.jobs.resume(place.name, overrides=["error_threshold=5"]).wait(60)
    assert job.status == "Completed", job.record.error
    assert job.record.remote is not None
    assert job.record.remote["run"] == 1
    assert job.record.remote["run_id"] == f"default/{place.name}-r1"
    store, path = open_store(f"{place.store.uri}/jobs/{place.name}/launch.json")
    assert json.loads(store.cat_file(path))["scoring"]["error_threshold"] == 5
    with pytest.raises(SparkscoreError) as ended:
        place.workspace.jobs.resume(place.name)
    assert ended.value.condition == "JOB_COMPLETED"
