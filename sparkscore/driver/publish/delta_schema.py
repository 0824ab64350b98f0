"""The schema of results as Delta has it, and whether a table can take it. Spark driver."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from sparkscore.errors import InvalidFieldError, PublishError
from sparkscore.executor.result_types import common_type, type_name, type_named

_FORBIDDEN = frozenset(" ,;{}()\n\t=")


def delta_schema(schema: Any) -> Any:
    """``schema`` with types that Delta has: no unsigned integers, no times without zone.

    Raises PublishError (INVALID_COLUMN_NAME) for names that Delta does not take.
    """
    check_column_names(schema.names)
    return pa.schema([pa.field(field.name, _delta_type(field.type)) for field in schema])


def check_column_names(names: list[str]) -> None:
    """Refuses names that Delta refuses; Spark tells no upper case from lower case."""
    counts = Counter(name.lower() for name in names)
    for name in names:
        if not name or not _FORBIDDEN.isdisjoint(name) or counts[name.lower()] > 1:
            raise PublishError(
                f"column {name!r} cannot stand in a Delta table: names must differ in more than "
                "case and hold no blank, tab, line break or any of ,;{}()= - rename it in the "
                "scoring script, or choose another output_format",
                condition="INVALID_COLUMN_NAME",
                column=name,
            )


def _delta_type(kind: Any) -> Any:
    if pa.types.is_unsigned_integer(kind):
        wider = {8: pa.int16(), 16: pa.int32(), 32: pa.int64(), 64: pa.decimal128(20, 0)}
        return wider[kind.bit_width]
    if pa.types.is_timestamp(kind):
        return pa.timestamp("us", tz="UTC")
    return kind


def fit_to_table(schema: Any, *, table: str, columns: Mapping[str, str]) -> Any:
    """``schema`` with the names and types of a table's ``columns`` (to Spark SQL type names).

    Raises PublishError (TABLE_SCHEMA_MISMATCH) if a column is not there or too narrow.
    """
    known = {name.lower(): (name, kind) for name, kind in columns.items()}
    return pa.schema([_fitted_field(field, known, table) for field in schema])


def _fitted_field(field: Any, known: Mapping[str, tuple[str, str]], table: str) -> Any:
    name, kind_name = known.get(field.name.lower(), (field.name, "no such column"))
    try:
        kind = type_named(kind_name, column=name)
    except InvalidFieldError:
        kind = None
    if kind is not None and common_type(field.type, kind).equals(kind):
        return pa.field(field.name, kind)
    raise PublishError(
        f"table {table} cannot take column {field.name!r} of type {type_name(field.type)}: it has "
        f"{kind_name}; alter the table, declare output_schema, or choose another output_table",
        condition="TABLE_SCHEMA_MISMATCH",
        table=table,
        column=field.name,
        expected=kind_name,
        found=type_name(field.type),
    )
