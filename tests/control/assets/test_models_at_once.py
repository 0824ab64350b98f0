"""Several processes register at once, and processes that are killed while they register."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from sparkscore.control.workspace import Workspace

REGISTER = """\
import pathlib, sys
from sparkscore.control.workspace import Workspace
from sparkscore.errors import AlreadyExistsError

folder, source, version = sys.argv[1:]
workspace = Workspace.open(pathlib.Path(folder))
try:
    print(workspace.models.create(name="m", version=version or None, path=source).version)
except AlreadyExistsError as error:
    print(error.condition)
"""

DIE = """\
import os, pathlib, sys
import mlflow
from mlflow import MlflowClient
from sparkscore.control.workspace import Workspace

folder, source, method = sys.argv[1:]
def die(*args, **kwargs):
    os.kill(os.getpid(), 9)
if method == "database":
    os.rename = die
else:
    setattr(MlflowClient, method, die)
Workspace.open(pathlib.Path(folder)).models.create(name="m", version="1", path=source)
"""


def start(code: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "SPARKSCORE_CONFIG_DIR": arguments[0]},
    )


def finish(running: list[subprocess.Popen[str]]) -> list[str]:
    found = []
    for process in running:
        out, err = process.communicate(timeout=240)
        assert (process.returncode, err) == (0, "")
        found.append(out.strip())
    return sorted(found)


def write_model(folder: Path, text: str) -> str:
    folder.mkdir()
    (folder / "weights.txt").write_text(text)
    return str(folder)


@pytest.mark.slow
def test_register__several_processes_on_a_new_workspace(tmp_path: Path) -> None:
    """The database is made once; each process gets a version of its own, or the same one."""
    folder = str(tmp_path / "ws")
    source = write_model(tmp_path / "m", "weights")
    other = write_model(tmp_path / "other", "other weights")
    assert finish([start(REGISTER, folder, source, "") for _ in range(4)]) == ["1", "2", "3", "4"]
    same = [start(REGISTER, folder, source, "same") for _ in range(2)]
    rivals = [start(REGISTER, folder, path, "rivals") for path in (source, other, other)]
    assert finish(same) == ["same"] * 2
    outcomes = finish(rivals)
    assert outcomes in (
        ["MODEL_VERSION_EXISTS"] * 2 + ["rivals"],
        ["MODEL_VERSION_EXISTS"] + ["rivals"] * 2,
    )
    workspace = Workspace.open(tmp_path / "ws", environment={"HOME": str(tmp_path)})
    versions = sorted(model.version for model in workspace.models.list("m"))
    assert versions == ["1", "2", "3", "4", "rivals", "same"]
    for model in workspace.models.list("m"):
        assert (workspace.models.get_local_path(model) / "weights.txt").is_file()


@pytest.mark.slow
def test_register__killed_at_any_step(tmp_path: Path) -> None:
    """Whatever step is the last one, there is no version, and the next attempt succeeds."""
    folder, source = str(tmp_path / "ws"), write_model(tmp_path / "m", "weights")
    workspace = Workspace.open(tmp_path / "ws", environment={"HOME": str(tmp_path)})
    steps = ("database", "create_run", "log_artifacts", "set_terminated", "create_registered_model")
    for step in (*steps, "create_model_version"):
        process = start(DIE, folder, source, step)
        process.communicate(timeout=120)
        assert process.returncode == -signal.SIGKILL, step
        if step == "database":
            assert not (tmp_path / "ws" / "mlflow.db").exists()
        else:
            assert workspace.models.list() == []
    model = workspace.models.create(name="m", version="1", path=source)
    assert [one.version for one in workspace.models.list()] == ["1"]
    assert (workspace.models.get_local_path(model) / "weights.txt").read_text() == "weights"
    assert not list((tmp_path / "ws").glob("*unfinished*"))
