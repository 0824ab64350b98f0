"""Rows of text from columns of text, without a Python object per value. Spark driver."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

MAX_CHUNK_BYTES = 64 * 1024 * 1024


def table_bytes(table: Any, render: Callable[[list[Any]], bytes]) -> bytes:
    """The text rows of a table: ``render`` turns the columns of a slice into bytes."""
    return b"".join(
        render([_one_array(column) for column in rows.columns]) for rows in _iter_slices(table)
    )


def _iter_slices(table: Any) -> Iterator[Any]:
    """The table in slices whose text stays well below the 2 GB of an Arrow string array."""
    if table.num_rows > 1 and table.nbytes > MAX_CHUNK_BYTES:
        middle = table.num_rows // 2
        yield from _iter_slices(table.slice(0, middle))
        yield from _iter_slices(table.slice(middle))
    elif table.num_rows:
        yield table


def _one_array(column: Any) -> Any:
    if column.num_chunks == 1:
        return column.chunk(0)
    combined = column.combine_chunks()
    return pa.concat_arrays(combined.chunks) if isinstance(combined, pa.ChunkedArray) else combined


def joined_bytes(strings: Any) -> bytes:
    """The strings of an array, one after the other."""
    if not len(strings):
        return b""
    offsets = memoryview(strings.buffers()[1]).cast("i")
    first, last = offsets[strings.offset], offsets[strings.offset + len(strings)]
    content: bytes = strings.buffers()[2].slice(first, last - first).to_pybytes()
    return content


def replace_texts(strings: Any, replacements: dict[str, str]) -> Any:
    """The strings with each key replaced by its value, one key after the other."""
    content = joined_bytes(strings)
    for old, new in replacements.items():
        if old.encode() in content:
            strings = pc.replace_substring(strings, old, new)
    return strings
