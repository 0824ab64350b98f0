"""The first rows of files, as texts for people. Control plane.

However large a file is, at most READ_BYTES of a text file are read, and of a Parquet file what its
first rows need.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sparkscore.control.jobs.parquet_child import MOST_COLUMNS as MOST_COLUMNS
from sparkscore.control.jobs.parquet_child import MOST_LETTERS as MOST_LETTERS
from sparkscore.control.jobs.parquet_child import cut, render_cell
from sparkscore.control.jobs.parquet_rows import read_parquet_head

READ_BYTES = 1024**2

Opener = Callable[[], Any]
"""Opens a file for reading bytes; the result is seekable and a context manager."""


@dataclass(frozen=True)
class FirstRows:
    """Cells as texts, None for a missing value. ``has_more`` if rows or columns are left out."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str | None, ...], ...]
    has_more: bool = False


def read_csv_rows(
    opener: Opener, *, count: int, separator: str = ",", has_header: bool = True
) -> FirstRows:
    """The first rows of a CSV file; columns without a header are called 1, 2, 3..."""
    text, is_cut = read_text(opener, most_bytes=READ_BYTES)
    found: list[list[str]] = []
    wanted = count + int(has_header) + 1
    for row in _parse_csv(text, separator):
        found.append(row)
        if len(found) == wanted:
            break
    else:
        # The last line may be torn where reading stopped.
        found = found[:-1] if is_cut else found
    header = found.pop(0) if has_header and found else []
    width = max((len(row) for row in found), default=len(header))
    names = header or [str(number) for number in range(1, width + 1)]
    rows = [[*row, *[None] * (len(names) - len(row))] for row in found[:count]]
    return _make(names, rows, has_more=is_cut or len(found) > count)


def read_json_rows(opener: Opener, *, count: int) -> FirstRows:
    """The first rows of a file with a JSON object on each line."""
    text, is_cut = read_text(opener, most_bytes=READ_BYTES)
    lines = text.split("\n")
    if is_cut or not lines[-1]:
        lines.pop()
    objects: list[dict[str, Any]] = []
    for line in lines[:count]:
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            value = {"": line}
        objects.append(value if isinstance(value, dict) else {"": value})
    names = list(dict.fromkeys(name for row in objects for name in row))
    rows = [[row.get(name) for name in names] for row in objects]
    return _make(names, rows, has_more=is_cut or len(lines) > count)


def read_parquet_rows(opener: Opener, *, count: int) -> FirstRows:
    """The first rows of a Parquet file; raises ArrowInvalid or OSError."""
    with opener() as stream:
        found = read_parquet_head(stream, count=count)
    rows = tuple(tuple(row) for row in found["rows"])
    return FirstRows(tuple(found["columns"]), rows, has_more=found["has_more"])


def read_text(opener: Opener, *, most_bytes: int) -> tuple[str, bool]:
    """The beginning of a file as text, and whether there is more of it."""
    with opener() as stream:
        content = stream.read(most_bytes + 1)
    text = content[:most_bytes].decode("utf-8-sig", errors="replace")
    return text, len(content) > most_bytes


def _parse_csv(text: str, separator: str) -> Iterable[list[str]]:
    """Rows; a text that is no CSV is split at line ends."""
    lines = io.StringIO(text, newline="")
    if len(separator) != 1 or separator in "\r\n":
        return (line.rstrip("\r\n").split(separator or ",") for line in lines)
    csv.field_size_limit(2**31 - 1)
    return csv.reader(lines, delimiter=separator)


def _make(names: Sequence[str], rows: Sequence[Sequence[Any]], *, has_more: bool) -> FirstRows:
    kept = names[:MOST_COLUMNS]
    return FirstRows(
        columns=tuple(cut(str(name)) for name in kept),
        rows=tuple(tuple(map(render_cell, row[: len(kept)])) for row in rows),
        has_more=has_more or len(names) > len(kept),
    )
