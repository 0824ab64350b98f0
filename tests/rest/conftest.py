"""A served workspace with a model, code, input, an endpoint and a deployment.

Its jobs run the fake driver, detached, as real ones do.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from sparkscore.control.jobs.processes import is_alive
from sparkscore.control.workspace import Workspace
from sparkscore.rest.app import create_app
from sparkscore.rest.config import ServerConfig
from tests.control.samples import SCRIPT, write_java
from tests.rest.serving import Client, serving

ROOT = Path(__file__).parents[2]
STAND_IN = ROOT / "tests" / "control" / "jobs" / "stand_in"
DEPLOYMENT = {
    "name": "mood-v1",
    "endpoint_name": "mood",
    "model": "azureml:weights:1",
    "code_configuration": {"code": "azureml:score:1", "scoring_script": "score.py"},
    "compute": "azureml:cpu-cluster",
}


@pytest.fixture(scope="session")
def rest_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a workspace ``ws`` whose datastore has ``in``, ``model`` and ``code``."""
    folder = tmp_path_factory.mktemp("rest") / "ws"
    workspace = Workspace.open(folder)
    store = Path(workspace.datastores.get_default().uri)
    for name in ("in", "model", "code"):
        (store / name).mkdir()
    (store / "model" / "weights.bin").write_bytes(b"\0\1")
    (store / "code" / "score.py").write_text(SCRIPT)
    (store / "code" / "helper.py").write_text("prefix = 'a'\n")
    for number in range(8):
        (store / "in" / f"{number}.txt").write_text(str(number))
    workspace.models.create(name="weights", version="1", path=str(store / "model"))
    workspace.code.create(str(store / "code"), name="score", version="1")
    workspace.computes.create(name="cpu-cluster", type="amlcompute", max_instances=3)
    workspace.batch_endpoints.create(name="mood")
    workspace.batch_deployments.create(DEPLOYMENT, set_default=True)
    workspace.close()
    return folder


@pytest.fixture
def workspace(
    rest_template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Workspace]:
    """A copy of the template; processes of its jobs are killed at the end."""
    monkeypatch.setenv("JAVA_HOME", str(write_java(tmp_path / "java")))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(STAND_IN), str(ROOT)]))
    monkeypatch.setenv("FAKE_DRIVER", "complete")
    monkeypatch.chdir(tmp_path)
    shutil.copytree(rest_template, tmp_path / "ws")
    opened = Workspace.open(tmp_path / "ws")
    yield opened
    with opened.store.reading() as reader:
        records = reader.list_jobs()
    for record in records:
        for process in (record.launcher, record.driver):
            if process is not None and is_alive(process):
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.process_id, signal.SIGKILL)
    opened.close()


@pytest.fixture
def server(workspace: Workspace) -> Iterator[str]:
    """The address of a server of the workspace that asks for no token."""
    with serving(create_app(workspace, ServerConfig(no_auth=True))) as address:
        yield address


@pytest.fixture
def client(server: str) -> Client:
    """Calls the workspace's resources by their short paths."""
    return Client(server, "/workspaces/ws")


@pytest.fixture
def api(server: str) -> Client:
    """Calls what stands below ``/api/v1``."""
    return Client(server, "/api/v1")
