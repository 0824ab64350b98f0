"""What results have in common, and the cast to it."""

from __future__ import annotations

import math
from datetime import date, datetime, timezone
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkscore.errors import InvalidFieldError, InvalidScoringResultError
from sparkscore.executor.result_schema import (
    arrow_schema,
    cast_table,
    common_schema,
    schema_from_bytes,
    schema_to_bytes,
)
from sparkscore.executor.result_types import type_name
from sparkscore.executor.results import results_table

NAIVE = pa.timestamp("us")
UTC = pa.timestamp("us", tz="UTC")
NOON = datetime(2024, 1, 2, 12)  # noqa: DTZ001 - results may have no zone
MIDNIGHT = datetime(2024, 1, 2)  # noqa: DTZ001 - results may have no zone


def schema(**columns: pa.DataType) -> pa.Schema:
    return pa.schema(list(columns.items()))


def cast(values: list[object], kind: pa.DataType, to: pa.DataType) -> list[object]:
    found = cast_table(pa.table({"x": pa.array(values, kind)}), schema(x=to))
    assert found.schema == schema(x=to)
    values_found: list[object] = found.column("x").to_pylist()
    return values_found


# Common schema


def test_common_schema__columns_in_order_of_first_appearance() -> None:
    found = common_schema([schema(b=pa.int64(), a=pa.string()), schema(c=pa.bool_(), b=pa.int64())])
    assert found.names == ["b", "a", "c"]


@pytest.mark.parametrize(
    ("left", "right", "common"),
    [
        (pa.null(), pa.int64(), pa.int64()),
        (pa.null(), pa.null(), pa.string()),
        (pa.int8(), pa.int32(), pa.int32()),
        (pa.uint8(), pa.uint16(), pa.uint16()),
        (pa.int8(), pa.uint8(), pa.int16()),
        (pa.int64(), pa.uint32(), pa.int64()),
        (pa.int64(), pa.uint64(), pa.decimal128(38, 0)),
        (pa.int64(), pa.float32(), pa.float64()),
        (pa.float32(), pa.float64(), pa.float64()),
        (pa.bool_(), pa.int64(), pa.string()),
        (pa.int64(), pa.string(), pa.string()),
        (pa.large_string(), pa.string(), pa.string()),
        (pa.large_string(), pa.large_string(), pa.string()),
        (pa.dictionary(pa.int8(), pa.int64()), pa.int64(), pa.int64()),
        (pa.decimal128(5, 2), pa.decimal128(6, 4), pa.decimal128(38, 4)),
        (pa.decimal128(5, 2), pa.int64(), pa.decimal128(38, 2)),
        (pa.decimal128(38, 2), pa.decimal128(38, 30), pa.string()),
        (pa.decimal128(5, 2), pa.float64(), pa.string()),
        (pa.date32(), NAIVE, NAIVE),
        (NAIVE, UTC, UTC),
        (pa.date32(), pa.int32(), pa.string()),
        (pa.binary(), pa.string(), pa.string()),
        (pa.binary(), pa.large_binary(), pa.binary()),
    ],
    ids=str,
)
def test_common_schema__types_widen(
    left: pa.DataType, right: pa.DataType, common: pa.DataType
) -> None:
    for pair in ((left, right), (right, left)):
        found = common_schema([schema(x=kind) for kind in pair])
        assert found == schema(x=common)


def test_common_schema__integers_that_no_float_has_become_text() -> None:
    large = results_table([2**53 + 1]).table
    fraction = results_table([0.5]).table
    pinned = common_schema([fraction.schema, large.schema])
    assert pinned == schema(prediction=pa.string())
    assert cast_table(large, pinned).to_pydict() == {"prediction": [str(2**53 + 1)]}


def test_common_schema__has_no_metadata() -> None:
    found = common_schema([results_table([2**60]).table.schema])
    assert found.field(0).metadata is None


VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**64 - 1),
    st.floats(),
    st.text(max_size=3),
    st.dates(),
    st.datetimes(timezones=st.sampled_from([None, timezone.utc])),
    st.decimals(allow_nan=False, allow_infinity=False, places=2, min_value=-999, max_value=999),
    st.binary(max_size=3),
    st.lists(st.integers(), max_size=2),
)


@given(st.lists(st.lists(VALUES, min_size=1, max_size=4), min_size=1, max_size=4))
def test_common_schema__takes_all_that_it_was_made_from(batches: list[list[object]]) -> None:
    tables = [results_table(batch).table for batch in batches]
    pinned = common_schema([table.schema for table in tables])
    for table in tables:
        found = cast_table(table, pinned)
        assert found.schema.equals(pinned, check_metadata=True)
        assert found.num_rows == table.num_rows
        found.validate(full=True)


# Cast


def test_cast_table__same_schema_is_the_same_table() -> None:
    table = pa.table({"x": [1]})
    assert cast_table(table, table.schema) is table


def test_cast_table__order_and_missing_columns() -> None:
    table = pa.table({"b": ["x"], "a": [1]})
    found = cast_table(table, schema(a=pa.int64(), c=pa.float64(), b=pa.string()))
    assert found.to_pydict() == {"a": [1], "c": [None], "b": ["x"]}


def test_cast_table__extra_column() -> None:
    with pytest.raises(InvalidScoringResultError) as caught:
        cast_table(pa.table({"a": [1], "extra": [1]}), schema(a=pa.int64()))
    assert caught.value.condition == "RESULT_SCHEMA_MISMATCH"
    assert caught.value.attributes["column"] == "extra"
    assert "extra" in caught.value.message


@pytest.mark.parametrize(
    ("values", "kind", "to", "expected"),
    [
        ([None], pa.null(), pa.int64(), [None]),
        ([None], pa.string(), pa.int64(), [None]),
        ([1, None], pa.int32(), pa.int64(), [1, None]),
        ([1], pa.int64(), pa.int8(), [1]),
        ([2**63 - 1], pa.int64(), pa.uint64(), [2**63 - 1]),
        ([2**53, 2**60], pa.int64(), pa.float64(), [2.0**53, 2.0**60]),
        ([2**24, 2**30], pa.int64(), pa.float32(), [2.0**24, 2.0**30]),
        ([1.0, math.nan, None], pa.float64(), pa.int64(), [1, None, None]),
        ([math.nan], pa.float64(), pa.bool_(), [None]),
        ([math.nan], pa.float64(), NAIVE, [None]),
        ([0.1], pa.float64(), pa.float32(), [0.10000000149011612]),
        ([math.inf], pa.float64(), pa.float32(), [math.inf]),
        ([0.5], pa.float32(), pa.float64(), [0.5]),
        ([True, None], pa.bool_(), pa.string(), ["True", None]),
        ([1.0, 0.5, math.nan], pa.float64(), pa.string(), ["1.0", "0.5", None]),
        ([2**63 - 1], pa.int64(), pa.string(), [str(2**63 - 1)]),
        ([b"a"], pa.binary(), pa.string(), ["YQ=="]),
        ([NOON], NAIVE, pa.string(), ["2024-01-02T12:00:00"]),
        ([date(2024, 1, 2)], pa.date32(), pa.string(), ["2024-01-02"]),
        ([date(2024, 1, 2)], pa.date32(), NAIVE, [MIDNIGHT]),
        ([date(2024, 1, 2)], pa.date32(), UTC, [MIDNIGHT.replace(tzinfo=timezone.utc)]),
        ([MIDNIGHT], NAIVE, pa.date32(), [date(2024, 1, 2)]),
        ([NOON], NAIVE, UTC, [NOON.replace(tzinfo=timezone.utc)]),
        ([5], pa.int64(), pa.decimal128(5, 2), [Decimal("5.00")]),
        ([0.1], pa.float64(), pa.decimal128(5, 2), [Decimal("0.10")]),
        ([Decimal("0.10")], pa.decimal128(5, 2), pa.float64(), [0.1]),
        ([Decimal("5.00")], pa.decimal128(5, 2), pa.int64(), [5]),
        ([Decimal("1.50")], pa.decimal128(5, 2), pa.decimal128(3, 1), [Decimal("1.5")]),
        ([2**64 - 1], pa.uint64(), pa.decimal128(20, 0), [Decimal(2**64 - 1)]),
    ],
    ids=str,
)
def test_cast_table__lossless(
    values: list[object], kind: pa.DataType, to: pa.DataType, expected: list[object]
) -> None:
    assert cast(values, kind, to) == expected


@pytest.mark.parametrize(
    ("values", "kind", "to", "named"),
    [
        ([1, 300], pa.int64(), pa.int8(), "300"),
        ([-1], pa.int64(), pa.uint64(), "-1"),
        ([1, 2**53 + 1], pa.int64(), pa.float64(), str(2**53 + 1)),
        ([2**24 + 1], pa.int64(), pa.float32(), str(2**24 + 1)),
        ([1.0, 1.5], pa.float64(), pa.int64(), "1.5"),
        ([math.inf], pa.float64(), pa.int64(), "inf"),
        ([1e300], pa.float64(), pa.float32(), "1e+300"),
        (["1"], pa.string(), pa.int64(), "'1'"),
        (["2024-01-02"], pa.string(), pa.date32(), "'2024-01-02'"),
        (["a" * 200], pa.string(), pa.float64(), "'aaa"),
        ([True], pa.bool_(), pa.int64(), "True"),
        ([1], pa.int64(), pa.bool_(), "1"),
        ([NOON], NAIVE, pa.date32(), "datetime.datetime(2024, 1, 2, 12, 0)"),
        ([NOON], UTC, NAIVE, "datetime.datetime(2024, 1, 2, 12, 0"),
        ([0.123], pa.float64(), pa.decimal128(5, 2), "0.123"),
        ([Decimal("1.25")], pa.decimal128(5, 2), pa.int64(), "Decimal('1.25')"),
        ([Decimal("1.25")], pa.decimal128(5, 2), pa.decimal128(3, 1), "Decimal('1.25')"),
        ([12345], pa.int64(), pa.decimal128(4, 0), "12345"),
        ([Decimal("0.123456789012345678901")], pa.decimal128(30, 21), pa.float64(), "Decimal"),
        ([math.nan, 0.5], pa.float64(), pa.bool_(), "0.5"),
    ],
    ids=str,
)
def test_cast_table__refused(
    values: list[object], kind: pa.DataType, to: pa.DataType, named: str
) -> None:
    with pytest.raises(InvalidScoringResultError) as caught:
        cast(values, kind, to)
    error = caught.value
    assert error.condition == "RESULT_SCHEMA_MISMATCH"
    assert error.attributes["column"] == "x"
    assert error.attributes["expected"] == type_name(to)
    assert error.attributes["found"] == type_name(kind)
    assert error.attributes["value"].startswith(named)
    assert len(error.message) < 500


@given(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1))
def test_cast_table__integers_to_double_are_exact_or_refused(values: list[int]) -> None:
    is_exact = all(int(float(value)) == value for value in values)
    if is_exact:
        assert cast(list(values), pa.int64(), pa.float64()) == [float(value) for value in values]
    else:
        with pytest.raises(InvalidScoringResultError):
            cast(list(values), pa.int64(), pa.float64())


@given(st.lists(st.floats(), min_size=1))
def test_cast_table__text_of_a_float_reads_back(values: list[float]) -> None:
    for value, text in zip(values, cast(list(values), pa.float64(), pa.string()), strict=True):
        if math.isnan(value):
            assert text is None
        else:
            assert repr(float(str(text))) == repr(value)


def test_cast_table__dictionary_column() -> None:
    table = pa.table({"x": pa.array(["a", "b"]).dictionary_encode()})
    assert cast_table(table, schema(x=pa.string())).to_pydict() == {"x": ["a", "b"]}


# Declared schemas


def test_arrow_schema__spark_sql_names() -> None:
    found = arrow_schema(
        {
            "s": "string",
            "b": "boolean",
            "i8": "tinyint",
            "i16": "smallint",
            "i32": "int",
            "i32b": "INTEGER",
            "i64": "bigint",
            "i64b": "long",
            "f32": "float",
            "f64": " double ",
            "d": "date",
            "t": "timestamp",
            "tn": "timestamp_ntz",
            "bin": "binary",
            "dec": "decimal(12, 3)",
            "dec0": "decimal(5)",
            "dec10": "decimal",
        }
    )
    assert found == schema(
        s=pa.string(),
        b=pa.bool_(),
        i8=pa.int8(),
        i16=pa.int16(),
        i32=pa.int32(),
        i32b=pa.int32(),
        i64=pa.int64(),
        i64b=pa.int64(),
        f32=pa.float32(),
        f64=pa.float64(),
        d=pa.date32(),
        t=UTC,
        tn=NAIVE,
        bin=pa.binary(),
        dec=pa.decimal128(12, 3),
        dec0=pa.decimal128(5, 0),
        dec10=pa.decimal128(10, 0),
    )


@pytest.mark.parametrize(
    "kind", ["text", "array<int>", "decimal(39,1)", "decimal(2,3)", "decimal(0)", ""]
)
def test_arrow_schema__unknown_type(kind: str) -> None:
    with pytest.raises(InvalidFieldError) as caught:
        arrow_schema({"score": kind})
    assert caught.value.condition == "UNKNOWN_TYPE"
    assert caught.value.attributes == {"column": "score", "type": kind}


SQL_NAMES = (
    *("string", "boolean", "tinyint", "smallint", "int", "bigint", "float", "double"),
    *("date", "timestamp", "timestamp_ntz", "binary", "decimal(12,3)"),
)


@pytest.mark.parametrize("name", SQL_NAMES)
def test_type_name__is_the_name_that_users_write(name: str) -> None:
    assert type_name(arrow_schema({"x": name}).field("x").type) == name


def test_schema_bytes__round_trip() -> None:
    original = schema(a=pa.decimal128(38, 4), b=UTC, c=pa.string())
    assert schema_from_bytes(schema_to_bytes(original)) == original
