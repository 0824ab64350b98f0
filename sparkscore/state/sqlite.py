"""The store in a SQLite file. Control plane.

Write-ahead log: readers and the one writer do not block each other. The file is private to its
user. It must lie on a local disk; for several machines there is PostgreSQL. Where it cannot be
written (a read-only mount, another user's) it can still be read.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL
from sqlalchemy.exc import OperationalError

from sparkscore.errors import StateError
from sparkscore.state.database import BUSY_SECONDS, invalid_url

_RETRY_SECONDS = 0.01
_POOL_SIZE = 40
"""As many as a server has threads: to open a connection takes longer than most reads."""
_BEGIN = "sparkscore_begin"
_CONDITIONS = {
    "locked": "STORE_BUSY",
    "malformed": "STORE_DAMAGED",
    "not a database": "STORE_DAMAGED",
    "no such table": "STORE_DAMAGED",
    "no such column": "STORE_DAMAGED",
    "readonly": "STORE_NOT_WRITABLE",
    "is full": "STORE_NOT_WRITABLE",
    "unable to open": "STORE_UNREACHABLE",
    "disk i/o": "STORE_NOT_WRITABLE",
}
"""Words of SQLite's messages; its error codes can be read from Python 3.11 on only."""


class SqliteDialect:
    def create_engine(self, url: URL) -> Engine:
        path = _find_path(url)
        engine = create_engine(
            _as_read_only(url, path) if _is_read_only(path) else _as_writable(url, path),
            connect_args={"timeout": BUSY_SECONDS},
            pool_size=_POOL_SIZE,
            max_overflow=-1,
            hide_parameters=True,
        )
        event.listen(engine, "connect", _set_up)
        event.listen(engine, "begin", _begin)
        return engine

    @contextmanager
    def reading(self, engine: Engine) -> Iterator[Connection]:
        with engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def writing(self, engine: Engine) -> Iterator[Connection]:
        with engine.connect() as opened:
            connection = opened.execution_options(**{_BEGIN: "BEGIN IMMEDIATE"})
            with connection.begin():
                yield connection

    def prepare(self, engine: Engine) -> None:
        """Turn the write-ahead log on; while another process does, SQLite does not wait itself."""
        deadline = time.monotonic() + BUSY_SECONDS
        while True:
            try:
                _turn_log_on(engine)
            except OperationalError as error:
                if "locked" not in str(error.orig) or time.monotonic() > deadline:
                    raise
                time.sleep(_RETRY_SECONDS)
            else:
                return

    def find_condition(self, error: BaseException) -> str | None:
        text = str(error).lower()
        return next((named for words, named in _CONDITIONS.items() if words in text), None)


def _find_path(url: URL) -> Path:
    if not url.database or url.database == ":memory:" or url.host:
        raise invalid_url("it names no file")
    if url.query:
        raise invalid_url("parameters after ? are not supported for SQLite")
    return Path(url.database).absolute()


def _is_read_only(path: Path) -> bool:
    """Whether the file is there and cannot be written, or nothing beside it can be."""
    if not path.is_file() or not _may(path, os.R_OK):
        return False
    return not _may(path, os.W_OK) or not _may(path.parent, os.W_OK)


def _may(path: Path, mode: int) -> bool:
    return os.access(path, mode, effective_ids=os.access in os.supports_effective_ids)


def _as_read_only(url: URL, path: Path) -> URL:
    """A file without a log is read as one that nobody changes: SQLite makes nothing beside it."""
    has_log = path.with_name(f"{path.name}-wal").exists()
    query = {"uri": "true", "mode": "ro"} if has_log else {"uri": "true", "immutable": "1"}
    return url.set(database=f"file:{quote(str(path))}", query=query)


def _as_writable(url: URL, path: Path) -> URL:
    _create_file(path)
    return url.set(database=str(path))


def _create_file(path: Path) -> None:
    """Make the file if it is not there, readable by its owner alone; SQLite's own two follow it.

    One that is there is not opened: to close it again would drop the locks that this process's
    other connections hold on it (POSIX), and the next process would remove the log under them.
    """
    try:
        if not path.is_file():
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        elif not _may(path, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        if isinstance(error, FileExistsError) and os.path.isfile(path):
            return  # another process made it just now
        missing = isinstance(error, (FileNotFoundError, NotADirectoryError, FileExistsError))
        reason = "cannot be reached" if missing else "cannot be written"
        problem = os.strerror(errno.EISDIR) if os.path.isdir(path) else error.strerror
        raise StateError(
            f"the store {path} {reason}: {problem}; its folder must exist and be writable",
            condition="STORE_UNREACHABLE" if missing else "STORE_NOT_WRITABLE",
            store=str(path),
        ) from error


def _set_up(connection: Any, _record: Any) -> None:
    # The driver shall not begin transactions by itself: _begin does.
    connection.isolation_level = None
    connection.execute("PRAGMA foreign_keys = ON")


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql(connection.get_execution_options().get(_BEGIN, "BEGIN"))


def _turn_log_on(engine: Engine) -> None:
    raw = engine.raw_connection()
    try:
        raw.cursor().execute("PRAGMA journal_mode = WAL")
    except engine.dialect.loaded_dbapi.Error as error:
        raise OperationalError("PRAGMA journal_mode", None, error) from error
    finally:
        raw.close()
