from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.control.samples import write_java


@pytest.fixture
def java_environment(tmp_path: Path) -> dict[str, str]:
    """Variables of this process with a Java that is quick to ask."""
    return {**os.environ, "JAVA_HOME": str(write_java(tmp_path / "java"))}


@pytest.fixture
def in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Path]:
    """Makes an empty folder the current one."""

    def enter() -> Path:
        folder = tmp_path / "current"
        folder.mkdir()
        monkeypatch.chdir(folder)
        return folder

    return enter
