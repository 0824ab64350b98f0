"""Datastores and computes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sparkscore.control.assets.resolve import resolve_uri
from sparkscore.control.workspace import Workspace
from sparkscore.errors import InvalidFieldError, NotFoundError, SpecError, StateError
from sparkscore.spec import DatastorePath


def test_default_datastore__is_a_folder_from_the_start(workspace: Workspace) -> None:
    default = workspace.datastores.get_default()
    assert Path(default.uri) == workspace.folder / "datastores" / "workspaceblobstore"
    assert Path(default.uri).is_dir()
    assert workspace.datastores.get("workspaceblobstore") == default
    assert [store.name for store in workspace.datastores.list()] == ["workspaceblobstore"]


def test_default_datastore__cannot_be_replaced_archived_or_deleted(
    workspace: Workspace, tmp_path: Path
) -> None:
    for action in (
        lambda: workspace.datastores.create(
            name="workspaceblobstore", type="local", path=str(tmp_path)
        ),
        lambda: workspace.datastores.delete("workspaceblobstore"),
        lambda: workspace.datastores.archive("workspaceblobstore"),
        lambda: workspace.datastores.restore("workspaceblobstore"),
    ):
        with pytest.raises(StateError) as caught:
            action()
        assert caught.value.condition == "DATASTORE_BUILT_IN"


def test_default_datastore__is_where_the_settings_say(tmp_path: Path) -> None:
    (tmp_path / "ws").mkdir()
    (tmp_path / "ws" / "sparkscore.toml").write_text(
        '[datastore]\nuri = "s3://bucket/folder/"\nprofile = "team"\n'
    )
    workspace = Workspace.open(tmp_path / "ws", environment={"HOME": str(tmp_path)})
    found = resolve_uri(
        workspace, "azureml://datastores/workspaceblobstore/paths/a/b", base=tmp_path
    )
    assert (found.uri, found.options) == ("s3://bucket/folder/a/b", {"profile": "team"})


def test_datastore__of_a_file_resolves_with_its_options(
    workspace: Workspace, tmp_path: Path
) -> None:
    file = tmp_path / "datastore.yml"
    file.write_text("name: lake\ntype: s3\nbucket: b\npath: sub\nprofile: team\nregion: eu-1\n")
    workspace.datastores.create(file)
    found = workspace.datastores.resolve(DatastorePath("lake", "x/y"))
    assert (found.uri, found.options) == (
        "s3://b/sub/x/y",
        {"profile": "team", "region": "eu-1"},
    )
    shown = workspace.datastores.get("lake").to_dict()
    assert next(iter(json.loads(json.dumps(shown)))) == "name"
    assert workspace.datastores.create(shown).uri == "s3://b/sub"


def test_datastore__local_path_is_relative_to_its_file(
    workspace: Workspace, tmp_path: Path
) -> None:
    file = tmp_path / "datastore.yml"
    file.write_text("name: here\ntype: local\npath: ./stuff\n")
    assert workspace.datastores.create(file).uri == str(tmp_path / "stuff")
    assert workspace.datastores.get("here").uri == str(tmp_path / "stuff")


def test_datastore__credentials_are_refused_and_not_repeated(workspace: Workspace) -> None:
    source = {
        "name": "lake",
        "type": "azure_blob",
        "account_name": "a",
        "container_name": "c",
        "credentials": {"account_key": "s3cr3t"},
    }
    with pytest.raises(SpecError) as caught:
        workspace.datastores.create(source)
    assert "s3cr3t" not in f"{caught.value}{caught.value.attributes}"
    assert len(workspace.datastores.list()) == 1


def test_datastore__in_use_is_not_deleted(workspace: Workspace, tmp_path: Path) -> None:
    workspace.datastores.create(name="lake", type="local", path=str(tmp_path))
    workspace.data.create(name="d", path="azureml://datastores/lake/paths/in")
    workspace.data.archive("d")
    with pytest.raises(StateError) as caught:
        workspace.datastores.delete("lake")
    assert caught.value.condition == "DATASTORE_IN_USE"
    assert caught.value.attributes == {"name": "lake", "asset": "azureml:d:1"}
    workspace.data.delete("d")
    workspace.datastores.delete("lake")
    with pytest.raises(NotFoundError):
        workspace.datastores.get("lake")


def test_datastore__archived_is_hidden_and_goes_on_resolving(
    workspace: Workspace, tmp_path: Path
) -> None:
    datastores = workspace.datastores
    datastores.create(name="lake", type="local", path=str(tmp_path))
    datastores.archive("lake")
    assert [one.name for one in datastores.list()] == ["workspaceblobstore"]
    assert [one.name for one in datastores.list(archived="only")] == ["lake"]
    assert len(datastores.list(archived="include")) == 2
    assert datastores.resolve(DatastorePath("lake", "x")).uri == str(tmp_path / "x")
    shown = datastores.get("lake").to_dict()
    assert shown["is_archived"]
    assert datastores.create(shown).is_archived
    with pytest.raises(NotFoundError) as caught:
        datastores.get("lakes")
    assert caught.value.attributes["closest"] == "lake"
    datastores.restore("lake")
    assert "lake" in [one.name for one in datastores.list()]
    assert "is_archived" not in datastores.get("lake").to_dict()


@pytest.mark.parametrize("verb", ["archive", "restore"])
def test_archive__unknown_names_the_closest(workspace: Workspace, verb: str) -> None:
    workspace.computes.create(name="cluster", type="local")
    with pytest.raises(NotFoundError) as caught:
        getattr(workspace.computes, verb)("clustr")
    assert caught.value.condition == "COMPUTE_NOT_FOUND"
    assert caught.value.attributes["closest"] == "cluster"
    with pytest.raises(NotFoundError) as caught:
        getattr(workspace.datastores, verb)("workspaceblobstor")
    assert caught.value.condition == "DATASTORE_NOT_FOUND"


def test_datastore__unknown_names_the_closest(workspace: Workspace) -> None:
    with pytest.raises(NotFoundError) as caught:
        workspace.datastores.resolve(DatastorePath("workspaceblobstor", "a"))
    assert caught.value.condition == "DATASTORE_NOT_FOUND"
    assert caught.value.attributes["closest"] == "workspaceblobstore"


@pytest.mark.parametrize("path", ["../x", "a/../../x", "a/..", "a\\..\\..\\x"])
def test_datastore__path_that_leaves_it(workspace: Workspace, path: str) -> None:
    with pytest.raises(InvalidFieldError) as caught:
        workspace.datastores.resolve(DatastorePath("workspaceblobstore", path))
    assert caught.value.condition == "PATH_LEAVES_DATASTORE"


def test_resolve_uri__forms(workspace: Workspace, tmp_path: Path) -> None:
    root = str(workspace.folder / "datastores" / "workspaceblobstore")
    workspace.data.create(name="d", path="azureml://datastores/workspaceblobstore/paths/in")
    forms = {
        "azureml:d:1": (f"{root}/in", "uri_folder"),
        "azureml:d@latest": (f"{root}/in", "uri_folder"),
        "file:azureml://datastores/workspaceblobstore/paths/a.csv": (f"{root}/a.csv", "uri_file"),
        "azureml://datastores/workspaceblobstore/paths/": (root, None),
        "folder:s3://b/x": ("s3://b/x", "uri_folder"),
        "./sub": (str(tmp_path / "sub"), None),
        "/abs/*.png": ("/abs/*.png", None),
        f"file://{tmp_path}": (str(tmp_path), None),
    }
    found = {text: resolve_uri(workspace, text, base=tmp_path) for text in forms}
    assert {text: (one.uri, one.type) for text, one in found.items()} == forms


def test_compute__local_is_always_there(workspace: Workspace) -> None:
    for text in (None, "local", "azureml:local"):
        target = workspace.computes.resolve(text)
        assert (target.name, target.master, target.shared_paths) == ("local", None, True)
    computes = workspace.computes
    for action in (computes.delete, computes.archive, computes.restore):
        with pytest.raises(StateError) as caught:
            action("local")
        assert caught.value.condition == "COMPUTE_BUILT_IN"


def test_compute__amlcompute_is_read_as_local_with_bounds(workspace: Workspace) -> None:
    compute = workspace.computes.create(
        name="cpu-cluster",
        type="amlcompute",
        size="Standard_DS3_v2",
        min_instances=0,
        max_instances=5,
    )
    assert (compute.master, compute.max_instances) == (None, 5)
    shown = json.loads(json.dumps(compute.to_dict()))
    assert (next(iter(shown)), shown["size"]) == ("name", "Standard_DS3_v2")
    assert workspace.computes.resolve("azureml:cpu-cluster", instance_count=5).max_instances == 5
    assert [one.name for one in workspace.computes.list()] == ["cpu-cluster", "local"]


@pytest.mark.parametrize(("count", "is_fine"), [(None, True), (1, False), (2, True), (4, False)])
def test_compute__instance_count_within_bounds(
    workspace: Workspace, count: int | None, is_fine: bool
) -> None:
    workspace.computes.create(name="c", type="local", min_instances=2, max_instances=3)
    if is_fine:
        assert workspace.computes.resolve("c", instance_count=count).name == "c"
        return
    with pytest.raises(InvalidFieldError) as caught:
        workspace.computes.resolve("c", instance_count=count)
    assert caught.value.condition == "INSTANCE_COUNT_OUT_OF_RANGE"


def test_compute__spark_cluster(workspace: Workspace) -> None:
    workspace.computes.create(
        {
            "name": "cluster",
            "type": "spark",
            "master": "spark://host:7077",
            "shared_paths": False,
            "spark_conf": {"spark.executor.memory": "4g"},
        }
    )
    target = workspace.computes.resolve("azureml:cluster")
    assert (target.master, target.shared_paths) == ("spark://host:7077", False)
    assert target.spark_conf == {"spark.executor.memory": "4g"}
    assert workspace.computes.resolve("spark://other:7077").master == "spark://other:7077"
    assert workspace.computes.resolve("local[2]").master == "local[2]"
    workspace.computes.delete("cluster")
    with pytest.raises(NotFoundError) as caught:
        workspace.computes.resolve("azureml:cluster")
    assert caught.value.condition == "COMPUTE_NOT_FOUND"


def test_compute__archived_is_hidden_and_goes_on_resolving(workspace: Workspace) -> None:
    computes = workspace.computes
    computes.create(name="big", type="local", max_instances=3)
    computes.archive("big")
    assert [one.name for one in computes.list()] == ["local"]
    assert [one.name for one in computes.list(archived="only")] == ["big"]
    assert [one.name for one in computes.list(archived="include")] == ["big", "local"]
    assert computes.resolve("azureml:big", instance_count=3).max_instances == 3
    shown = computes.get("big").to_dict()
    assert shown["is_archived"]
    assert computes.create(shown).is_archived
    computes.restore("big")
    assert [one.name for one in computes.list()] == ["big", "local"]
    assert "is_archived" not in computes.get("big").to_dict()
