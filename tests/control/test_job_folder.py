"""Folders appear whole or not at all."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from sparkscore.control.job_folder import making_folder
from sparkscore.errors import AlreadyExistsError, OutputNotWritableError
from tests.control.samples import list_files


def test_making_folder__appears_at_the_end(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    with making_folder(folder) as partial:
        (partial / "file").write_text("x")
        assert not folder.exists()
    assert list_files(tmp_path) == ["a", "a/b", "a/b/file"]


def write_then_raise(folder: Path, error: BaseException) -> None:
    (folder / "file").write_text("x")
    raise error


@pytest.mark.parametrize("error", [ValueError(), KeyboardInterrupt(), SystemExit()])
def test_making_folder__leaves_nothing_behind(tmp_path: Path, error: BaseException) -> None:
    with pytest.raises(type(error)), making_folder(tmp_path / "a" / "b" / "c") as partial:
        write_then_raise(partial, error)
    assert list_files(tmp_path) == []


def test_making_folder__keeps_parents_that_were_there(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    with pytest.raises(ValueError), making_folder(tmp_path / "a" / "b" / "c"):
        raise ValueError
    assert list_files(tmp_path) == ["a"]


def test_making_folder__appeared_meanwhile(tmp_path: Path) -> None:
    theirs = tmp_path / "job" / "theirs"
    with pytest.raises(AlreadyExistsError) as caught, making_folder(tmp_path / "job"):
        theirs.mkdir(parents=True)
    assert caught.value.condition == "JOB_EXISTS"
    assert list_files(tmp_path) == ["job", "job/theirs"]


def test_making_folder__below_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputNotWritableError), making_folder(tmp_path / "file" / "job"):
        pytest.fail("nothing can be written there")
    assert list_files(tmp_path) == ["file"]


def test_making_folder__storage_fails_while_it_is_filled(tmp_path: Path) -> None:
    with pytest.raises(OutputNotWritableError), making_folder(tmp_path / "job") as partial:
        shutil.copy("/nonexistent", partial)
    assert list_files(tmp_path) == []
