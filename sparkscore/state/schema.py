"""Brings the tables of a database to what this version of sparkscore reads. Control plane.

A store that is current costs one query; Alembic is imported only to change one.
"""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, inspect, text

from sparkscore.errors import StateError
from sparkscore.state.database import Database
from sparkscore.state.tables import VERSION_TABLE, metadata

MIGRATIONS = Path(__file__).parent / "migrations"
REVISIONS = ("0001", "0002", "0003", "0004")
"""Every revision of the schema, oldest first; one module of ``migrations/versions`` each."""


def ensure_schema(database: Database) -> None:
    """Create or upgrade the tables.

    Raises StateError STORE_TOO_NEW, touching nothing, if a later sparkscore made them.
    """
    with database.reading() as connection:
        if _is_current(connection, database):
            return
    database.prepare()
    with database.writing() as connection:
        # Another process may have been first.
        if not _is_current(connection, database):
            _upgrade(connection)


def find_revision(connection: Connection) -> str | None:
    """The revision of the tables, None if there are none."""
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    revision: str | None = connection.scalar(
        text(f"SELECT version_num FROM {VERSION_TABLE}")  # noqa: S608 - a constant
    )
    return revision


def _is_current(connection: Connection, database: Database) -> bool:
    revision = find_revision(connection)
    if revision is not None and revision not in REVISIONS:
        raise StateError(
            f"the store {database.address} was made by a later sparkscore (its schema is "
            f"{revision}, this one knows {REVISIONS[-1]}): upgrade sparkscore",
            condition="STORE_TOO_NEW",
            store=database.address,
            revision=revision,
            known_revision=REVISIONS[-1],
        )
    return revision == REVISIONS[-1]


def _upgrade(connection: Connection) -> None:
    """Run the migrations inside the transaction of ``connection``: all of them or none."""
    from alembic.config import Config
    from alembic.runtime.environment import EnvironmentContext
    from alembic.script import ScriptDirectory

    script = ScriptDirectory(str(MIGRATIONS))
    context = EnvironmentContext(
        Config(),
        script,
        fn=lambda revision, _context: script._upgrade_revs("head", revision),
        destination_rev="head",
    )
    with context:
        context.configure(
            connection=connection, target_metadata=metadata, version_table=VERSION_TABLE
        )
        context.run_migrations()
