"""Code that is registered under a name, from a folder or a store."""

from __future__ import annotations

from pathlib import Path

import pytest

from sparkscore.control.assets.remote_content import RemoteContent, fetch
from sparkscore.control.workspace import Workspace
from sparkscore.errors import AlreadyExistsError, InvalidFieldError, UnresolvedReferenceError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "code" / "sub").mkdir(parents=True)
    (tmp_path / "code" / "score.py").write_text("def init(): ...\n")
    (tmp_path / "code" / "sub" / "more.py").write_text("")
    (tmp_path / "code" / ".hidden").write_text("")
    return tmp_path / "code"


@pytest.fixture
def code_workspace(tmp_path: Path) -> Workspace:
    return Workspace.open(tmp_path / "ws")


def test_create__under_a_name(code_workspace: Workspace, folder: Path) -> None:
    code = code_workspace.code
    made = code.create(str(folder), name="score", description="text", tags={"a": "b"})
    assert (made.reference, made.description, made.tags) == ("azureml:score:1", "text", {"a": "b"})
    assert sorted(path.name for path in made.path.iterdir()) == ["score.py", "sub"]
    assert code.create(str(folder), name="score", version="1") == made
    assert [one.reference for one in code.list("score")] == ["azureml:score:1"]
    (folder / "score.py").write_text("def init(): pass\n")
    with pytest.raises(AlreadyExistsError) as caught:
        code.create(str(folder), name="score", version="1")
    assert caught.value.condition == "CODE_VERSION_EXISTS"
    assert code.create(str(folder), name="score").reference == "azureml:score:2"
    assert code.resolve("azureml:score:1") == made
    code_workspace.close()


@pytest.mark.parametrize("name", ["", "a/b", "../x", ".a"])
def test_create__under_no_name(code_workspace: Workspace, folder: Path, name: str) -> None:
    with pytest.raises(InvalidFieldError):
        code_workspace.code.create(str(folder), name=name)
    code_workspace.close()


def test_create__from_what_is_no_folder(code_workspace: Workspace, folder: Path) -> None:
    for path in (folder / "score.py", folder / "none"):
        with pytest.raises(UnresolvedReferenceError) as caught:
            code_workspace.code.create(str(path), name="score")
        assert caught.value.condition == "CODE_NOT_FOUND"
    code_workspace.close()


def test_fetch__names_that_leave_the_folder(folder: Path, tmp_path: Path) -> None:
    content = RemoteContent(f"file://{folder}/sub", True, ("../score.py",), "digest", what="code")
    with pytest.raises(UnresolvedReferenceError) as caught:
        fetch(content, tmp_path / "fetched" / "deep")
    assert caught.value.condition == "CODE_NOT_FETCHED"
    assert not (tmp_path / "fetched" / "deep" / "score.py").exists()
