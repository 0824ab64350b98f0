"""One result column from what a script returned, as an Arrow array. Script host, Python worker.

The types of the column are few (see ``result_types``): nested values become JSON text, values
without a type in common or of a class that Arrow does not know become text by the rule of ``text``.
Times are kept to the microsecond, Spark's resolution.
"""

from __future__ import annotations

from datetime import date, datetime, timezone
from decimal import Decimal
from functools import lru_cache
from typing import Any, Callable

import numpy as np
import pandas as pd
import pyarrow as pa

from sparkscore.errors import InvalidScoringResultError
from sparkscore.executor.json_text import json_text
from sparkscore.executor.result_types import MAX_DECIMAL_PRECISION, is_settled
from sparkscore.executor.text import text_array

_KINDS: tuple[tuple[Any, str], ...] = (
    ((type(None), type(pd.NA), type(pd.NaT)), "null"),
    (np.generic, "numpy"),
    (bool, "bool"),
    (int, "int"),
    (float, "float"),
    (str, "str"),
    ((bytes, bytearray, memoryview), "bytes"),
    (datetime, "datetime"),
    (date, "date"),
    (Decimal, "decimal"),
    ((list, tuple, dict, np.ndarray, pd.Series, pd.Index, pd.DataFrame), "nested"),
)

_UTC_TIMESTAMP = pa.timestamp("us", tz="UTC")


def _kind(value: Any) -> str:
    cls: Any = type(value)
    return _kind_of(cls)


@lru_cache(maxsize=1024)
def _kind_of(cls: Any) -> str:
    for classes, kind in _KINDS:
        if issubclass(cls, classes):
            return kind
    return "object"


def list_column(values: list[Any]) -> Any:
    """The column of these Python values; None, NA and NaT are null, a float NaN stays one."""
    types: set[Any] = set(map(type, values))
    kinds = {_kind_of(cls) for cls in types}
    if "numpy" in kinds:
        if len(types) == 1:
            return numpy_column(np.array(values))
        return list_column([_unboxed(value) for value in values])
    if "null" in kinds:
        kinds.discard("null")
        values = [None if _kind(value) == "null" else value for value in values]
    if not kinds:
        return pa.nulls(len(values))
    if "float" in kinds and not kinds <= {"float", "int"}:
        values, kinds = _without_nan(values)
    build = _BUILDERS.get(frozenset(kinds))
    column = None if build is None else build(values)
    return _text_column(values) if column is None else column


def _unboxed(value: Any) -> Any:
    if not isinstance(value, np.generic):
        return value
    if isinstance(value, np.datetime64):
        return pd.Timestamp(value)
    if isinstance(value, np.timedelta64):
        return pd.Timedelta(value)
    if isinstance(value, np.longdouble):
        return float(value)
    return value.item()


def _without_nan(values: list[Any]) -> tuple[list[Any], set[str]]:
    """NaN beside values that are no numbers is how pandas writes a missing one."""
    plain = [None if isinstance(value, float) and value != value else value for value in values]
    return plain, {_kind(value) for value in plain} - {"null"}


def _boolean_column(values: list[Any]) -> Any:
    return pa.array(values, pa.bool_())


def _integer_column(values: list[Any]) -> Any:
    for kind in (pa.int64(), pa.uint64()):
        try:
            return pa.array(values, kind)
        except (OverflowError, pa.ArrowInvalid):
            continue
    return None


def _float_column(values: list[Any]) -> Any:
    return pa.array(values, pa.float64())


def _number_column(values: list[Any]) -> Any:
    if all(type(value) is not int or abs(value) <= 2**53 for value in values):
        return pa.array([None if value is None else float(value) for value in values], pa.float64())
    return None


def _string_column(values: list[Any]) -> Any:
    try:
        return pa.array(values, pa.string())
    except UnicodeEncodeError:
        return pa.array([None if value is None else _valid_text(value) for value in values])


def _valid_text(text: str) -> str:
    """The text with halves of surrogate pairs, which no encoding has, replaced."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _binary_column(values: list[Any]) -> Any:
    return pa.array([None if value is None else bytes(value) for value in values], pa.binary())


def _date_column(values: list[Any]) -> Any:
    return pa.array(values, pa.date32())


def _timestamp_column(values: list[Any]) -> Any:
    times = [None if value is None else _plain_time(value) for value in values]
    if not any(time is not None and time.tzinfo is not None for time in times):
        return pa.array(times, pa.timestamp("us"))
    return pa.array([None if time is None else _utc(time) for time in times], _UTC_TIMESTAMP)


def _plain_time(value: Any) -> datetime:
    if isinstance(value, pd.Timestamp):
        return value.to_pydatetime(warn=False)
    if isinstance(value, datetime):
        return value
    return datetime(value.year, value.month, value.day)  # noqa: DTZ001 - a date has no zone


def _utc(time: datetime) -> datetime:
    if time.tzinfo is None:
        return time.replace(tzinfo=timezone.utc)
    return time.astimezone(timezone.utc)


def _decimal_column(values: list[Any]) -> Any:
    decimals = [None if value is None else Decimal(value) for value in values]
    if any(value is not None and value.is_infinite() for value in decimals):
        return None
    try:
        column = pa.array([None if _is_nan(value) else value for value in decimals])
    except pa.ArrowInvalid:
        return None
    if pa.types.is_null(column.type) or isinstance(column.type, pa.Decimal128Type):
        return column
    return None


def _is_nan(value: Decimal | None) -> bool:
    return value is not None and value.is_nan()


_BUILDERS: dict[frozenset[str], Callable[[list[Any]], Any]] = {
    frozenset({"bool"}): _boolean_column,
    frozenset({"int"}): _integer_column,
    frozenset({"float"}): _float_column,
    frozenset({"int", "float"}): _number_column,
    frozenset({"str"}): _string_column,
    frozenset({"bytes"}): _binary_column,
    frozenset({"date"}): _date_column,
    frozenset({"datetime"}): _timestamp_column,
    frozenset({"date", "datetime"}): _timestamp_column,
    frozenset({"decimal"}): _decimal_column,
    frozenset({"decimal", "int"}): _decimal_column,
}


def _text_column(values: list[Any]) -> Any:
    return _string_column([None if value is None else _text(value) for value in values])


def _text(value: Any) -> str | None:
    kind = _kind(value)
    if kind == "str":
        return str.__str__(value)
    if kind == "nested":
        return json_text(value)
    if kind == "decimal":
        return format(value, "f")
    if kind in ("object", "int", "bool"):
        return _object_text(value)
    column = _BUILDERS[frozenset({kind})]([value])
    if column is None:
        return _object_text(value)
    text: str | None = text_array(column)[0].as_py()
    return text


def _object_text(value: Any) -> str:
    try:
        return str(value)
    except Exception as error:
        raise InvalidScoringResultError(
            f"a result of class {type(value).__name__} has no text ({error!r}): return numbers, "
            "strings, dates or dicts",
            condition="RESULT_WITHOUT_TEXT",
            type=type(value).__name__,
        ) from error


def numpy_column(values: Any) -> Any:
    """The column of a one-dimensional NumPy array."""
    kind = values.dtype.kind
    if isinstance(values, np.ma.MaskedArray) or kind in "OUcV":
        return list_column(values.tolist())
    if kind == "m":
        return list_column(list(pd.Series(values)))
    if kind == "S":
        return pa.array(values.tolist(), pa.binary())
    if not values.dtype.isnative:
        values = values.astype(values.dtype.newbyteorder("="))
    if kind == "f" and values.dtype.itemsize not in (4, 8):
        values = values.astype(np.float32 if values.dtype.itemsize == 2 else np.float64)
    if kind == "M" and np.datetime_data(values.dtype)[0] not in ("D", "s", "ms", "us", "ns"):
        values = values.astype("datetime64[s]")
    return arrow_column(pa.array(values))


def series_column(values: Any) -> Any:
    """The column of a pandas Series or Index, whatever its dtype."""
    dtype = values.dtype
    if isinstance(dtype, np.dtype):
        return numpy_column(values.to_numpy())
    if isinstance(dtype, pd.CategoricalDtype):
        categorical = values.array
        missing = categorical.codes < 0
        indices = pa.array(categorical.codes, mask=missing)
        return series_column(categorical.categories).take(indices)
    try:
        column = pa.array(values.array)
        if not isinstance(column.type, pa.BaseExtensionType):
            return arrow_column(column)
    except (pa.ArrowException, UnicodeError, TypeError, ValueError, NotImplementedError):
        pass
    return list_column(values.tolist())


def arrow_column(values: Any) -> Any:
    """The column of an Arrow array or chunked array, of a type that results can have."""
    kind = values.type
    if is_settled(kind):
        return values
    for applies, settle in _SETTLERS:
        if applies(kind):
            return settle(values)
    return list_column(values.to_pylist())


def _stored(values: Any) -> Any:
    return arrow_column(values.cast(values.type.storage_type))


def _decoded(values: Any) -> Any:
    return arrow_column(values.cast(values.type.value_type))


def _timestamp_cast(values: Any) -> Any:
    kind = values.type
    target = _UTC_TIMESTAMP if kind.tz else pa.timestamp("us")
    try:
        return values.cast(target, safe=kind.unit != "ns")
    except pa.ArrowInvalid:
        return values.cast(pa.string())


def _cast_to(kind: Any) -> Callable[[Any], Any]:
    return lambda values: values.cast(kind)


def _decimal_cast(values: Any) -> Any:
    if values.type.precision <= MAX_DECIMAL_PRECISION:
        return values.cast(pa.decimal128(values.type.precision, values.type.scale))
    return text_array(values)


def _is_wide_binary(kind: Any) -> bool:
    return bool(pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind))


_SETTLERS: tuple[tuple[Callable[[Any], bool], Callable[[Any], Any]], ...] = (
    (lambda kind: isinstance(kind, pa.BaseExtensionType), _stored),
    (pa.types.is_dictionary, _decoded),
    (pa.types.is_timestamp, _timestamp_cast),
    (pa.types.is_date, _cast_to(pa.date32())),
    (pa.types.is_large_string, _cast_to(pa.string())),
    (_is_wide_binary, _cast_to(pa.binary())),
    (pa.types.is_float16, _cast_to(pa.float32())),
    (pa.types.is_decimal, _decimal_cast),
)
