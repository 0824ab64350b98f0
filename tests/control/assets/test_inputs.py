"""Inputs of jobs: registered always, copied only where the compute does not see them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from sparkscore.control.assets.data import resolve_input
from sparkscore.control.assets.upload import UploadProgress
from sparkscore.control.workspace import Workspace
from sparkscore.errors import (
    EmptyInputError,
    InputNotFoundError,
    InvalidFieldError,
    NotFoundError,
    SparkscoreError,
    StorageError,
)
from tests.servers.s3 import s3_server
from tests.servers.store import StoreServer


@pytest.fixture(scope="module")
def server() -> Iterator[StoreServer]:
    with s3_server() as started:
        yield started


@pytest.fixture
def s3(server: StoreServer, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A client of an empty bucket that this process can reach."""
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    client = boto3.client("s3")
    for found in client.list_objects_v2(Bucket="bucket").get("Contents", ()):
        client.delete_object(Bucket="bucket", Key=found["Key"])
    return client


@pytest.fixture
def s3_workspace(s3: Any, tmp_path: Path) -> Workspace:
    """A workspace whose default datastore is the bucket."""
    (tmp_path / "ws").mkdir()
    (tmp_path / "ws" / "sparkscore.toml").write_text('[datastore]\nuri = "s3://bucket/data"\n')
    return Workspace.open(tmp_path / "ws", environment={"HOME": str(tmp_path)})


def write_input(folder: Path, count: int = 20) -> Path:
    (folder / "sub é").mkdir(parents=True)
    for number in range(count):
        (folder / "sub é" / f"{number:03}.txt").write_text(f"text {number}")
    (folder / "_hidden.txt").write_text("hidden")
    return folder


def list_keys(s3: Any) -> list[str]:
    return [found["Key"] for found in s3.list_objects_v2(Bucket="bucket").get("Contents", ())]


def test_local_input__is_registered_by_reference(workspace: Workspace, tmp_path: Path) -> None:
    folder = write_input(tmp_path / "my images")
    found = resolve_input(workspace, str(folder))
    assert (found.uri, found.type, found.options) == (str(folder), "uri_folder", {})
    assert resolve_input(workspace, "my images", base=tmp_path) == found
    assert resolve_input(workspace, f"folder:{folder}/", only="local") == found
    (asset,) = workspace.data.list()
    assert (asset.reference, asset.path, asset.is_generated) == (found.asset, str(folder), True)
    assert asset.name.startswith("my-images-")
    assert resolve_input(workspace, str(found.asset)).uri == str(folder)


def test_local_input__file_and_glob(workspace: Workspace, tmp_path: Path) -> None:
    folder = write_input(tmp_path / "in")
    file = resolve_input(workspace, str(folder / "sub é" / "000.txt"), input_type="uri_folder")
    assert file.type == "uri_file"
    glob = resolve_input(workspace, f"{folder}/**/00*.txt")
    assert (glob.uri, glob.type) == (f"{folder}/**/00*.txt", "uri_folder")
    assert len(workspace.data.list()) == 2


def test_local_input__missing_or_empty(workspace: Workspace, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for text in ("", "  ", str(tmp_path / "missing")):
        with pytest.raises(InputNotFoundError):
            resolve_input(workspace, text)
    with pytest.raises(EmptyInputError):
        resolve_input(workspace, str(tmp_path / "empty"))
    assert workspace.data.list() == []


def test_input__type_of_the_asset_wins(workspace: Workspace) -> None:
    workspace.data.create(name="d", type="uri_file", path="s3://bucket/a.csv")
    found = resolve_input(workspace, "azureml:d:1", input_type="uri_folder")
    assert (found.uri, found.type, found.asset) == ("s3://bucket/a.csv", "uri_file", "azureml:d:1")


def test_input__uri_is_not_registered(workspace: Workspace) -> None:
    found = resolve_input(workspace, "s3://bucket/in", input_type="uri_file")
    assert (found.uri, found.type, found.asset) == ("s3://bucket/in", "uri_file", None)
    assert resolve_input(workspace, "file:https://host/a.csv").type == "uri_file"
    assert resolve_input(workspace, "https://host/a").type == "uri_folder"
    assert workspace.data.list() == []


@pytest.mark.parametrize(
    ("text", "arguments", "condition"),
    [
        ("s3://b/x", {"input_type": "mltable"}, "TABULAR_DATA_NOT_SUPPORTED"),
        ("s3://b/x", {"input_type": "folder"}, "INVALID_INPUT_TYPE"),
        ("s3://b/x", {"only": "asset"}, "INPUT_KIND_MISMATCH"),
        ("s3://b/x", {"only": "local"}, "INPUT_KIND_MISMATCH"),
        ("azureml:d:1", {"only": "path"}, "INPUT_KIND_MISMATCH"),
        ("azureml:d", {}, "INVALID_REFERENCE"),
        ("azureml://datastores/workspaceblobstore/paths/../x", {}, "INVALID_REFERENCE"),
    ],
)
def test_input__refused(
    workspace: Workspace, text: str, arguments: dict[str, Any], condition: str
) -> None:
    with pytest.raises(InvalidFieldError) as caught:
        resolve_input(workspace, text, **arguments)
    assert caught.value.condition == condition


def test_input__unknown_asset(workspace: Workspace) -> None:
    with pytest.raises(NotFoundError) as caught:
        resolve_input(workspace, "azureml:nothing:1")
    assert caught.value.condition == "DATA_NOT_FOUND"


def test_unseen_input__needs_a_store(workspace: Workspace, tmp_path: Path) -> None:
    with pytest.raises(InvalidFieldError) as caught:
        resolve_input(workspace, str(write_input(tmp_path / "in")), sees_local_paths=False)
    assert caught.value.condition == "LOCAL_DATA_NOT_REACHABLE"
    assert workspace.data.list() == []


def test_unseen_input__is_copied_once(s3_workspace: Workspace, s3: Any, tmp_path: Path) -> None:
    folder = write_input(tmp_path / "in")
    steps: list[UploadProgress] = []
    found = resolve_input(
        s3_workspace, str(folder), sees_local_paths=False, on_progress=steps.append
    )
    keys = list_keys(s3)
    prefix = f"{found.uri.removeprefix('s3://bucket/')}/sub é/"
    assert keys == [f"{prefix}{number:03}.txt" for number in range(20)]
    assert found.uri.startswith("s3://bucket/data/LocalUpload/")
    assert (steps[0].files_done, steps[-1].files_done) == (0, 20)
    assert steps[-1].bytes_done == steps[-1].byte_count == sum(len(f"text {n}") for n in range(20))
    before = s3.head_object(Bucket="bucket", Key=keys[0])["LastModified"]
    copy = write_input(tmp_path / "other" / "in")
    again = resolve_input(s3_workspace, str(copy), sees_local_paths=False)
    assert again == found
    assert s3.head_object(Bucket="bucket", Key=keys[0])["LastModified"] == before
    assert len(s3_workspace.data.list()) == 1
    asset = s3_workspace.data.resolve(str(found.asset))
    assert asset.path.startswith("azureml://datastores/workspaceblobstore/paths/LocalUpload/")
    assert resolve_input(s3_workspace, asset.reference).uri == found.uri


def test_unseen_input__one_file(s3_workspace: Workspace, s3: Any, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a\n1\n")
    found = resolve_input(s3_workspace, str(tmp_path / "a.csv"), sees_local_paths=False)
    assert found.type == "uri_file"
    assert list_keys(s3) == [found.uri.removeprefix("s3://bucket/")]
    assert s3.get_object(Bucket="bucket", Key=list_keys(s3)[0])["Body"].read() == b"a\n1\n"


def test_unseen_input__goes_on_where_it_stopped(
    s3_workspace: Workspace, s3: Any, tmp_path: Path
) -> None:
    """Files that arrived stay, a file of another size is sent again, missing ones follow."""
    folder = str(write_input(tmp_path / "in"))
    resolve_input(s3_workspace, folder, sees_local_paths=False)
    keys = list_keys(s3)
    for key in keys[5:]:
        s3.delete_object(Bucket="bucket", Key=key)
    s3.put_object(Bucket="bucket", Key=keys[0], Body=b"cut")
    steps: list[UploadProgress] = []
    resolve_input(s3_workspace, folder, sees_local_paths=False, on_progress=steps.append)
    assert (steps[0].files_done, steps[-1].files_done) == (4, 20)
    assert list_keys(s3) == keys
    assert s3.get_object(Bucket="bucket", Key=keys[0])["Body"].read() == b"text 0"


def test_unseen_input__killed_upload_registers_nothing(
    s3_workspace: Workspace, s3: Any, tmp_path: Path
) -> None:
    folder = write_input(tmp_path / "in")
    code = (
        "import os, sys, pathlib\n"
        "from sparkscore.control.assets.data import resolve_input\n"
        "from sparkscore.control.workspace import Workspace\n"
        "def die(progress):\n"
        "    if progress.files_done >= 8: os.kill(os.getpid(), 9)\n"
        "workspace = Workspace.open(pathlib.Path(sys.argv[1]))\n"
        "resolve_input(workspace, sys.argv[2], sees_local_paths=False, on_progress=die)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(s3_workspace.folder), str(folder)],
        env={**os.environ, "HOME": str(tmp_path)},
        check=False,
    )
    assert done.returncode == -signal.SIGKILL
    assert s3_workspace.data.list() == []
    arrived = len(list_keys(s3))
    assert 8 <= arrived <= 20
    steps: list[UploadProgress] = []
    resolve_input(s3_workspace, str(folder), sees_local_paths=False, on_progress=steps.append)
    assert (steps[0].files_done, steps[-1].files_done) == (arrived, 20)
    assert len(s3_workspace.data.list()) == 1


def test_unseen_input__store_that_refuses(s3: Any, tmp_path: Path) -> None:
    (tmp_path / "ws").mkdir()
    (tmp_path / "ws" / "sparkscore.toml").write_text('[datastore]\nuri = "s3://no-bucket/data"\n')
    workspace = Workspace.open(tmp_path / "ws", environment={"HOME": str(tmp_path)})
    with pytest.raises(StorageError) as caught:
        resolve_input(workspace, str(write_input(tmp_path / "in")), sees_local_paths=False)
    assert caught.value.condition == "UPLOAD_FAILED"
    assert workspace.data.list() == []


def test_unseen_input__registered_local_data_are_copied_too(
    s3_workspace: Workspace, s3: Any, tmp_path: Path
) -> None:
    s3_workspace.data.create(name="d", path=str(write_input(tmp_path / "in")))
    found = resolve_input(s3_workspace, "azureml:d:1", sees_local_paths=False)
    assert (found.asset, found.uri.startswith("s3://bucket/data/LocalUpload/")) == (
        "azureml:d:1",
        True,
    )
    assert len(s3_workspace.data.list()) == 1


def test_model__in_a_store_is_registered_where_it_is(
    s3_workspace: Workspace, s3: Any, tmp_path: Path
) -> None:
    """One registry for what models in stores need: its database takes seconds to make."""
    models = s3_workspace.models
    for key in ("m/MLmodel", "m/data/weights.bin"):
        s3.put_object(Bucket="bucket", Key=key, Body=b"flavors: {python_function: {}}")
    model = models.create(name="s3", path="s3://bucket/m")
    assert (model.path, model.type, model.base_name) == ("s3://bucket/m", "mlflow_model", "m")
    assert models.create(name="s3", version="1", path="s3://bucket/m") == model
    path = models.get_local_path(model)
    assert path.name == "m"
    assert sorted(found.name for found in path.rglob("*")) == ["MLmodel", "data", "weights.bin"]
    single = models.create(name="one", path="s3://bucket/m/data/weights.bin")
    assert models.get_local_path(single).name == "weights.bin"
    s3_workspace.datastores.create(name="lake", type="s3", bucket="bucket")
    below = models.create(name="below", path="azureml://datastores/lake/paths/m")
    assert below.digest == model.digest
    check_changes(s3_workspace, s3)


def check_changes(workspace: Workspace, s3: Any) -> None:
    """A model that was replaced in its store is never taken for the registered one."""
    models = workspace.models
    s3.put_object(Bucket="bucket", Key="n/weights.bin", Body=b"one")
    model = models.create(name="changes", path="s3://bucket/n")
    s3.put_object(Bucket="bucket", Key="n/weights.bin", Body=b"two")
    conditions = []
    for action in (
        lambda: models.get_local_path(model),
        lambda: models.create(name="changes", version="1", path="s3://bucket/n"),
        lambda: models.create(name="missing", path="s3://bucket/missing"),
    ):
        with pytest.raises(SparkscoreError) as caught:
            action()
        conditions.append(caught.value.condition)
    assert conditions == ["MODEL_CHANGED", "MODEL_VERSION_EXISTS", "MODEL_NOT_FOUND"]
    assert not any((workspace.folder / "cache" / "models").glob(".unfinished*"))
