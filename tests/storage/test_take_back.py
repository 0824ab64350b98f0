"""What becomes of the files of a folder upload that fails half-way."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from sparkscore.errors import StateError, StorageError
from sparkscore.storage import upload_new_folder


class FullFileSystem(MemoryFileSystem):  # type: ignore[misc]
    """Takes no file that is called bad."""

    protocol = "full"
    store: dict[str, Any] = {}  # noqa: RUF012 - its parent's is one for all as well
    pseudo_dirs = [""]  # noqa: RUF012

    def put_file(self, lpath: str, rpath: str, **arguments: Any) -> None:
        if rpath.endswith("bad"):
            raise OSError("no")
        super().put_file(lpath, rpath, **arguments)


@pytest.fixture
def files(tmp_path: Path) -> Path:
    fsspec.register_implementation("full", FullFileSystem, clobber=True)
    FullFileSystem.store.clear()
    for name in ("a", "b", "bad"):
        (tmp_path / name).write_text(name)
    return tmp_path


def find_left() -> set[str]:
    return {path.rpartition("/")[2] for path in FullFileSystem.store}


def test_upload__that_fails_is_taken_back(files: Path) -> None:
    with pytest.raises(StorageError):
        upload_new_folder(str(files), "full://out", {}, names=["a", "b", "bad"])
    assert find_left() == set()


def test_upload__whose_last_file_seems_to_fail_is_left(files: Path) -> None:
    """It may have arrived, and then it names the others."""
    with pytest.raises(StorageError):
        upload_new_folder(str(files), "full://out", {}, names=["a", "b"], last=["bad"])
    assert find_left() == {"a", "b"}


def test_upload__to_a_folder_that_is_another_s_by_now_is_left(files: Path) -> None:
    def confirm() -> None:
        raise StateError("another driver has taken over", condition="LEASE_LOST")

    with pytest.raises(StorageError):
        upload_new_folder(str(files), "full://out", {}, names=["a", "b", "bad"], confirm=confirm)
    assert find_left() >= {"a"}
