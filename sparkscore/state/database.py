"""A database by URL, and its two kinds of transaction. Control plane.

Reading sees one snapshot and is never blocked; writing is one at a time. Whatever the driver of the
database raises in between becomes a StateError without secrets.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Protocol

from sqlalchemy import Connection, Engine, make_url
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from sparkscore.errors import StateError

BUSY_SECONDS = 60
"""How long a writer waits for the writers before it."""


class Dialect(Protocol):
    """What SQLite and PostgreSQL do each in their own way."""

    def create_engine(self, url: URL) -> Engine: ...

    def reading(self, engine: Engine) -> AbstractContextManager[Connection]: ...

    def writing(self, engine: Engine) -> AbstractContextManager[Connection]: ...

    def prepare(self, engine: Engine) -> None:
        """What must be done once, before the tables are made."""

    def find_condition(self, error: BaseException) -> str | None:
        """The named condition of an error of the driver; None for a bug of ours."""


@dataclass(frozen=True)
class Database:
    """An open database; ``address`` names it without its password."""

    engine: Engine
    dialect: Dialect
    url: URL

    @property
    def address(self) -> str:
        return render_address(self.url)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction that sees one snapshot."""
        with self.translating_errors(), self.dialect.reading(self.engine) as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction beside which no other one writes; rolled back if the block raises."""
        with self.translating_errors(), self.dialect.writing(self.engine) as connection:
            yield connection

    def prepare(self) -> None:
        with self.translating_errors():
            self.dialect.prepare(self.engine)

    def close(self) -> None:
        self.engine.dispose()

    @contextmanager
    def translating_errors(self) -> Iterator[None]:
        try:
            yield
        except PoolTimeoutError as error:
            raise self._state_error("STORE_BUSY", "too many threads use it") from error
        except DBAPIError as error:
            original = error.orig if error.orig is not None else error
            condition = self.dialect.find_condition(original)
            if condition is None:
                raise
            raise self._state_error(condition, self._explain(original)) from error

    def _state_error(self, condition: str, reason: str) -> StateError:
        return StateError(
            f"the store {self.address} {_MEANINGS[condition]}: {reason}; {_ADVICE[condition]}",
            condition=condition,
            store=self.address,
        )

    def _explain(self, error: BaseException) -> str:
        """The first line of what the driver said; no driver is trusted to leave secrets out."""
        lines = str(error).strip().splitlines()
        text = lines[0] if lines else type(error).__name__
        for secret in find_secrets(self.url):
            text = text.replace(secret, "***")
        return text


_MEANINGS = {
    "STORE_BUSY": "is busy",
    "STORE_DAMAGED": "is damaged or no store",
    "STORE_NOT_WRITABLE": "cannot be written",
    "STORE_UNREACHABLE": "cannot be reached",
}
_ADVICE = {
    "STORE_BUSY": "try again",
    "STORE_DAMAGED": "restore it from a copy",
    "STORE_NOT_WRITABLE": "check permissions and free space",
    "STORE_UNREACHABLE": "check [store] url in sparkscore.toml and that the server runs",
}


def open_database(text: str) -> Database:
    """The database at a URL; nothing is read yet.

    Raises StateError INVALID_STORE_URL, STORE_UNREACHABLE or STORE_NOT_WRITABLE, and
    MissingDependencyError.
    """
    url = _parse_url(text)
    dialect = _find_dialect(url)
    return Database(engine=dialect.create_engine(url), dialect=dialect, url=url)


def _find_dialect(url: URL) -> Dialect:
    if url.drivername in ("sqlite", "sqlite+pysqlite"):
        from sparkscore.state.sqlite import SqliteDialect

        return SqliteDialect()
    if url.drivername in ("postgresql", "postgresql+psycopg", "postgres"):
        from sparkscore.state.postgresql import PostgresqlDialect

        return PostgresqlDialect()
    raise invalid_url(f"{url.drivername}:// is not supported")


def _parse_url(text: str) -> URL:
    try:
        url = make_url(text)
    except (ArgumentError, ValueError) as error:
        # Neither the text nor the error, which may quote it, can be shown: a password may be in it.
        kind = type(error).__name__
        raise invalid_url(f"it cannot be parsed ({kind})") from None
    if "@" in (url.host or ""):
        raise invalid_url("write an @ in user or password as %40")
    return url


def invalid_url(reason: str) -> StateError:
    return StateError(
        f"the URL of the store is wrong: {reason}; write sqlite:////FOLDER/store.db or "
        "postgresql://USER:PASSWORD@HOST/DATABASE",
        condition="INVALID_STORE_URL",
        reason=reason,
    )


def render_address(url: URL) -> str:
    """The URL without parameters, its password as ***."""
    return url.set(query={}).render_as_string(hide_password=True)


def find_secrets(url: URL) -> list[str]:
    """Parts of the URL that nobody may see."""
    values = [url.password, *(url.query.get(name) for name in ("password", "sslpassword"))]
    return [value for value in values if isinstance(value, str) and value]
