"""The store in a PostgreSQL database. Control plane.

Writers queue on an advisory lock that ends with their transaction, so that a writer that dies
leaves nothing behind. Readers are read-only and see one snapshot.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, Engine, create_engine
from sqlalchemy.engine import URL

from sparkscore.errors import MissingDependencyError
from sparkscore.state.database import BUSY_SECONDS

_LOCK = 0x737061726B  # "spark"; the lock of one database, whoever else uses it
_CONNECT_SECONDS = 10
_CONDITIONS = {
    "08": "STORE_UNREACHABLE",  # connection exceptions
    "28": "STORE_UNREACHABLE",  # authentication
    "3D": "STORE_UNREACHABLE",  # no such database
    "57": "STORE_UNREACHABLE",  # the server shuts down
    "53": "STORE_NOT_WRITABLE",  # no space left
    "25006": "STORE_NOT_WRITABLE",  # read-only server
    "42501": "STORE_NOT_WRITABLE",  # permission denied
    "55P03": "STORE_BUSY",  # lock timeout
    "40": "STORE_BUSY",  # serialization, deadlock
    "53300": "STORE_BUSY",  # too many connections
    "42P01": "STORE_DAMAGED",  # no such table
    "42703": "STORE_DAMAGED",  # no such column
    "XX": "STORE_DAMAGED",
}
"""SQLSTATE, or the class that it begins with -> condition."""


class PostgresqlDialect:
    def create_engine(self, url: URL) -> Engine:
        # Statements that are prepared on the server do not survive a pool such as pgbouncer.
        options: dict[str, object] = {"prepare_threshold": None}
        if "connect_timeout" not in url.query:
            options["connect_timeout"] = _CONNECT_SECONDS
        try:
            return create_engine(
                url.set(drivername="postgresql+psycopg"),
                connect_args=options,
                pool_pre_ping=True,
                max_overflow=-1,
                hide_parameters=True,
            )
        except ImportError as error:
            raise MissingDependencyError(
                "a store in PostgreSQL needs psycopg: pip install 'sparkscore[postgres]'",
                dependency="psycopg",
                extra="postgres",
            ) from error

    @contextmanager
    def reading(self, engine: Engine) -> Iterator[Connection]:
        with engine.connect() as opened:
            connection = opened.execution_options(
                isolation_level="REPEATABLE READ", postgresql_readonly=True
            )
            with connection.begin():
                yield connection

    @contextmanager
    def writing(self, engine: Engine) -> Iterator[Connection]:
        with engine.connect() as opened:
            # Each statement after the lock sees what the writer before has committed.
            connection = opened.execution_options(isolation_level="READ COMMITTED")
            with connection.begin():
                connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{BUSY_SECONDS}s'")
                connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK})")
                yield connection

    def prepare(self, engine: Engine) -> None:
        """Nothing: a new database is ready."""

    def find_condition(self, error: BaseException) -> str | None:
        state = getattr(error, "sqlstate", None)
        if state is None:
            # The driver itself failed, with nobody at the other end.
            return "STORE_UNREACHABLE" if type(error).__name__ == "OperationalError" else None
        return next(
            (_CONDITIONS[prefix] for prefix in (state, state[:2]) if prefix in _CONDITIONS),
            None,
        )
