"""What a staging folder holds is written by others: nothing of it may lead elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import fsspec
import pytest

from sparkscore.control.access.places import PlacePolicy
from sparkscore.control.assets.computes import ComputeTarget
from sparkscore.control.endpoints.remote_plan import describe_remote, find_own_input
from sparkscore.control.jobs.remote_store import RemoteStore
from sparkscore.control.workspace import Workspace
from sparkscore.errors import PlanError

DATABRICKS = ComputeTarget("far", shared_paths=False, platform={"type": "databricks"})


def test_pull__takes_no_links(tmp_path: Path) -> None:
    staging, folder = tmp_path / "staging", tmp_path / "job"
    (staging / "logs").mkdir(parents=True)
    secret = tmp_path / "secret"
    secret.write_text("secret")
    for name in ("status.json", "logs/driver.log"):
        (staging / name).symlink_to(secret)
    (staging / "logs" / "true.log").write_text("true")
    store = RemoteStore(str(staging), {})
    store.pull_live(folder, run=0)
    store.pull_all(folder, run=0)
    assert [file for file in folder.rglob("*") if file.is_file()] == [folder / "logs" / "true.log"]


def test_pull__stays_in_the_job_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = fsspec.filesystem("memory")
    monkeypatch.setattr(type(files), "store", {})
    files.pipe_file("/jobs/one/logs/true.log", b"true")
    hostile = (f"//{tmp_path}/elsewhere", "/./launch.json", "/logs/../../elsewhere", "/logs//a")
    for name in hostile:
        files.store[f"/jobs/one{name}"] = files.store["/jobs/one/logs/true.log"]
    folder = tmp_path / "job"
    RemoteStore("memory://jobs/one", {}).pull_all(folder, run=0)
    assert [file for file in tmp_path.rglob("*") if file.is_file()] == [
        folder / "logs" / "true.log"
    ]


@pytest.mark.parametrize(
    ("text", "as_server"),
    [("/Volumes/../etc", False), ("/etc", False), ("/Workspace/Users/a", True), ("/dbfs/a", True)],
)
def test_own_input__that_is_none(text: str, as_server: bool, workspace: Workspace) -> None:
    places: Any = object() if as_server else None
    workspace.places = places
    assert find_own_input(workspace, DATABRICKS, text, input_type=None) is None


@pytest.mark.parametrize("as_server", [False, True])
def test_own_input__in_a_volume(as_server: bool, workspace: Workspace) -> None:
    places: Any = object() if as_server else None
    workspace.places = places
    found = find_own_input(workspace, DATABRICKS, "/Volumes/a/../b", input_type=None)
    assert found is not None
    assert found.uri == "/Volumes/b"


def make_pods(workspace: Workspace, staging: str) -> ComputeTarget:
    document = {"name": "pods", "type": "kubernetes", "image": "i:1", "staging": staging}
    workspace.computes.create(document)
    return workspace.computes.resolve("pods")


@pytest.mark.parametrize(
    ("staging", "condition"),
    [
        ("/etc", "LOCAL_PATH_NOT_ALLOWED"),
        ("file:///etc", "LOCAL_PATH_NOT_ALLOWED"),
        ("/Volumes/../etc", "LOCAL_PATH_NOT_ALLOWED"),
        ("memory://jobs", "SCHEME_NOT_ALLOWED"),
        ("abfss://c@127.0.0.1/x", "HOST_NOT_ALLOWED"),
    ],
)
def test_staging__that_callers_of_a_server_may_not_name(
    staging: str, condition: str, workspace: Workspace
) -> None:
    workspace.places = PlacePolicy()
    with pytest.raises(PlanError) as caught:
        make_pods(workspace, staging)
    assert caught.value.condition == condition
    assert "pods" not in [compute.name for compute in workspace.computes.list()]


@pytest.mark.parametrize(
    "staging", ["s3://bucket/jobs", "azureml://datastores/workspaceblobstore/paths/jobs"]
)
def test_staging__that_they_may(staging: str, workspace: Workspace) -> None:
    workspace.places = PlacePolicy()
    assert make_pods(workspace, staging).platform["staging"] == staging


def test_staging__that_was_registered_is_for_all_callers(
    workspace: Workspace, tmp_path: Path
) -> None:
    compute = make_pods(workspace, str(tmp_path))
    workspace.places = PlacePolicy()
    remote = describe_remote(workspace, compute, job_name="one")
    assert remote is not None
    assert remote["folder"] == f"{tmp_path}/one"
