from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.targets.outside_packages import write_package

Install = Callable[[str, str, dict[str, str]], Path]
"""Distribution, source of its module, names of targets to what gives them in the module."""


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Installs packages for one test."""
    modules: list[str] = []

    def install_package(name: str, source: str, targets: dict[str, str]) -> Path:
        folder = write_package(tmp_path / f"site-{name}", name, source, targets)
        modules.append(name.replace("-", "_"))
        monkeypatch.syspath_prepend(folder)
        return folder

    yield install_package
    for module in modules:
        sys.modules.pop(module, None)
