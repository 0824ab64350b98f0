"""Uploads whose answer is lost: the client asks again, and is refused for its own file."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from sparkscore.errors import AlreadyExistsError, OutputNotWritableError
from sparkscore.storage import put_new_file, upload_new_folder


class LosingFileSystem(MemoryFileSystem):  # type: ignore[misc]
    """Takes a file, or has that of a rival by then, and refuses the client that asks again."""

    protocol = "losing"
    store: dict[str, Any] = {}  # noqa: RUF012 - its parent's is one for all as well
    pseudo_dirs = [""]  # noqa: RUF012
    rival: ClassVar[bytes | None] = None

    def put_file(self, lpath: str, rpath: str, mode: str = "", **arguments: Any) -> None:
        assert mode == "create"
        self.pipe_file(rpath, self.rival or Path(lpath).read_bytes())
        raise FileExistsError(rpath)


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    fsspec.register_implementation("losing", LosingFileSystem, clobber=True)
    LosingFileSystem.store.clear()
    monkeypatch.setattr("sparkscore.storage.writing._CHUNK_BYTES", 4)
    (tmp_path / "a").write_bytes(b"0123456789")
    return tmp_path / "a"


def read_one() -> bytes:
    (file,) = LosingFileSystem.store.values()
    content: bytes = file.getvalue()
    return content


def test_put__own_file_is_known(file: Path) -> None:
    put_new_file(str(file), "losing://out/a", {})
    assert read_one() == b"0123456789"


@pytest.mark.parametrize("rival", [b"012345678x", b"0123456789x", b"012345678"])
def test_put__file_of_a_rival_is_not(
    file: Path, rival: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LosingFileSystem, "rival", rival)
    with pytest.raises(AlreadyExistsError):
        put_new_file(str(file), "losing://out/a", {})
    assert read_one() == rival


def test_put__file_that_was_there_is_not(file: Path) -> None:
    put_new_file(str(file), "losing://out/a", {})
    with pytest.raises(AlreadyExistsError):
        put_new_file(str(file), "losing://out/a", {})


def test_folder__own_files_are_known(file: Path) -> None:
    upload_new_folder(str(file.parent), "losing://out", {}, names=["a"], last=[])
    with pytest.raises(AlreadyExistsError):
        upload_new_folder(str(file.parent), "losing://out", {}, names=["a"], last=[])


def test_folder__what_may_be_a_rival_s_is_not_taken_back(file: Path) -> None:
    with pytest.raises(OutputNotWritableError):
        upload_new_folder(str(file.parent), "losing://out", {}, names=["a", "missing"], last=[])
    assert read_one() == b"0123456789"
