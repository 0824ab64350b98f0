"""What executors are given: packed the same from the same content."""

from __future__ import annotations

import errno
import io
import os
import time
import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from pyspark import SparkFiles

from sparkscore.driver.executor_package import write_executor_package
from sparkscore.driver.shipping import pack_folder, ship_job
from sparkscore.errors import StorageError
from sparkscore.executor.archives import unpack_once
from sparkscore.executor.shipped import Shipped
from sparkscore.messages.launch import EnvironmentMessage
from tests.launches import make_launch, make_scoring


def make_folder(folder: Path) -> Path:
    (folder / "model" / "deep").mkdir(parents=True)
    (folder / "empty").mkdir()
    (folder / "model" / "weights").write_bytes(b"\0" * 1000)
    (folder / "model" / "deep" / "é.txt").write_text("text")
    (folder / "run").write_text("#!/bin/sh\n")
    (folder / "run").chmod(0o755)
    (folder / "linked").symlink_to("model/weights")
    return folder


def test_pack__same_content_same_bytes(tmp_path: Path) -> None:
    first = make_folder(tmp_path / "first")
    second = make_folder(tmp_path / "second")
    os.utime(second / "model" / "weights", (time.time() - 5000,) * 2)
    packed = [pack_folder(folder, tmp_path / f"{folder.name}.zip") for folder in (first, second)]
    assert packed[0].read_bytes() == packed[1].read_bytes()
    (second / "model" / "weights").write_bytes(b"\1" * 1000)
    changed = pack_folder(second, tmp_path / "changed.zip")
    assert changed.read_bytes() != packed[0].read_bytes()


def test_pack__unpacks_to_the_same(tmp_path: Path) -> None:
    packed = pack_folder(make_folder(tmp_path / "first"), tmp_path / "model.zip")
    there = Path(unpack_once(str(packed), digest="0" * 16, root=str(tmp_path / "root")))
    names = {path.relative_to(there).as_posix() for path in there.rglob("*")}
    assert names == {
        *("model", "model/deep", "model/deep/é.txt", "model/weights", "empty", "run", "linked"),
    }
    assert (there / "linked").read_bytes() == b"\0" * 1000
    assert not (there / "linked").is_symlink()
    assert os.access(there / "run", os.X_OK)


def test_pack__folder_that_holds_the_archive(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    with pytest.raises(StorageError) as caught:
        pack_folder(tmp_path, tmp_path / "deep" / "model.zip")
    assert caught.value.condition == "FOLDER_HOLDS_SCRATCH"


def test_executor_package__is_the_same_each_time(tmp_path: Path) -> None:
    first, second = (write_executor_package(tmp_path / name) for name in ("first", "second"))
    assert first.read_bytes() == second.read_bytes()
    names = zipfile.ZipFile(first).namelist()
    assert {"sparkscore/errors.py", "sparkscore/executor/shipped.py"} <= set(names)


class Session:
    """Spark's part of a session: gives a name to one file for good, and copies it to its root."""

    master = "spark://head:7077"

    def __init__(self, root: Path) -> None:
        self.root, self.given = root, dict[str, Path]()
        self.room = 1000

    def add(self, path: str) -> None:
        name, content = Path(path).name, Path(path).read_bytes()
        if name in self.given:
            return
        self.given[name] = Path(path)
        assert not (self.root / name).exists(), "exists and does not match"
        self.room -= 1
        (self.root / name).write_bytes(content if self.room >= 0 else content[:1])
        if self.room < 0:
            raise OSError(errno.ENOSPC, "No space left on device")

    addFile = addPyFile = add  # noqa: N815 - the names are Spark's

    def read(self, name: str) -> bytes:
        """What executors get."""
        assert (self.root / name).read_bytes() == self.given[name].read_bytes()
        return self.given[name].read_bytes()


@pytest.fixture
def session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Session:
    (tmp_path / "root").mkdir()
    monkeypatch.setattr(SparkFiles, "getRootDirectory", lambda: str(tmp_path / "root"))
    return Session(tmp_path / "root")


def ship(session: Session, place: Path, text: str) -> Shipped:
    """Ship a job below ``place`` whose model, code and environment differ by ``text`` alone."""
    for name in ("model/weights", "code/score.py", "job/environment.tar.zst"):
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(f"{name} {text}")
    environment = EnvironmentMessage(digest="d", python="bin/python", archive="environment.tar.zst")
    scoring = make_scoring(
        model_folder=str(place / "model"), code_folder=str(place / "code"), environment=environment
    )
    launch = make_launch(str(place / "job"), inputs="", output="", scoring=scoring, relay=True)
    shipped = ship_job(cast(Any, SimpleNamespace(sparkContext=session)), launch)
    assert shipped is not None
    return shipped


def read(session: Session, shipped: Shipped) -> str:
    assert shipped.code is not None
    assert shipped.environment is not None
    texts = []
    for file in (shipped.model, shipped.code):
        with zipfile.ZipFile(io.BytesIO(session.read(file.name))) as packed:
            texts.append(packed.read(packed.namelist()[0]).decode())
    return " ".join([*texts, session.read(shipped.environment).decode()])


def test_ship__jobs_of_one_session_have_their_own_content(session: Session, tmp_path: Path) -> None:
    first, second, again = (
        ship(session, tmp_path / str(number), text) for number, text in enumerate("aba")
    )
    for shipped, text in ((first, "a"), (second, "b")):
        expected = ("model/weights", "code/score.py", "job/environment.tar.zst")
        assert read(session, shipped) == " ".join(f"{name} {text}" for name in expected)
        assert shipped.environment is not None
        assert shipped.environment.endswith(".tar.zst")
    assert again == first
    assert len(session.given) == 7


@pytest.mark.parametrize("room", range(4))
def test_ship__failure_half_way_is_nothing_to_the_next_job(
    session: Session, tmp_path: Path, room: int
) -> None:
    session.room = room
    with pytest.raises(OSError, match="No space"):
        ship(session, tmp_path / "first", "a")
    session.room = 1000
    assert "job/environment.tar.zst a" in read(session, ship(session, tmp_path / "second", "a"))
    assert not list((session.root / "sparkscore").glob(".*"))
