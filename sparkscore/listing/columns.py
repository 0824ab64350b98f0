"""Gathers listed files as Arrow columns, in chunks. Any process."""

from __future__ import annotations

from collections.abc import Callable

import pyarrow as pa

from sparkscore.errors import PlanError

FILES_SCHEMA = pa.schema(
    [
        pa.field("path", pa.string(), nullable=False),
        pa.field("size", pa.int64(), nullable=False),
        pa.field("etag", pa.string(), nullable=False),
    ]
)

_CHUNK_FILE_COUNT = 65_536


class FileColumns:
    """Files of the input ``uri``, appended one by one; memory holds one chunk of Python objects."""

    def __init__(self, uri: str, *, check: Callable[[], None] = lambda: None) -> None:
        self._uri, self._check = uri, check
        self._batches: list[pa.RecordBatch] = []
        self._start_chunk()

    def append(self, path: str, size: int, etag: str) -> None:
        """Adds one file; ``path`` is relative to the root. Raises what ``check`` raises."""
        self._check()
        self._paths.append(path)
        self._sizes.append(size)
        self._etags.append(etag)
        if len(self._paths) == _CHUNK_FILE_COUNT:
            self._end_chunk()

    def to_table(self) -> pa.Table:
        """All files so far. Raises PlanError (INPUT_NAME_NOT_UTF8) for a name that is no text."""
        self._end_chunk()
        return pa.Table.from_batches(self._batches, schema=FILES_SCHEMA)

    def _start_chunk(self) -> None:
        self._paths: list[str] = []
        self._sizes: list[int] = []
        self._etags: list[str] = []

    def _end_chunk(self) -> None:
        if not self._paths:
            return
        try:
            paths = pa.array(self._paths, pa.string())
        except UnicodeEncodeError as error:
            raise self._not_utf8() from error
        sizes = pa.array(self._sizes, pa.int64())
        etags = pa.array(self._etags, pa.string())
        self._batches.append(pa.RecordBatch.from_arrays([paths, sizes, etags], schema=FILES_SCHEMA))
        self._start_chunk()

    def _not_utf8(self) -> PlanError:
        path = next(path for path in self._paths if not _is_utf8(path))
        shown = path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
        return PlanError(
            f"input {self._uri}: the file name {shown!r} is not UTF-8; rename the file, or start "
            "its name with '_' to leave it out",
            condition="INPUT_NAME_NOT_UTF8",
            uri=self._uri,
            path=shown,
        )


def _is_utf8(path: str) -> bool:
    try:
        path.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
