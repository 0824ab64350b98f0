"""Environments, data and code in the store."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import yaml

from sparkscore.control.workspace import Workspace
from sparkscore.errors import (
    AlreadyExistsError,
    InvalidFieldError,
    NotFoundError,
    SpecError,
    UnresolvedReferenceError,
)
from sparkscore.spec import EnvironmentSpec

CONDA = {"channels": ["conda-forge"], "dependencies": ["python=3.11", {"pip": ["a==1.10"]}]}


def write_environment(folder: Path, **fields: object) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "conda.yml").write_text(yaml.safe_dump(CONDA))
    content = {"name": "env", "image": "img:1", "conda_file": "conda.yml", **fields}
    file = folder / "environment.yml"
    file.write_text(yaml.safe_dump(content))
    return file


def test_environment__keeps_the_content_of_its_conda_file(
    workspace: Workspace, tmp_path: Path
) -> None:
    file = write_environment(tmp_path / "a", version="1")
    environment = workspace.environments.create(file)
    (tmp_path / "a" / "conda.yml").unlink()
    assert workspace.environments.get("env", "1") == environment
    assert environment.to_dict()["conda_file"] == CONDA
    assert next(iter(environment.to_dict())) == "name"
    again = workspace.environments.create(environment.to_dict())
    assert again == environment


def test_environment__same_version_with_other_content(workspace: Workspace, tmp_path: Path) -> None:
    first = workspace.environments.create(write_environment(tmp_path / "a", version="1"))
    people = write_environment(tmp_path / "b", version="1", description="for people")
    assert workspace.environments.create(people) == first
    with pytest.raises(AlreadyExistsError) as caught:
        workspace.environments.create(write_environment(tmp_path / "c", version="1", image="i:2"))
    assert caught.value.condition == "ENVIRONMENT_VERSION_EXISTS"


def test_environment__missing_conda_file(workspace: Workspace, tmp_path: Path) -> None:
    file = write_environment(tmp_path / "a", conda_file="missing.yml")
    with pytest.raises(UnresolvedReferenceError):
        workspace.environments.create(file)
    assert workspace.environments.list() == []


@pytest.mark.parametrize(
    ("line", "condition"),
    [
        ("--index-url https://u:p@h/simple", "CREDENTIALS_IN_URI"),
        ("not a requirement!!", "INVALID_REQUIREMENT"),
    ],
)
def test_environment__that_no_job_could_use(
    workspace: Workspace, line: str, condition: str
) -> None:
    with pytest.raises(InvalidFieldError) as caught:
        workspace.environments.create({"name": "env", "requirements": [line]})
    assert caught.value.condition == condition
    assert "u:p" not in caught.value.message
    assert workspace.environments.list() == []


def test_environment__inline_of_equal_content_is_the_equal_version(workspace: Workspace) -> None:
    def register(image: str) -> str:
        return workspace.environments.register_inline(
            EnvironmentSpec(image=image), resolve=str, default_name="e-d"
        ).reference

    first = register("a:1")
    assert register("b:1") != first
    assert register("a:1") == first
    assert workspace.environments.resolve(first).is_generated


def test_data__versions_count_and_archive(workspace: Workspace, tmp_path: Path) -> None:
    data = workspace.data
    for name in ("a", "b", "c"):
        (tmp_path / name).mkdir()
        data.create(name="d", path=str(tmp_path / name))
    assert [asset.version for asset in data.list("d")] == ["3", "2", "1"]
    data.archive("d", "3")
    assert data.resolve("azureml:d@latest").version == "2"
    assert data.get("d", "3").is_archived
    data.archive("d")
    assert (data.list("d"), len(data.list("d", archived="only"))) == ([], 3)
    data.restore("d")
    data.delete("d", "2")
    assert [asset.version for asset in data.list("d")] == ["3", "1"]
    data.delete("d")
    with pytest.raises(NotFoundError) as caught:
        data.list("d")
    assert caught.value.condition == "DATA_NOT_FOUND"


def test_data__same_version_again(workspace: Workspace, tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    first = workspace.data.create(name="d", version="2021-10-01", path=str(tmp_path / "a"))
    again = workspace.data.create(name="d", version="2021-10-01", path=str(tmp_path / "a"))
    assert again == first
    with pytest.raises(AlreadyExistsError) as caught:
        workspace.data.create(name="d", version="2021-10-01", path=str(tmp_path / "b"))
    assert caught.value.condition == "DATA_VERSION_EXISTS"


@pytest.mark.parametrize(
    "path",
    [
        "s3://bucket/folder",
        "https://account.blob.core.windows.net/container/folder/",
        "azureml://datastores/workspaceblobstore/paths/in/put",
    ],
)
def test_data__path_elsewhere_is_kept_as_it_is(workspace: Workspace, path: str) -> None:
    asset = workspace.data.create(name="d", path=path)
    assert (asset.path, asset.type) == (path, "uri_folder")


def test_data__local_path_is_absolute_and_tells_the_type(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "one.csv").write_text("a")
    file = tmp_path / "data.yml"
    file.write_text("name: d\npath: ./one.csv\n")
    asset = workspace.data.create(file)
    assert (asset.path, asset.type) == (str(tmp_path / "one.csv"), "uri_file")
    monkeypatch.chdir(tmp_path)
    assert workspace.data.create(name="e", path="one.csv").path == asset.path
    with pytest.raises(InvalidFieldError) as caught:
        workspace.data.create(name="f", path="one.csv", type="uri_folder")
    assert caught.value.condition == "DATA_TYPE_MISMATCH"


@pytest.mark.parametrize("type_", ["mltable", "tabular"])
def test_data__tables_are_refused_by_name(workspace: Workspace, type_: str) -> None:
    with pytest.raises(InvalidFieldError) as caught:
        workspace.data.create(name="d", type=type_, path="s3://bucket/table")
    assert caught.value.condition == "TABULAR_DATA_NOT_SUPPORTED"


def test_data__what_cannot_be_registered(workspace: Workspace, tmp_path: Path) -> None:
    conditions = []
    for path in (
        str(tmp_path / "missing"),
        "azureml:other:1",
        "https://a.blob.core.windows.net/c?sig=s3cr3t",
    ):
        with pytest.raises(SpecError) as caught:
            workspace.data.create(name="d", path=path)
        conditions.append(caught.value.condition)
        assert "s3cr3t" not in str(caught.value)
    assert conditions == ["DATA_PATH_NOT_FOUND", "INVALID_REFERENCE", "CREDENTIALS_IN_URI"]


def test_data__unknown_names_the_closest(workspace: Workspace, tmp_path: Path) -> None:
    workspace.data.create(name="digits", path=str(tmp_path))
    with pytest.raises(NotFoundError) as caught:
        workspace.data.resolve("azureml:digit:1")
    assert caught.value.attributes["closest"] == "digits"
    with pytest.raises(NotFoundError) as caught:
        workspace.data.get("digits", label="newest")
    assert caught.value.condition == "LABEL_NOT_FOUND"


def test_data__shown_is_json_that_can_be_registered_again(
    workspace: Workspace, tmp_path: Path
) -> None:
    shown = workspace.data.create(
        name="d", path=str(tmp_path), description="what", tags={"a": "b"}
    ).to_dict()
    assert list(json.loads(json.dumps(shown)))[:5] == [
        *("name", "version", "type", "path", "description")
    ]
    assert workspace.data.create(shown).to_dict() == shown


def test_code__equal_content_is_kept_once(workspace: Workspace, tmp_path: Path) -> None:
    code = tmp_path / "code"
    (code / "lib").mkdir(parents=True)
    (code / "score.py").write_text("one")
    (code / "lib" / "a.py").write_text("a")
    (code / ".git").mkdir()
    first = workspace.code.register(code)
    assert workspace.code.register(code) == first
    (code / "score.py").write_text("two")
    second = workspace.code.register(code)
    assert second.reference != first.reference
    assert (first.path / "score.py").read_text() == "one"
    assert workspace.code.resolve(first.reference) == first
    kept = sorted(os.listdir(workspace.folder / "code-assets"))
    assert kept == sorted([first.path.name, second.path.name])
    assert sorted(os.listdir(first.path)) == ["lib", "score.py"]


def test_code__folder_named_code_in_the_workspace_stays_as_it_is(workspace: Workspace) -> None:
    code = workspace.folder / "code"
    code.mkdir()
    (code / "score.py").write_text("one")
    first = workspace.code.register(code)
    assert workspace.code.register(code) == first
    assert os.listdir(code) == os.listdir(first.path) == ["score.py"]


def test_code__missing_folder(workspace: Workspace, tmp_path: Path) -> None:
    with pytest.raises(UnresolvedReferenceError) as caught:
        workspace.code.register(tmp_path / "missing")
    assert caught.value.condition == "CODE_NOT_FOUND"
