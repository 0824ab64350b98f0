"""Which files of an attempt travel, and what is said of those that cannot be read."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sparkscore.errors import StorageError
from sparkscore.executor.written_files import iter_written


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that every user can enter; pytest's own are private."""
    made = Path(tempfile.mkdtemp())
    made.chmod(0o755)
    yield made
    shutil.rmtree(made)


@contextmanager
def being_nobody() -> Iterator[None]:
    """Permissions bind this user, also where tests run as root."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(user)


@pytest.mark.parametrize("name", ["secret.txt", "deep"])
def test_written__what_cannot_be_read_is_named(folder: Path, name: str) -> None:
    (folder / "deep").mkdir()
    (folder / "deep" / "a.txt").write_text("a")
    (folder / "secret.txt").write_text("secret")
    (folder / name).chmod(0o000)
    with being_nobody(), pytest.raises(StorageError) as caught:
        list(iter_written(str(folder)))
    (folder / name).chmod(0o700)
    assert caught.value.condition == "SCRIPT_FILE_NOT_READABLE"
    assert name in str(caught.value)


def test_written__links_travel_as_files_of_the_folder_alone(folder: Path) -> None:
    (folder / "a.txt").write_text("a")
    (folder / "b.txt").symlink_to("a.txt")
    (folder / "loop").symlink_to("loop")
    (folder / "environ").symlink_to("/proc/self/environ")
    found = {name: content.read() for name, content in iter_written(str(folder))}
    assert found == {"a.txt": b"a", "b.txt": b"a"}
