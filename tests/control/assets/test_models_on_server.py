"""Models in the registry of a real MLflow server, which keeps the artifacts itself."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from sparkscore.control.workspace import Workspace
from sparkscore.errors import (
    AlreadyExistsError,
    InvalidFieldError,
    StateError,
    UnresolvedReferenceError,
)
from tests.servers.mlflow import MlflowServer, find_port

pytestmark = pytest.mark.slow


def open_workspace(folder: Path, address: str) -> Workspace:
    folder.mkdir()
    (folder / "sparkscore.toml").write_text(f'[mlflow]\ntracking_uri = "{address}"\n')
    return Workspace.open(folder, environment={"HOME": str(folder)})


def write_model(folder: Path, text: str = "weights") -> Path:
    (folder / "sub").mkdir(parents=True, exist_ok=True)
    (folder / "sub" / "weights é.txt").write_text(text)
    return folder


def test_model__goes_to_the_server_and_comes_back(
    mlflow_server: MlflowServer, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    address, artifacts = mlflow_server.address, mlflow_server.artifacts
    workspace = open_workspace(tmp_path / "ws", address)
    source = write_model(tmp_path / "my model")
    model = workspace.models.create(
        name="remote", version="2021-10-01", path=str(source), tags={"a": "b"}
    )
    assert workspace.models.create(name="remote", version="2021-10-01", path=str(source)) == model
    assert model.path.startswith("mlflow-artifacts:/")
    path = workspace.models.get_local_path(model)
    assert path == workspace.folder / "cache" / "models" / model.digest / "my model"
    assert (path / "sub" / "weights é.txt").read_text() == "weights"
    write_model(source, "other")
    with pytest.raises(AlreadyExistsError):
        workspace.models.create(name="remote", version="2021-10-01", path=str(source))
    other = open_workspace(tmp_path / "other", address)
    assert other.models.get("remote", "2021-10-01").tags == {"a": "b"}
    assert (other.models.get_local_path(model) / "sub").is_dir()
    copied = other.models.create(name="copied", path="azureml:remote:2021-10-01")
    assert (copied.digest, copied.path) == (model.digest, model.path)
    assert capfd.readouterr() == ("", "")
    check_damage(open_workspace(tmp_path / "third", address), artifacts)


def check_damage(workspace: Workspace, artifacts: Path) -> None:
    """Files that were changed on the server are not taken for the registered ones."""
    for file in artifacts.rglob("weights*"):
        file.write_text("damaged")
    model = workspace.models.get("remote")
    for _ in range(2):
        with pytest.raises(UnresolvedReferenceError) as caught:
            workspace.models.get_local_path(model)
        assert caught.value.condition == "MODEL_CHANGED"


def test_model__file_on_the_server(mlflow_server: MlflowServer, tmp_path: Path) -> None:
    workspace = open_workspace(tmp_path / "ws", mlflow_server.address)
    (tmp_path / "weights é 1.bin").write_bytes(b"\0\1")
    model = workspace.models.create(name="file", path=str(tmp_path / "weights é 1.bin"))
    path = workspace.models.get_local_path(model)
    assert (path.name, path.read_bytes()) == ("weights é 1.bin", b"\0\1")
    workspace.models.delete("file")
    assert "file" not in [one.name for one in workspace.models.list()]


def test_model__file_name_that_a_server_would_cut(
    mlflow_server: MlflowServer, tmp_path: Path
) -> None:
    workspace = open_workspace(tmp_path / "ws", mlflow_server.address)
    (tmp_path / "weights #1.bin").write_bytes(b"\0\1")
    with pytest.raises(InvalidFieldError) as caught:
        workspace.models.create(name="cut", path=str(tmp_path / "weights #1.bin"))
    assert caught.value.condition == "MODEL_FILE_NAME_NOT_SUPPORTED"
    assert "cut" not in [one.name for one in workspace.models.list()]


def test_model__logged_by_others(mlflow_server: MlflowServer, tmp_path: Path) -> None:
    """What a training script logs and registers with MLflow alone."""
    code = (
        "import sys, mlflow, mlflow.pyfunc\n"
        "mlflow.set_tracking_uri(sys.argv[1])\n"
        "class Echo(mlflow.pyfunc.PythonModel):\n"
        "    def predict(self, context, model_input, params=None):\n"
        "        return model_input\n"
        "with mlflow.start_run() as run:\n"
        "    mlflow.pyfunc.log_model(name='echo', python_model=Echo(), pip_requirements=[],\n"
        "                            registered_model_name='theirs')\n"
        "print(run.info.run_id)\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code, mlflow_server.address],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    run = [line for line in done.stdout.splitlines() if len(line) == 32][-1]
    models = open_workspace(tmp_path / "ws", mlflow_server.address).models
    theirs = models.get("theirs", "1")
    assert theirs.type == "mlflow_model"
    assert (models.get_local_path(theirs) / "MLmodel").is_file()
    ours = models.create(name="ours", path=f"runs:/{run}/echo")
    assert ours.type == "mlflow_model"
    assert (models.get_local_path(ours) / "MLmodel").is_file()
    assert models.create(name="ours", path="models:/theirs/1").version == "2"


def test_server__nobody_answers(tmp_path: Path) -> None:
    workspace = open_workspace(tmp_path / "ws", f"http://user:s3cr3t@127.0.0.1:{find_port()}")
    with pytest.raises(StateError) as caught:
        workspace.models.list()
    assert caught.value.condition == "MLFLOW_UNREACHABLE"
    assert "s3cr3t" not in f"{caught.value}{caught.value.attributes}"
