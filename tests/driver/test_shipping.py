"""What executors are given: packed the same from the same content."""

from __future__ import annotations

import os
import time
import zipfile
from pathlib import Path

from sparkscore.driver.executor_package import write_executor_package
from sparkscore.driver.shipping import pack_folder
from sparkscore.executor.archives import unpack_once


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


def test_executor_package__is_the_same_each_time(tmp_path: Path) -> None:
    first, second = (write_executor_package(tmp_path / name) for name in ("first", "second"))
    assert first.read_bytes() == second.read_bytes()
    names = zipfile.ZipFile(first).namelist()
    assert {"sparkscore/errors.py", "sparkscore/executor/shipped.py"} <= set(names)
