"""Reads what is known of a job's finished mini-batches, as columns. Control plane.

The ledger if it is complete, else what the driver told while it ran. What was read is kept for the
next look, so that a page that looks every two seconds reads only what is new. pyarrow and numpy in
functions.
"""

from __future__ import annotations

import dataclasses
import json
import math
import threading
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from sparkscore.control.jobs.errors import LEDGER, is_complete
from sparkscore.errors import MessageError
from sparkscore.messages.live_ledger import FIELDS, LIVE_LEDGER

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

_MOST_KEPT = 8
_TAIL_BYTES = 200

_KINDS: dict[str, type] = {
    **dict.fromkeys(("id", "inputs", "failed", "rows", "attempts", "retries", "process"), int),
    **dict.fromkeys(("started_at", "seconds"), float),
}
"""Types of columns that are no texts."""


@dataclass(frozen=True)
class Columns:
    """Finished mini-batches in the order of ``ids``, each once; all arrays have their length.

    ``hosts`` and ``conditions`` are texts by number; a condition's number is -1 where there was no
    error. ``is_failed`` says that retries were used up, or inputs failed.
    """

    ids: np.ndarray[Any, Any]
    is_failed: np.ndarray[Any, Any]
    inputs: np.ndarray[Any, Any]
    failed: np.ndarray[Any, Any]
    rows: np.ndarray[Any, Any]
    attempts: np.ndarray[Any, Any]
    retries: np.ndarray[Any, Any]
    started_at: np.ndarray[Any, Any]
    seconds: np.ndarray[Any, Any]
    process: np.ndarray[Any, Any]
    host: np.ndarray[Any, Any]
    condition: np.ndarray[Any, Any]
    hosts: tuple[str, ...]
    conditions: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.ids)

    def of_plan(self, count: int) -> Columns:
        """Those with ids from 0 up to ``count``: a plan has no others."""
        import numpy as np

        low, high = np.searchsorted(self.ids, [0, count]).tolist()
        if high - low == len(self):
            return self
        arrays: dict[str, Any] = {
            name: value[low:high]
            for name, value in vars(self).items()
            if isinstance(value, np.ndarray)
        }
        return dataclasses.replace(self, **arrays)


def read_columns(folder: Path) -> Columns:
    """What the job folder tells; empty where it tells nothing yet. Raises MessageError."""
    ledger, live = folder / LEDGER, folder / LIVE_LEDGER
    if is_complete(ledger):
        return _KEPT.read_ledger(ledger)
    return _KEPT.read_live(live)


@dataclass
class _Part:
    """What was read of one file: up to ``offset``, where it ended with ``tail``."""

    key: tuple[int, ...]
    offset: int = 0
    tail: bytes = b""
    table: pa.Table | None = None
    columns: Columns | None = None

    def read_on(self, stream: BinaryIO) -> Columns:
        """Take in the whole lines that were added.

        A file that another run has put in the place of the one that was read is read anew: it may
        have the same inode, and be longer.
        """
        import pyarrow as pa

        stream.seek(self.offset - len(self.tail))
        content = stream.read()
        if not content.startswith(self.tail):
            self.offset, self.tail, self.table, self.columns = 0, b"", None, None
            stream.seek(0)
            content = stream.read()
        added = content[len(self.tail) : content.rfind(b"\n") + 1]
        if added or self.table is None or self.columns is None:
            known = [] if self.table is None else [self.table]
            self.table = pa.concat_tables([*known, _parse_lines(added)]).combine_chunks()
            self.columns = _make_columns(self.table)
            self.offset += len(added)
            self.tail = (self.tail + added)[-_TAIL_BYTES:]
        return self.columns


class _Kept:
    """The files that were read last; safe for threads."""

    def __init__(self) -> None:
        self._parts: OrderedDict[Path, _Part] = OrderedDict()
        self._lock = threading.Lock()

    def read_ledger(self, file: Path) -> Columns:
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            status = file.stat()
            part = self._get(file, (status.st_ino, status.st_size, status.st_mtime_ns))
            if part.columns is None:
                table = pq.read_table(file, columns=["mini_batch_id", *FIELDS[1:]])
                part.columns = _make_columns(table.rename_columns(list(FIELDS)))
        except (OSError, pa.ArrowException) as error:
            raise MessageError(f"{file} cannot be read: {error}", where=str(file)) from error
        return part.columns

    def read_live(self, file: Path) -> Columns:
        try:
            with file.open("rb") as stream:
                part = self._get(file, ())
                with self._lock:
                    return part.read_on(stream)
        except FileNotFoundError:
            return _make_columns(_parse_lines(b""))
        except OSError as error:
            raise MessageError(f"{file} cannot be read: {error}", where=str(file)) from error

    def _get(self, file: Path, key: tuple[int, ...]) -> _Part:
        with self._lock:
            part = self._parts.pop(file, None)
            if part is None or part.key != key:
                part = _Part(key)
            self._parts[file] = part
            while len(self._parts) > _MOST_KEPT:
                self._parts.popitem(last=False)
            return part


_KEPT = _Kept()


def _get_schema() -> pa.Schema:
    import pyarrow as pa

    types = {int: pa.int64(), float: pa.float64(), str: pa.string()}
    return pa.schema([(name, types[_KINDS.get(name, str)]) for name in FIELDS])


def _parse_lines(content: bytes) -> pa.Table:
    """Whole lines; those that were torn are left out."""
    import pyarrow as pa

    schema = _get_schema()
    try:
        found = _parse_as_csv(content, schema)
        is_whole = found.num_rows == content.count(b"\n")  # a torn text takes the next line in
        if is_whole and _has_all(found):
            return found
    except pa.ArrowException:
        pass
    rows = list(filter(None, map(_find_row, content.splitlines())))
    columns = list(zip(*rows, strict=True)) or [()] * len(FIELDS)
    arrays = [pa.array(values, one.type) for values, one in zip(columns, schema, strict=True)]
    return pa.Table.from_arrays(arrays, schema=schema)


def _has_all(table: pa.Table) -> bool:
    """Whether each line has its values; times are numbers."""
    import pyarrow.compute as pc

    is_there = not any(table.column(name).null_count for name in FIELDS[:-1])
    times = (table.column(name) for name, kind in _KINDS.items() if kind is float)
    return is_there and all(pc.all(pc.is_finite(column)).as_py() is not False for column in times)


def _parse_as_csv(content: bytes, schema: pa.Schema) -> pa.Table:
    """Arrays of numbers and plain texts are CSV but for their brackets, and CSV is read fast.

    Raises ArrowInvalid for anything else.
    """
    import pyarrow as pa
    import pyarrow.csv as pacsv

    if not content.startswith(b"[") or not content.endswith(b"]\n") or b"\\" in content:
        raise pa.ArrowInvalid("not only plain lines")
    return pacsv.read_csv(
        pa.BufferReader(content[1:-2].replace(b"]\n[", b"\n")),
        read_options=pacsv.ReadOptions(column_names=list(FIELDS)),
        convert_options=pacsv.ConvertOptions(
            column_types=schema,
            null_values=["null"],
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
        ),
    )


def _find_row(line: bytes) -> list[Any] | None:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None
    is_row = isinstance(row, list) and len(row) == len(FIELDS)
    return row if is_row and all(map(_fits, FIELDS, row)) else None


def _fits(name: str, value: Any) -> bool:
    kind = _KINDS.get(name, str)
    if kind is int:
        return type(value) is int and abs(value) < 2**63
    if kind is float:
        return type(value) is float and math.isfinite(value)
    return type(value) is str or (name == "condition" and value is None)


def _make_columns(table: pa.Table) -> Columns:
    """Rows by id; of those of one id the last holds."""
    import numpy as np
    import pyarrow.compute as pc

    ids = table["id"].to_numpy()
    is_sorted = bool(np.all(ids[1:] > ids[:-1]))
    if not is_sorted:
        # Reversed, because the first of equal ones is what unique tells of.
        _, first = np.unique(ids[::-1], return_index=True)
        table = table.take(len(ids) - 1 - first)
    numbers = {
        name: table[name].to_numpy()
        for name in (
            *("inputs", "failed", "rows", "attempts", "retries", "started_at", "seconds"),
            "process",
        )
    }
    host, hosts = _encode(table["host"])
    condition, conditions = _encode(table["condition"])
    is_failed = pc.equal(table["status"], "failed").to_numpy(zero_copy_only=False)
    return Columns(
        ids=table["id"].to_numpy(),
        is_failed=is_failed.astype(bool) | (numbers["failed"] > 0),
        host=host,
        condition=condition,
        hosts=hosts,
        conditions=conditions,
        **numbers,
    )


def _encode(column: pa.ChunkedArray) -> tuple[np.ndarray[Any, Any], tuple[str, ...]]:
    """Numbers and the texts that they stand for; -1 for none."""
    encoded = column.combine_chunks().dictionary_encode()
    numbers = encoded.indices.cast("int64").fill_null(-1).to_numpy()
    return numbers, tuple(encoded.dictionary.to_pylist())
