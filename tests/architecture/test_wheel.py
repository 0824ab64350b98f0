"""What the wheel holds."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import sparkscore
from tests.architecture.sources import PACKAGE, ROOT

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "-o", str(folder), "."]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    (built,) = folder.glob("*.whl")
    return zipfile.ZipFile(built)


def read_metadata(wheel: zipfile.ZipFile, name: str) -> str:
    return wheel.read(f"sparkscore-{sparkscore.__version__}.dist-info/{name}").decode()


def test_wheel__holds_the_package_and_nothing_else(wheel: zipfile.ZipFile) -> None:
    files = {name for name in wheel.namelist() if not name.endswith("/")}
    ours = {name for name in files if name.startswith("sparkscore/")}
    expected = {
        path.relative_to(PACKAGE.parent).as_posix()
        for path in PACKAGE.rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }
    assert ours == expected
    assert "sparkscore/py.typed" in ours
    metadata_folders = {Path(name).parts[0] for name in files - ours}
    assert metadata_folders == {f"sparkscore-{sparkscore.__version__}.dist-info"}


def test_wheel__has_the_command(wheel: zipfile.ZipFile) -> None:
    entry_points = read_metadata(wheel, "entry_points.txt").split()
    assert entry_points[:2] == ["[console_scripts]", "sparkscore"]
    assert "sparkscore.cli.main:main" in entry_points


def test_wheel__has_licence_and_bounds(wheel: zipfile.ZipFile) -> None:
    metadata = read_metadata(wheel, "METADATA").splitlines()
    assert "License-Expression: Apache-2.0" in metadata
    assert "Requires-Python: >=3.10" in metadata
    assert any(line.startswith("Requires-Dist: pyspark<4.3,>=3.5") for line in metadata)
    assert "Apache License" in read_metadata(wheel, "licenses/LICENSE")
