"""Stores that are open, one on each database."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from sparkscore.state import Store, open_store

if TYPE_CHECKING:
    from tests.servers.postgres import PostgresServer


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    """A new and empty store."""
    with open_store(store_url) as opened:
        yield opened


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def shared_store(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Store]:
    """One store for all examples of a property; they clear it themselves."""
    folder: Path = tmp_path_factory.mktemp("store")
    url = f"sqlite:///{folder}/store.db"
    if request.param == "postgresql":
        server: PostgresServer = request.getfixturevalue("postgres_server")
        url = server.create_database()
    with open_store(url) as opened:
        yield opened
