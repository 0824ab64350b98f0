"""The types that result columns have: their names, and what two types have in common. Any process.

Result columns have few types: null, boolean, integers, float, double, string, binary, date,
timestamp in microseconds (UTC or without zone) and decimal. ``results.results_table`` sees to it.
"""

from __future__ import annotations

import re
from typing import Any, Callable

import pyarrow as pa

from sparkscore.errors import InvalidFieldError

MAX_DECIMAL_PRECISION = 38

_UTC_TIMESTAMP = pa.timestamp("us", tz="UTC")

_TYPES_BY_NAME: dict[str, Any] = {
    "string": pa.string(),
    "boolean": pa.bool_(),
    "tinyint": pa.int8(),
    "byte": pa.int8(),
    "smallint": pa.int16(),
    "short": pa.int16(),
    "int": pa.int32(),
    "integer": pa.int32(),
    "bigint": pa.int64(),
    "long": pa.int64(),
    "float": pa.float32(),
    "real": pa.float32(),
    "double": pa.float64(),
    "date": pa.date32(),
    "timestamp": _UTC_TIMESTAMP,
    "timestamp_ntz": pa.timestamp("us"),
    "binary": pa.binary(),
}

_NAMES_BY_TYPE = {
    str(pa.int8()): "tinyint",
    str(pa.int16()): "smallint",
    str(pa.int32()): "int",
    str(pa.int64()): "bigint",
    str(pa.float32()): "float",
    str(pa.bool_()): "boolean",
    str(pa.date32()): "date",
    str(_UTC_TIMESTAMP): "timestamp",
    str(pa.timestamp("us")): "timestamp_ntz",
}

_DECIMAL_NAME = re.compile(r"(?:decimal|dec|numeric)(?:\(\s*(\d+)\s*(?:,\s*(\d+)\s*)?\))?")


_SETTLED = frozenset(
    str(kind)
    for kind in (
        *(pa.null(), pa.bool_(), pa.int8(), pa.int16(), pa.int32(), pa.int64()),
        *(pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64(), pa.float32(), pa.float64()),
        *(pa.string(), pa.binary(), pa.date32(), pa.timestamp("us"), _UTC_TIMESTAMP),
    )
)


def is_settled(kind: Any) -> bool:
    """Whether a result column may have this type as it is."""
    return str(kind) in _SETTLED or isinstance(kind, pa.Decimal128Type)


def type_name(kind: Any) -> str:
    """The Spark SQL name of a column type, or Arrow's own where Spark SQL has none."""
    if pa.types.is_decimal(kind):
        return f"decimal({kind.precision},{kind.scale})"
    return _NAMES_BY_TYPE.get(str(kind), str(kind))


def type_named(name: str, *, column: str) -> Any:
    """The Arrow type that a Spark SQL type name of ``output_schema`` stands for."""
    text = name.strip().lower()
    if text in _TYPES_BY_NAME:
        return _TYPES_BY_NAME[text]
    decimal = _DECIMAL_NAME.fullmatch(text)
    if decimal is not None:
        precision, scale = int(decimal.group(1) or 10), int(decimal.group(2) or 0)
        if 1 <= precision <= MAX_DECIMAL_PRECISION and scale <= precision:
            return pa.decimal128(precision, scale)
    raise InvalidFieldError(
        f"output_schema: column {column!r} has unknown type {name!r}; use one of "
        f"{', '.join(_TYPES_BY_NAME)} or decimal(precision,scale)",
        condition="UNKNOWN_TYPE",
        column=column,
        type=name,
    )


def plain_type(kind: Any) -> Any:
    """The type of the values that a dictionary or a large type holds."""
    if pa.types.is_dictionary(kind):
        return plain_type(kind.value_type)
    if pa.types.is_large_string(kind):
        return pa.string()
    if pa.types.is_large_binary(kind):
        return pa.binary()
    return kind


def common_type(left: Any, right: Any) -> Any:
    """The narrowest type that holds every value of both without loss, else string."""
    left, right = plain_type(left), plain_type(right)
    if left.equals(right) or pa.types.is_null(right):
        return left
    if pa.types.is_null(left):
        return right
    for applies, widened in _WIDENINGS:
        if applies(left) and applies(right):
            return widened(left, right)
    return pa.string()


def _common_integer(left: Any, right: Any) -> Any:
    if pa.types.is_signed_integer(left) == pa.types.is_signed_integer(right):
        return left if left.bit_width >= right.bit_width else right
    signed, unsigned = (left, right) if pa.types.is_signed_integer(left) else (right, left)
    if unsigned.bit_width == 64:
        return pa.decimal128(20, 0)
    bit_width = max(signed.bit_width, unsigned.bit_width * 2)
    return {16: pa.int16(), 32: pa.int32(), 64: pa.int64()}[bit_width]


def _common_number(_left: Any, _right: Any) -> Any:
    return pa.float64()


def _common_decimal(left: Any, right: Any) -> Any:
    (left_digits, left_scale), (right_digits, right_scale) = _digits(left), _digits(right)
    scale = max(left_scale, right_scale)
    precision = max(left_digits, right_digits) + scale
    return pa.decimal128(precision, scale) if precision <= MAX_DECIMAL_PRECISION else pa.string()


def _digits(kind: Any) -> tuple[int, int]:
    if pa.types.is_decimal(kind):
        return kind.precision - kind.scale, kind.scale
    return {8: 3, 16: 5, 32: 10, 64: 20}[kind.bit_width], 0


def _common_time(left: Any, right: Any) -> Any:
    has_zone = any(pa.types.is_timestamp(kind) and kind.tz for kind in (left, right))
    return _UTC_TIMESTAMP if has_zone else pa.timestamp("us")


def _is_number(kind: Any) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))


def _is_exact_number(kind: Any) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_decimal(kind))


def _is_time(kind: Any) -> bool:
    return bool(pa.types.is_date(kind) or pa.types.is_timestamp(kind))


_WIDENINGS: tuple[tuple[Callable[[Any], bool], Callable[[Any, Any], Any]], ...] = (
    (pa.types.is_integer, _common_integer),
    (_is_number, _common_number),
    (_is_exact_number, _common_decimal),
    (_is_time, _common_time),
)
