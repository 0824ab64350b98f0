"""Compiled folders hold the environment of their job, and name nothing of the machine."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from sparkscore.control.environments.build import PACKAGES_FILE
from sparkscore.control.environments.cache import CACHE_VARIABLE
from sparkscore.control.environments.job import MODE_VARIABLE, REQUEST_FILE
from sparkscore.errors import UnsupportedByTargetError
from sparkscore.targets.base import Capability
from sparkscore.targets.local import LocalTarget
from sparkscore.targets.registry import TARGETS
from tests.control.compile_samples import (
    BUILT,
    compile_full,
    compile_sample,
    have_environment,
    read_files,
)

EACH_TARGET = pytest.mark.parametrize("target", [target.name for target in TARGETS])


@EACH_TARGET
def test_compile__environment_lies_in_the_folder(
    tmp_path: Path, target: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = have_environment(tmp_path / "cache", monkeypatch)
    files = read_files(compile_full(tmp_path, target))
    scoring = json.loads(files["launch.json"])["scoring"]
    name = f"environment-{digest[:16]}.tar.zst"
    assert scoring["environment"] == {
        "digest": digest,
        "python": "bin/python3.11",
        "archive": name,
    }
    assert files[name] == BUILT
    assert REQUEST_FILE not in files


@EACH_TARGET
def test_compile__environment_same_bytes_whoever_compiles(
    tmp_path: Path, target: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two users with a cache each; what remains of the machine are the paths that they gave."""
    contents = []
    for place in (tmp_path / "a", tmp_path / "b"):
        have_environment(place / "cache", monkeypatch)
        files = read_files(compile_full(place, target))
        for name, content in files.items():
            assert bytes(place / "cache") not in content, name
        given = bytes(place / "jobs" / "nightly")
        contents.append({name: content.replace(given, b"") for name, content in files.items()})
        assert not [name for name, content in contents[-1].items() if bytes(place) in content]
    assert contents[0] == contents[1]


def test_compile__local_folder_has_what_this_python_has_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder may go to a machine whose Python has other packages."""
    asked = {"requirements": ["pandas>=1", "pyarrow>=12"]}
    built: list[Path] = []

    def build(request: Any, folder: Path, **others: Any) -> None:
        folder.mkdir(parents=True)
        (folder / PACKAGES_FILE).write_text("{}")
        built.append(folder)

    monkeypatch.setattr("sparkscore.control.environments.job.build_environment", build)
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    monkeypatch.delenv(MODE_VARIABLE, raising=False)
    files = read_files(compile_sample(tmp_path, "local", fields={"environment": asked}))
    (folder,) = built
    assert f"environment-{folder.name[:16]}.tar.zst" in files


def test_compile__packed_environment_of_the_user(tmp_path: Path) -> None:
    archive = tmp_path / "mine.tar.gz"
    with tarfile.open(archive, "w:gz") as packed:
        packed.addfile(tarfile.TarInfo("bin/python"))
    asked = {"environment": {"archive": str(archive)}}
    files = read_files(compile_sample(tmp_path, "local", fields=asked))
    (name,) = [name for name in files if name.startswith("environment-")]
    assert name.endswith(".tar.gz")
    assert files[name] == archive.read_bytes()
    assert not (tmp_path / "compiled" / name).samefile(archive)
    assert json.loads(files["launch.json"])["scoring"]["environment"]["archive"] == name


@pytest.mark.parametrize("mode", ["auto", "host"])
def test_compile__target_without_environments(
    tmp_path: Path, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    able = LocalTarget.capabilities - {Capability.ENVIRONMENT}
    monkeypatch.setattr("sparkscore.targets.registry.TARGETS", (LocalTarget(capabilities=able),))
    monkeypatch.setenv(MODE_VARIABLE, mode)
    asked = {"environment": {"requirements": ["six"]}}
    if mode == "host":
        files = read_files(compile_sample(tmp_path, "local", fields=asked))
        assert json.loads(files["launch.json"])["scoring"]["environment"] is None
        return
    with pytest.raises(UnsupportedByTargetError) as caught:
        compile_sample(tmp_path, "local", fields=asked)
    assert caught.value.attributes == {"target": "local", "capability": "ENVIRONMENT"}
    assert not (tmp_path / "compiled").exists()
