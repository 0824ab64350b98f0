"""Reads tables for the MLflow script and gives their columns a signature's types. Script host.

Every function returns Arrow data. A file is read as it is; then each column of the signature is
cast, and a cell that does not fit makes its row bad instead of raising.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Callable, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.json as pa_json
import pyarrow.parquet as pq

from sparkscore.executor.times import WRAPS_TIMES, parse_times

BLOCK_BYTES = 16 * 1024 * 1024
MISSING_TEXTS = ["", "NA", "N/A", "NaN", "nan", "null", "NULL", "None"]
ARROW_TYPES = {
    "boolean": pa.bool_(),
    "integer": pa.int32(),
    "long": pa.int64(),
    "float": pa.float32(),
    "double": pa.float64(),
    "string": pa.string(),
    "binary": pa.binary(),
    "datetime": pa.timestamp("ns"),
}
SPELLINGS: tuple[tuple[Callable[[Any], bool], str], ...] = (
    (pa.types.is_integer, r"^-?[0-9]+$"),
    (pa.types.is_floating, r"^[-+]?([0-9.]+([eE][-+]?[0-9]+)?|(?i:inf|infinity))$"),
    (pa.types.is_boolean, r"^(?i:true|false|0|1)$"),
    (pa.types.is_timestamp, r"^[0-9]{4}-[0-9]{2}-[0-9]{2}([T ].*)?$"),
)


class UnusableInputError(Exception):
    """A file that cannot be scored; the message names it and, where it is one cell, the cell."""


class Column(NamedTuple):
    """A column for the model; ``label`` is the signature's type, ``type`` None passes as read."""

    name: str
    label: str
    type: Any
    required: bool


@dataclass
class Rows:
    """The rows of a file, at ``positions`` in it; ``bad`` says why a position cannot be scored."""

    names: list[str]
    table: Any
    positions: Any
    bad: dict[int, str] = field(default_factory=dict)

    def refuse(self, index: int, reason: str) -> None:
        """Note why the row at ``index`` of the table cannot be scored, unless that is known."""
        self.bad.setdefault(int(self.positions[index]), reason)


def read_csv(path: str, columns: list[Column] | None, needed: set[str] | None) -> Rows:
    """A CSV file: text, or inferred types without ``columns``; ragged rows are bad."""
    with open(path, encoding="utf-8-sig", newline="") as text:
        names = next((row for row in csv.reader(text) if row), [])
    if not names:
        return Rows([], pa.table({}), np.arange(0))
    as_bytes = {column.name for column in columns or [] if column.type == pa.binary()}
    types = {name: pa.binary() if name in as_bytes else pa.string() for name in names}
    ragged: list[Any] = []

    def skip_ragged(row: Any) -> str:
        ragged.append(row)
        return "skip"

    def read(types: dict[str, Any] | None) -> Any:
        ragged.clear()
        return pa_csv.read_csv(
            path,
            # The numbers of ragged rows are known to a single thread only.
            read_options=pa_csv.ReadOptions(use_threads=False, block_size=BLOCK_BYTES),
            parse_options=pa_csv.ParseOptions(
                newlines_in_values=True,
                invalid_row_handler=skip_ragged,
            ),
            convert_options=pa_csv.ConvertOptions(
                column_types=types,
                include_columns=[name for name in names if needed is None or name in needed],
                null_values=None if columns is None else [""],
                strings_can_be_null=True,
                quoted_strings_can_be_null=columns is None,
            ),
        )

    table = read(types) if columns is not None else _read_inferred(read)
    bad = {
        row.number - 2: f"{row.actual_columns} cells, but the header has {row.expected_columns}"
        for row in ragged
    }
    return Rows(names, table, np.delete(np.arange(len(table) + len(bad)), list(bad)), bad)


def _read_inferred(read: Callable[[dict[str, Any] | None], Any]) -> Any:
    """A CSV file with the types that Arrow finds; where it would find wrong times, with ours."""
    table = read(None)
    times = [field.name for field in table.schema if field.type == pa.timestamp("ns")]
    if not times or not WRAPS_TIMES:
        return table
    table = read(dict.fromkeys(times, pa.string()))
    for name in times:
        with suppress(pa.ArrowInvalid):
            parsed = parse_times(table[name], pa.timestamp("ns"))
            table = table.set_column(table.schema.get_field_index(name), name, parsed)
    return table


def read_parquet(path: str, _columns: list[Column] | None, needed: set[str] | None) -> Rows:
    """A Parquet file, without the index that pandas may have written."""
    with pq.ParquetFile(path) as file:
        names = [name for name in file.schema_arrow.names if not name.startswith("__index_level_")]
        table = file.read([name for name in names if needed is None or name in needed])
    return Rows(names, table, np.arange(len(table)))


def read_jsonl(path: str, columns: list[Column] | None, _needed: set[str] | None) -> Rows:
    """A JSON Lines file; line by line where Arrow cannot read it or a required column is null."""
    typed = [column for column in columns or [] if column.name and column.type is not None]
    by_us = (pa.timestamp("ns"), pa.binary())
    fields = [(c.name, pa.string() if c.type in by_us else c.type) for c in typed]
    try:
        table = pa_json.read_json(
            path,
            read_options=pa_json.ReadOptions(block_size=BLOCK_BYTES),
            parse_options=pa_json.ParseOptions(explicit_schema=pa.schema(fields)),
        )
    except pa.ArrowInvalid:
        return read_json_lines(path, typed)
    if any(c.required and table[c.name].null_count == len(table) for c in typed):
        return read_json_lines(path, typed)
    return Rows(table.column_names, table, np.arange(len(table)))


def read_json_lines(path: str, typed: list[Column]) -> Rows:
    """A JSON Lines file in which values differ in type or lines are no objects."""
    objects: dict[int, dict[str, Any]] = {}
    bad: dict[int, str] = {}
    with open(path, encoding="utf-8-sig") as lines:
        for row, line in enumerate(line for line in lines if line.strip()):
            try:
                objects[row] = dict(json.loads(line).items())
            except (ValueError, AttributeError):
                bad[row] = f"{line.strip()[:80]!r} is not a JSON object"
    names = list(dict.fromkeys(name for values in objects.values() for name in values))
    types = {column.name: column.type for column in typed}
    rows = Rows(names, pa.table({}), np.array(list(objects), np.int64), bad)
    arrays = {}
    for name in names:
        values = [item.get(name) for item in objects.values()]
        is_typed = name in types
        arrays[name] = _to_text(rows, name, values, types[name]) if is_typed else to_arrow(values)
    rows.table = pa.table(arrays)
    return rows


def _to_text(rows: Rows, name: str, values: list[Any], kind: Any) -> Any:
    """JSON values as text that will be parsed, so that no number loses digits before."""
    for index, value in enumerate(values):
        if kind == pa.string() and not isinstance(value, (str, type(None))):
            rows.refuse(index, f"column {name!r}: {value!r} is not a string")
    return pa.array([_render(value) for value in values], pa.string())


def _render(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, default=str)


def to_arrow(values: Any) -> Any:
    """Results or JSON values as an Arrow array; text where they have no common type."""
    try:
        return pa.array(values, from_pandas=True)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, OverflowError):
        return pa.array([_render(value) for value in values], pa.string())


READERS: dict[str, Callable[[str, list[Column] | None, set[str] | None], Rows]] = {
    ".csv": read_csv,
    ".parquet": read_parquet,
    ".pqt": read_parquet,
    ".jsonl": read_jsonl,
}


def find_columns(
    names: list[str], columns: list[Column], copied: Iterable[str], *, file: str
) -> list[Column]:
    """The columns that the model gets: those it requires and the copied ones must stand once."""
    needed = [column.name for column in columns if column.required or column.name in names]
    for name in dict.fromkeys([*needed, *copied]):
        if names.count(name) != 1:
            what = "stands more than once" if name in names else "is missing"
            found = ", ".join(names)
            raise UnusableInputError(f"{file}: column {name!r} {what}; its columns are: {found}")
    return [column for column in columns if column.name in names or column.type is not None]


def fit_column(rows: Rows, column: Column, *, file: str) -> None:
    """Give a column its signature's type; rows with cells that do not fit become bad."""
    if column.name not in rows.table.column_names:
        nulls = pa.nulls(len(rows.table), column.type)
        rows.table = rows.table.append_column(column.name, nulls)
    elif column.type is not None:
        index = rows.table.column_names.index(column.name)
        values = rows.table.column(index)
        fitted, unfit = _cast(values, column, file)
        if column.required and fitted.null_count and not _holds_null(column.type):
            unfit |= set(np.flatnonzero(fitted.is_null()).tolist())
        for position in unfit:
            rows.refuse(position, _render_misfit(column, values[position].as_py()))
        rows.table = rows.table.set_column(index, column.name, fitted)


def _holds_null(kind: Any) -> bool:
    return not (pa.types.is_integer(kind) or pa.types.is_boolean(kind))


def _render_misfit(column: Column, value: Any) -> str:
    label = f"{'an' if column.label.startswith(('i', 'u')) else 'a'} {column.label}"
    shown = repr(value) if len(repr(value)) <= 80 else f"{repr(value)[:77]}..."
    if value is None:
        return f"column {column.name!r}: no value, it must be {label}"
    relation = "is not" if isinstance(value, str) else "does not fit"
    return f"column {column.name!r}: {shown} {relation} {label}"


def _cast(values: Any, column: Column, file: str) -> tuple[Any, set[int]]:
    """The column in its signature's type, and the indices of cells that do not fit (now null)."""
    if values.type == column.type:
        return values, set()
    if pa.types.is_dictionary(values.type):
        values = values.cast(values.type.value_type)
    kind = _kind(values.type)
    if kind not in ("text", "null", _kind(column.type)) or kind == "other":
        text = f"{file}: column {column.name!r} has type {values.type}, not {column.label}"
        raise UnusableInputError(text)
    pieces: list[Any] = []
    unfit: set[int] = set()
    for chunk in values.chunks:
        start = sum(len(piece) for piece in pieces)
        pieces += _cast_chunk(chunk, column.type, start, unfit)
    return pa.chunked_array(pieces, column.type), unfit


def _kind(kind: Any) -> str:
    """What can be cast to each other without a change of meaning."""
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return "text"
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind):
        return "number"
    if pa.types.is_decimal(kind):
        return "number"
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        return "time"
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        return "binary"
    return "null" if pa.types.is_null(kind) else "other"


def _cast_chunk(values: Any, kind: Any, start: int, unfit: set[int]) -> list[Any]:
    """Cast in one go, else without the cells that cannot be cast; their indices go to ``unfit``."""
    is_text = _kind(values.type) == "text"
    cast = _parse if is_text else _convert
    try:
        return [cast(values, kind)]
    except pa.ArrowInvalid:
        values = _tidy(values, kind) if is_text else _without_nan(values, kind)
    misfits = pc.fill_null((_is_no_spelling if is_text else _is_changed)(values, kind), False)
    unfit.update((start + np.flatnonzero(misfits)).tolist())
    values = pc.if_else(misfits, pa.scalar(None, values.type), values)
    return _bisect(values, lambda part: cast(part, kind), start, unfit)


def _bisect(values: Any, cast: Callable[[Any], Any], start: int, unfit: set[int]) -> list[Any]:
    """Cast what can be cast, halving what cannot."""
    try:
        return [cast(values)]
    except pa.ArrowInvalid:
        if len(values) == 1:
            unfit.add(start)
            return [cast(pa.nulls(1, values.type))]
        half = len(values) // 2
        first = _bisect(values[:half], cast, start, unfit)
        return first + _bisect(values[half:], cast, start + half, unfit)


def _tidy(text: Any, kind: Any) -> Any:
    """Text without blanks around it, spellings of null, and forms of integers beyond digits."""
    if pa.types.is_string(kind) or pa.types.is_binary(kind):
        return text
    text = pc.utf8_trim_whitespace(text.cast(pa.string()))
    text = pc.if_else(pc.is_in(text, pa.array(MISSING_TEXTS)), pa.scalar(None, pa.string()), text)
    if pa.types.is_integer(kind):
        return pc.replace_substring_regex(text, r"^\+?(-?[0-9]+)(\.0*)?$", r"\1")
    return text


def _is_no_spelling(text: Any, kind: Any) -> Any:
    """Where text cannot be a value of the type at all; what is left may still be out of range."""
    spelling = next((spelling for applies, spelling in SPELLINGS if applies(kind)), "")
    return pc.invert(pc.match_substring_regex(text, spelling))


def _parse(text: Any, kind: Any) -> Any:
    """Text as another type; raises ArrowInvalid if a cell is no such value."""
    if pa.types.is_integer(kind) and pc.any(pc.match_substring_regex(text, "[xX]")).as_py():
        raise pa.ArrowInvalid("Arrow would read hexadecimal digits")
    if pa.types.is_timestamp(kind):
        return parse_times(text, kind)
    return _without_nan(text.cast(kind), None)


def _convert(values: Any, kind: Any) -> Any:
    """Numbers, times and bytes as another type; raises ArrowInvalid if a value would change."""
    values = _without_nan(values, kind)
    converted = values.cast(kind)
    if pc.any(_is_changed(values, kind)).as_py():
        raise pa.ArrowInvalid("a value would change")
    return converted


def _without_nan(values: Any, kind: Any) -> Any:
    """Floats with null for NaN, which no type but floats can hold."""
    if not pa.types.is_floating(values.type) or (kind and pa.types.is_floating(kind)):
        return values
    return pc.if_else(pc.is_nan(values), pa.scalar(None, values.type), values)


def _is_changed(values: Any, kind: Any) -> Any:
    """Where a number is another one after the cast; decimals may be rounded, as MLflow does."""
    if _kind(values.type) != "number" or pa.types.is_decimal(values.type):
        return pa.array(np.zeros(len(values), bool))
    changed = pc.not_equal(values.cast(kind, safe=False).cast(values.type, safe=False), values)
    if pa.types.is_floating(values.type):
        return pc.and_(changed, pc.invert(pc.is_nan(values)))
    return changed
