"""Migrations: they lead to the tables as declared, and only forward."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, create_engine, inspect, text

from sparkscore.errors import StateError
from sparkscore.state import open_store
from sparkscore.state.database import open_database
from sparkscore.state.schema import MIGRATIONS, REVISIONS, find_revision
from sparkscore.state.tables import VERSION_TABLE, metadata
from tests.state.records import make_endpoint, make_job


@pytest.fixture
def engine(store_url: str) -> Iterator[Engine]:
    """The database itself, without sparkscore."""
    engine = create_engine(store_url.replace("postgresql:", "postgresql+psycopg:"))
    yield engine
    engine.dispose()


def find_differences(connection: Connection) -> list[object]:
    options = {"version_table": VERSION_TABLE, "compare_type": True}
    context = MigrationContext.configure(connection, opts=options)
    return list(compare_metadata(context, metadata))


def test_migrations__are_the_revisions_in_order() -> None:
    script = ScriptDirectory(str(MIGRATIONS))
    walked = [revision.revision for revision in script.walk_revisions()]
    assert tuple(reversed(walked)) == REVISIONS
    files = sorted(path.name for path in (MIGRATIONS / "versions").glob("r*.py"))
    assert [name[1:5] for name in files] == list(REVISIONS)


def test_migrations__lead_to_the_declared_tables(store_url: str, engine: Engine) -> None:
    open_store(store_url).close()
    with engine.connect() as connection:
        assert find_differences(connection) == []
        names = inspect(connection).get_table_names()
    assert {*names} - {"sqlite_sequence"} == {*metadata.tables, VERSION_TABLE}
    assert all(name.startswith("sparkscore_") for name in metadata.tables)


def test_find_differences__notices_what_is_missing(store_url: str, engine: Engine) -> None:
    open_store(store_url).close()
    with engine.begin() as connection:
        connection.execute(text("DROP INDEX sparkscore_jobs_status"))
        connection.execute(text("ALTER TABLE sparkscore_jobs ADD COLUMN more INTEGER"))
        assert len(find_differences(connection)) == 2


def test_open_store__again_changes_nothing(store_url: str, engine: Engine) -> None:
    with open_store(store_url) as store, store.writing() as writer:
        stored = writer.put_endpoint(make_endpoint())
    with open_store(store_url) as store, store.reading() as reader:
        assert reader.list_endpoints() == [stored]
    with engine.connect() as connection:
        assert find_revision(connection) == REVISIONS[-1]


def test_open_store__newer_one_is_refused_untouched(store_url: str, engine: Engine) -> None:
    open_store(store_url).close()
    with engine.begin() as connection:
        connection.execute(text(f"UPDATE {VERSION_TABLE} SET version_num = '9999'"))
    before = _read_file(store_url)
    with pytest.raises(StateError) as caught:
        open_store(store_url)
    assert caught.value.condition == "STORE_TOO_NEW"
    assert caught.value.attributes["revision"] == "9999"
    assert caught.value.attributes["known_revision"] == REVISIONS[-1]
    assert _read_file(store_url) == before
    with engine.connect() as connection:
        assert find_revision(connection) == "9999"


def _read_file(url: str) -> bytes:
    name = url.removeprefix("sqlite:///")
    return b"" if name == url else Path(name).read_bytes()


def test_migrations__keep_what_an_older_store_holds(store_url: str, engine: Engine) -> None:
    with open_store(store_url) as store, store.writing() as writer:
        stored = writer.add_job(make_job(status="Failed", summary={"rows": 1}))
    with engine.begin() as connection:
        connection.execute(text("DROP INDEX sparkscore_jobs_retry"))
        for column in ("earlier_runs", "retry_of", "remote"):
            connection.execute(text(f"ALTER TABLE sparkscore_jobs DROP COLUMN {column}"))
        connection.execute(text("DROP TABLE sparkscore_tokens"))
        connection.execute(text(f"UPDATE {VERSION_TABLE} SET version_num = '0001'"))
    with open_store(store_url) as store, store.reading() as reader:
        assert reader.get_job(stored.name) == stored
    with engine.connect() as connection:
        assert find_differences(connection) == []


def test_migration__that_fails_leaves_nothing(store_url: str, engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE sparkscore_computes (of_somebody_else INTEGER)"))
    with pytest.raises(Exception, match="sparkscore_computes"):
        open_store(store_url)
    with engine.connect() as connection:
        assert inspect(connection).get_table_names() == ["sparkscore_computes"]


def test_table_that_is_gone__is_named(store_url: str, engine: Engine) -> None:
    open_store(store_url).close()
    with engine.begin() as connection:
        connection.execute(text("DROP TABLE sparkscore_computes"))
    with open_store(store_url) as store, pytest.raises(StateError) as caught:
        _list_computes(store_url)
    assert caught.value.condition == "STORE_DAMAGED"
    assert store.address == open_database(store_url).address


def _list_computes(url: str) -> None:
    with open_store(url) as store, store.reading() as reader:
        reader.list_computes()
