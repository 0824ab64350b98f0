"""Tables as CSV text. Spark driver, without Spark.

Values are quoted only where they must be: those with a separator, quote or line break in them, and
the empty string, which is ``""`` while null is nothing at all. Quotes are doubled, lines end with
a line feed. Values are written by the rule of ``executor.text`` (True and False, NaN and inf, ISO
times, base64 for binary). With one column null is ``""`` too, because readers skip empty lines.
"""

from __future__ import annotations

import re
import string
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv

from sparkscore.driver.publish.text_rows import joined_bytes, table_bytes
from sparkscore.executor.text import text_array

_IN_PLAIN_VALUES = frozenset(string.ascii_letters + string.digits + "+-.:=/")


def header_line(schema: Any, *, separator: str) -> bytes:
    """The line of column names."""
    names = pa.Table.from_arrays([pa.array([name]) for name in schema.names], names=schema.names)
    return csv_bytes(names, separator=separator)


def csv_bytes(table: Any, *, separator: str) -> bytes:
    """The rows of the table as lines of CSV in UTF-8, without a header."""
    if not table.num_columns:
        return b"\n" * int(table.num_rows)
    return table_bytes(table, lambda columns: _lines(columns, separator))


def _lines(columns: list[Any], separator: str) -> bytes:
    needs_check = not _IN_PLAIN_VALUES.isdisjoint(separator)
    texts = [column if _is_native(column) else text_array(column) for column in columns]
    if not needs_check and len(separator.encode()) == 1 and not _has_empty(texts):
        try:
            return _plain_lines(texts, separator)
        except pa.ArrowInvalid:
            return _quoted_lines(texts, separator, needs_check)
    return _quoted_lines(texts, separator, needs_check)


def _is_native(column: Any) -> bool:
    """Whether Arrow's CSV writer follows the rule of ``executor.text`` for this column."""
    return bool(pa.types.is_integer(column.type) or pa.types.is_date(column.type))


def _has_empty(columns: list[Any]) -> bool:
    """Whether there are empty strings, or nulls that would be empty lines."""
    if len(columns) == 1 and columns[0].null_count:
        return True
    return any(
        pc.any(pc.equal(pc.binary_length(column), 0)).as_py()
        for column in columns
        if pa.types.is_string(column.type)
    )


def _plain_lines(columns: list[Any], separator: str) -> bytes:
    """The lines if no value needs quotes, else Arrow's writer raises ArrowInvalid."""
    table = pa.Table.from_arrays(columns, names=[str(i) for i in range(len(columns))])
    options = pacsv.WriteOptions(
        include_header=False, delimiter=separator, quoting_style="none", batch_size=65536
    )
    sink = pa.BufferOutputStream()
    pacsv.write_csv(table, sink, options)
    content: bytes = sink.getvalue().to_pybytes()
    return content


def _quoted_lines(columns: list[Any], separator: str, needs_check: bool) -> bytes:
    parts: list[Any] = []
    for column in columns:
        if _is_native(column) and not needs_check:
            texts = pc.cast(column, pa.string())
        else:
            texts = _quoted(text_array(column), separator)
        parts += [texts, separator]
    parts[-1] = "\n"
    lines = pc.binary_join_element_wise(
        *parts, "", null_handling="replace", null_replacement='""' if len(columns) == 1 else ""
    )
    return joined_bytes(lines)


def _quoted(texts: Any, separator: str) -> Any:
    special = rf'["\r\n]|{re.escape(separator)}|^$'
    needs_quotes = pc.match_substring_regex(texts, special)
    if not pc.any(needs_quotes).as_py():
        return texts
    doubled = pc.replace_substring(texts, '"', '""')
    return pc.if_else(needs_quotes, pc.binary_join_element_wise('"', doubled, '"', ""), texts)
