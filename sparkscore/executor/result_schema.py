"""The schema of results: what mini-batches have in common, and the cast to it. Any process.

A cast never loses anything; what does not fit is an error that names column, types and value.
Three conventions hold: a float NaN is a missing value where the pinned type has no NaN (pandas has
no other for it), a time without zone is UTC, and a pinned ``float`` rounds doubles to 32 bits.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sparkscore.errors import InvalidScoringResultError
from sparkscore.executor.result_types import (
    MAX_DECIMAL_PRECISION,
    common_type,
    plain_type,
    type_name,
    type_named,
)
from sparkscore.executor.text import text_array

INEXACT_AS_FLOAT = b"sparkscore.inexact_as_float"
"""Metadata key of an integer column with values that no double has: it never becomes one."""


def arrow_schema(columns: Mapping[str, str]) -> Any:
    """The Arrow schema of ``output_schema``: column names to Spark SQL type names.

    Raises InvalidFieldError (UNKNOWN_TYPE), naming column and type.
    """
    return pa.schema(
        [pa.field(name, type_named(kind, column=name)) for name, kind in columns.items()]
    )


def schema_to_bytes(schema: Any) -> bytes:
    """The schema as bytes, to travel in messages and closures."""
    return bytes(schema.serialize())


def schema_from_bytes(content: bytes) -> Any:
    """The schema that ``schema_to_bytes`` wrote."""
    return pa.ipc.read_schema(pa.py_buffer(content))


def common_schema(schemas: Iterable[Any]) -> Any:
    """What the results of several mini-batches have in common, without metadata.

    Columns in order of first appearance. Types widen: null to anything, integers to wider ones, to
    decimals and (where exact) to double, dates to timestamps; what has no common type is string.
    Decimals keep their scale and get room for more digits.
    """
    fields: dict[str, Any] = {}
    for schema in schemas:
        for field in schema:
            known = fields.get(field.name)
            fields[field.name] = field if known is None else _common_field(known, field)
    return pa.schema([pa.field(name, _settled_type(field.type)) for name, field in fields.items()])


def _settled_type(kind: Any) -> Any:
    plain = plain_type(kind)
    if pa.types.is_decimal(plain) and plain.precision <= MAX_DECIMAL_PRECISION:
        return pa.decimal128(MAX_DECIMAL_PRECISION, plain.scale)
    return pa.string() if pa.types.is_null(plain) else plain


def _common_field(left: Any, right: Any) -> Any:
    if left.type.equals(right.type) and not left.metadata and not right.metadata:
        return left
    is_inexact = _is_inexact(left) or _is_inexact(right)
    kind = common_type(left.type, right.type)
    if is_inexact and pa.types.is_floating(kind):
        kind = pa.string()
    metadata = {INEXACT_AS_FLOAT: b"1"} if is_inexact else None
    return pa.field(left.name, kind, metadata=metadata)


def _is_inexact(field: Any) -> bool:
    return bool(field.metadata) and INEXACT_AS_FLOAT in field.metadata


def cast_table(table: Any, schema: Any) -> Any:
    """The table with exactly the columns and types of ``schema``; a missing column is null.

    Raises InvalidScoringResultError (RESULT_SCHEMA_MISMATCH) for a column that ``schema`` does not
    have and for a value that its column's type cannot hold.
    """
    if table.schema.equals(schema, check_metadata=True):
        return table
    names = table.column_names
    if names != schema.names:
        _refuse_extra_columns(names, schema)
    columns = [
        _cast_column(table.column(field.name), field)
        if field.name in names
        else pa.nulls(table.num_rows, field.type)
        for field in schema
    ]
    return pa.Table.from_arrays(columns, schema=schema)


def _refuse_extra_columns(names: list[str], schema: Any) -> None:
    for name in names:
        if name not in schema.names:
            raise InvalidScoringResultError(
                f"column {name!r} is not in the result's schema ({', '.join(schema.names)}): "
                "return the same columns from every mini-batch, or declare them in output_schema",
                condition="RESULT_SCHEMA_MISMATCH",
                column=name,
                expected=None,
            )


def _cast_column(values: Any, field: Any) -> Any:
    if values.type.equals(field.type):
        return values
    if values.null_count == len(values):
        return pa.nulls(len(values), field.type)
    plain = _missing_for_nan(_decoded(values), field.type)
    if plain.null_count == len(plain):
        return pa.nulls(len(plain), field.type)
    for applies, cast in _CASTS:
        if applies(plain.type, field.type):
            return _checked(cast, plain, field)
    raise _mismatch(values, field, plain.drop_null()[0].as_py())


def _decoded(values: Any) -> Any:
    return values.cast(values.type.value_type) if pa.types.is_dictionary(values.type) else values


def _missing_for_nan(values: Any, kind: Any) -> Any:
    if not pa.types.is_floating(values.type) or pa.types.is_floating(kind):
        return values
    is_nan = pc.is_nan(values)
    if not pc.any(is_nan).as_py():
        return values
    return pc.if_else(is_nan, pa.scalar(None, values.type), values)


def _checked(cast: Callable[[Any, Any], Any], values: Any, field: Any) -> Any:
    """``cast`` of the whole column, or an error that names the first value it cannot do."""
    try:
        return cast(values, field.type)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return pa.array([_cast_value(value, values, field, cast) for value in values], field.type)


def _cast_value(value: Any, values: Any, field: Any, cast: Callable[[Any, Any], Any]) -> Any:
    if not value.is_valid:
        return None
    try:
        return cast(pa.array([value.as_py()], value.type), field.type)[0].as_py()
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        exact = _exact_value(value.as_py(), field.type)
        if exact is None:
            raise _mismatch(values, field, value.as_py()) from None
        return exact


def _exact_value(value: Any, kind: Any) -> Any:
    """What Arrow's cast refuses though it loses nothing, else None."""
    if pa.types.is_floating(kind) and isinstance(value, int):
        number = float(np.float32(value)) if kind.bit_width == 32 else float(value)
        return number if int(number) == value else None
    if pa.types.is_floating(kind) and isinstance(value, Decimal):
        is_exact = kind.bit_width == 32 or Decimal(repr(float(value))) == value
        return float(value) if is_exact else None
    if pa.types.is_decimal(kind) and isinstance(value, (int, float)):
        return _exact_decimal(Decimal(repr(value)), kind)
    return None


def _exact_decimal(value: Decimal, kind: Any) -> Decimal | None:
    try:
        pa.array([value], kind)
    except (pa.ArrowInvalid, InvalidOperation):
        return None
    return value


def _mismatch(values: Any, field: Any, value: Any) -> InvalidScoringResultError:
    shown = repr(value) if len(repr(value)) <= 80 else repr(value)[:77] + "..."
    expected, found = type_name(field.type), type_name(values.type)
    return InvalidScoringResultError(
        f"column {field.name!r} is pinned to {expected} by output_schema, the model's signature or "
        f"the first results, and cannot hold the {found} value {shown}: return one type from every "
        "mini-batch, or declare a wider one in output_schema",
        condition="RESULT_SCHEMA_MISMATCH",
        column=field.name,
        expected=expected,
        found=found,
        value=shown,
    )


def _safe_cast(values: Any, kind: Any) -> Any:
    return pc.cast(values, kind, safe=True)


def _cast_each(_values: Any, _kind: Any) -> Any:
    raise pa.ArrowInvalid("only value by value")


def _round_to_float(values: Any, kind: Any) -> Any:
    rounded = pc.cast(values, kind, safe=False)
    overflows = pc.and_(pc.is_inf(rounded), pc.is_finite(values))
    if pc.any(overflows).as_py():
        raise pa.ArrowInvalid("out of range")
    return rounded


def _day_cast(values: Any, kind: Any) -> Any:
    days = pc.cast(values, kind, safe=False)
    if not pc.all(pc.equal(pc.cast(days, values.type), values)).as_py():
        raise pa.ArrowInvalid("not midnight")
    return days


def _time_cast(values: Any, kind: Any) -> Any:
    if pa.types.is_timestamp(values.type) and values.type.tz and not kind.tz:
        raise pa.ArrowInvalid("has a zone")
    if pa.types.is_date(values.type):
        values = pc.cast(values, pa.timestamp("us"))
    return pc.cast(values, kind)


def _is_number(kind: Any) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))


_CASTS: tuple[tuple[Callable[[Any, Any], bool], Callable[[Any, Any], Any]], ...] = (
    (lambda _, to: pa.types.is_string(to), lambda values, _: text_array(values)),
    (
        lambda kind, to: pa.types.is_floating(kind) and to.equals(pa.float32()),
        _round_to_float,
    ),
    (lambda kind, to: _is_number(kind) and _is_number(to), _safe_cast),
    (lambda kind, to: pa.types.is_decimal(kind) and pa.types.is_floating(to), _cast_each),
    (lambda kind, to: pa.types.is_floating(kind) and pa.types.is_decimal(to), _cast_each),
    (lambda kind, to: pa.types.is_decimal(kind) and pa.types.is_integer(to), _safe_cast),
    (lambda kind, to: pa.types.is_decimal(to) and pa.types.is_decimal(kind), _safe_cast),
    (lambda kind, to: pa.types.is_decimal(to) and pa.types.is_integer(kind), _safe_cast),
    (lambda kind, to: pa.types.is_timestamp(kind) and pa.types.is_date(to), _day_cast),
    (lambda kind, to: pa.types.is_date(kind) and pa.types.is_timestamp(to), _time_cast),
    (lambda kind, to: pa.types.is_timestamp(kind) and pa.types.is_timestamp(to), _time_cast),
    (lambda kind, to: pa.types.is_large_string(kind) and pa.types.is_string(to), _safe_cast),
    (lambda kind, to: pa.types.is_large_binary(kind) and pa.types.is_binary(to), _safe_cast),
)
