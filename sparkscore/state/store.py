"""Opens a store and hands out its transactions. Control plane."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType

from sparkscore.state.database import Database, open_database
from sparkscore.state.reader import Reader
from sparkscore.state.schema import ensure_schema
from sparkscore.state.writer import Writer


class Store:
    """An open store; may be shared by threads, not by processes that were forked."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @property
    def address(self) -> str:
        """The URL without its password, for people."""
        return self._database.address

    @contextmanager
    def reading(self) -> Iterator[Reader]:
        """A snapshot that stays the same while it is read; never waits for a writer.

        Raises StateError STORE_UNREACHABLE, STORE_DAMAGED and the like.
        """
        with self._database.reading() as connection:
            yield Reader(connection)

    @contextmanager
    def writing(self) -> Iterator[Writer]:
        """The one writer: waits for others, commits at the end, undoes everything if it raises.

        Nothing slow belongs inside, and no other ``writing``: that one would wait for this one.
        Raises StateError STORE_BUSY after 60 seconds, STORE_NOT_WRITABLE and the like.
        """
        with self._database.writing() as connection:
            yield Writer(connection)

    def close(self) -> None:
        """Close idle connections; the store may be used again."""
        self._database.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def open_store(url: str) -> Store:
    """The store at ``sqlite:////FOLDER/store.db`` or ``postgresql://USER:PASSWORD@HOST/DATABASE``.

    Makes the file or the tables if they are not there and upgrades older ones. Raises StateError
    INVALID_STORE_URL, STORE_TOO_NEW, STORE_UNREACHABLE, STORE_NOT_WRITABLE, STORE_DAMAGED or
    STORE_BUSY, and MissingDependencyError.
    """
    database = open_database(url)
    try:
        ensure_schema(database)
    except BaseException:
        database.close()
        raise
    return Store(database)
