"""Reads JSON Lines that a job published as an Arrow table. Control plane; pyarrow in functions.

Line by line with the standard library: Arrow's own reader ends the process on some lines that are
no objects, and files may have been changed since they were written.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from itertools import islice
from typing import Any

_ROWS_AT_ONCE = 20_000


def read_json_lines(file: Any, schema: Any) -> Any:
    """The objects in ``file``, open for bytes, with the columns of ``schema``; other keys are left.

    Without a schema (None) all keys are columns, of the types that their values have. Raises
    ValueError, RecursionError or ArrowException for what does not fit.
    """
    import pyarrow as pa

    if schema is None:
        rows = list(_iter_objects(file, has_decimals=False))
        names = dict.fromkeys(name for row in rows for name in row)
        return pa.table({name: _infer([row.get(name) for row in rows]) for name in names})
    has_decimals = any(pa.types.is_decimal(field.type) for field in schema)
    objects = _iter_objects(file, has_decimals=has_decimals)
    batches = []
    while rows := list(islice(objects, _ROWS_AT_ONCE)):
        columns = [_make_column([row.get(field.name) for row in rows], field) for field in schema]
        batches.append(pa.RecordBatch.from_arrays(columns, schema=schema))
    return pa.Table.from_batches(batches, schema=schema)


def _iter_objects(file: Any, *, has_decimals: bool) -> Iterator[dict[str, Any]]:
    parse_float = Decimal if has_decimals else None
    for number, line in enumerate(file, start=1):
        if not line.strip():
            continue
        try:
            value = json.loads(line, parse_float=parse_float)
        except ValueError as error:
            raise ValueError(f"line {number} is no JSON: {error}") from error
        if not isinstance(value, dict):
            raise ValueError(f"line {number} is no JSON object")
        yield value


def _make_column(values: list[Any], field: Any) -> Any:
    import pyarrow as pa

    try:
        if not pa.types.is_boolean(field.type) and any(isinstance(each, bool) for each in values):
            raise ValueError("a value is true or false")
        if pa.types.is_floating(field.type):
            # Whole numbers may be larger than a float holds exactly, and decimals are asked for.
            numbers = (int, Decimal)
            values = [float(each) if isinstance(each, numbers) else each for each in values]
        return pa.array(values, field.type)
    except (pa.ArrowException, ValueError, OverflowError) as error:
        raise ValueError(f"column {field.name!r} is no {field.type}: {error}") from error


def _infer(values: list[Any]) -> Any:
    """Texts that are all times become times."""
    import pyarrow as pa

    column = pa.array(values)
    if pa.types.is_string(column.type) and column.null_count < len(column):
        try:
            return column.cast(pa.timestamp("s"))
        except pa.ArrowInvalid:
            return column
    return column
