from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from sparkscore.control.workspace import Workspace


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    """A new workspace; its registry is made only if a test uses it."""
    opened = Workspace.open(tmp_path / "ws", environment={"HOME": str(tmp_path)})
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def models_workspace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    """A workspace for all tests of a module: MLflow takes seconds to make its database."""
    folder = tmp_path_factory.mktemp("models")
    opened = Workspace.open(folder / "ws", environment={"HOME": str(folder)})
    yield opened
    opened.close()
