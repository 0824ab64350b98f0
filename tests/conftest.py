"""Settings of the whole suite."""

from __future__ import annotations

import importlib.metadata
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from tests.class_archive import jvm_options

if TYPE_CHECKING:
    from tests.servers.postgres import PostgresServer

pytest_plugins = ["tests.servers.fixtures", "tests.chaos.plugin"]

os.environ.setdefault("SPARK_SUBMIT_OPTS", jvm_options())

_LONGEST = (
    "examples/test_examples.py",
    "spark/test_resume.py",
    "spark/test_recovery.py",
    "spark/test_readme.py",
    "spark/test_reference_scripts.py",
    "spark/test_cluster.py",
    "spark/test_namespaces.py",
    "spark/test_relay.py",
    "chaos/test_delta.py",
    "spark/test_store_jobs.py",
    "spark/test_command_line.py",
    "endpoints/test_concurrency.py",
    "assets/test_models_at_once.py",
    "spark/test_jobs.py",
    "chaos/test_leases.py",
)
"""Files of a minute or two, which begin first: none of them is to run alone at the end."""

_WARNINGS_OF_OLDER_SPARKS = (
    "ignore:distutils Version classes are deprecated:DeprecationWarning",
    "ignore:The distutils package is deprecated:DeprecationWarning",
    # Both leave the sockets by which they collect rows to the garbage collector.
    "ignore:unclosed <socket.socket:ResourceWarning",
)


# No deadline: a busy machine is not a failure. The examples are the same in every run, so that a
# change fails where it was made.
settings.register_profile("suite", deadline=None, derandomize=True, max_examples=50)
settings.load_profile("suite")


def pytest_configure(config: pytest.Config) -> None:
    """Warnings are errors, but for those of Spark 3.5 and 4.0 themselves."""
    if importlib.metadata.version("pyspark").startswith(("3.", "4.0.")):
        for line in _WARNINGS_OF_OLDER_SPARKS:
            config.addinivalue_line("filterwarnings", line)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first; the others as they were."""
    place = {name: number for number, name in enumerate(_LONGEST)}
    items.sort(key=lambda item: place.get("/".join(item.path.parts[-2:]), len(place)))


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A real PostgreSQL server, started when the first test asks for it."""
    from tests.servers.postgres import run_postgres

    with run_postgres() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a new and empty store, on one database and then on the other."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/store.db"
        return
    server: PostgresServer = request.getfixturevalue("postgres_server")
    url = server.create_database()
    yield url
    server.drop_database(url)
