"""What ``run`` returned becomes a table: shapes, types and what is refused."""

from __future__ import annotations

import enum
import json
import math
import re
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkscore.errors import InvalidScoringResultError, PublishError
from sparkscore.executor import results
from sparkscore.executor.result_schema import INEXACT_AS_FLOAT
from sparkscore.executor.results import iter_payloads, read_payload, results_table


def column(value: object, name: str = "prediction") -> pa.ChunkedArray:
    return results_table(value).table.column(name)


def check_column(value: object, kind: pa.DataType, expected: list[object]) -> None:
    found = column(value)
    assert found.type == kind
    assert found.to_pylist() == expected


# Shapes


def test_results_table__list_is_one_column() -> None:
    found = results_table(["a", "b"])
    assert found.count == 2
    assert found.table.to_pydict() == {"prediction": ["a", "b"]}
    assert (found.inputs_done, found.bad_rows) == (None, [])


@pytest.mark.parametrize(
    "value",
    [(1, 2), np.array([1, 2]), pd.Series([1, 2]), pd.Series([1, 2], name="score", index=[7, 9])],
    ids=["tuple", "ndarray", "series", "named series"],
)
def test_results_table__sequences_are_like_a_list(value: object) -> None:
    check_column(value, pa.int64(), [1, 2])


def test_results_table__empty_list_has_no_rows() -> None:
    found = results_table([])
    assert (found.count, found.table.num_rows) == (0, 0)


def test_results_table__index_of_frame_is_dropped() -> None:
    frame = pd.DataFrame({"x": [1, 2]}, index=pd.Index(["a", "b"], name="key"))
    assert results_table(frame).table.column_names == ["x"]


@pytest.mark.parametrize(
    ("frame", "names"),
    [
        (pd.DataFrame([1, 2]), ["prediction"]),
        (pd.DataFrame({"": [1]}), ["prediction"]),
        (pd.DataFrame({None: [1]}), ["prediction"]),
        (pd.DataFrame([[1, 2]]), ["0", "1"]),
        (pd.DataFrame([[1, 2]], columns=["a", None]), ["a", "1"]),
        (pd.DataFrame([[1, 2]], columns=pd.MultiIndex.from_tuples([("a", "b"), ("c", "")])),
         ["a_b", "c"]),
    ],
    ids=["unnamed", "empty name", "none", "positions", "one unnamed", "levels"],
)  # fmt: skip
def test_results_table__column_names(frame: pd.DataFrame, names: list[str]) -> None:
    assert results_table(frame).table.column_names == names


@pytest.mark.parametrize(
    "value",
    [
        pd.DataFrame([[1, 2]], columns=["a", "a"]),
        pd.DataFrame([[1, 2]], columns=["1", 1]),
        pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["a", "a"]),
        [{"1": 1, 1: 2}],
    ],
    ids=["frame", "frame of str and int", "arrow", "dict"],
)
def test_results_table__duplicate_names(value: object) -> None:
    with pytest.raises(InvalidScoringResultError) as caught:
        results_table(value)
    assert caught.value.condition == "DUPLICATE_RESULT_COLUMN"
    assert caught.value.attributes["column"] in {"a", "1"}


def test_results_table__matrix_has_a_column_per_position() -> None:
    found = results_table(np.array([[0.25, 0.75], [0.5, 0.5]]))
    assert found.count == 2
    assert found.table.to_pydict() == {"0": [0.25, 0.5], "1": [0.75, 0.5]}


def test_results_table__matrix_of_one_column() -> None:
    check_column(np.array([[1], [2]]), pa.int64(), [1, 2])


def test_results_table__structured_array() -> None:
    values = np.array([(1, 0.5)], dtype=[("label", "i4"), ("score", "f8")])
    assert results_table(values).table.to_pydict() == {"label": [1], "score": [0.5]}


def test_results_table__cube_is_nested() -> None:
    check_column(np.zeros((1, 2, 2)), pa.string(), ["[[0.0, 0.0], [0.0, 0.0]]"])


def test_results_table__dicts_are_columns() -> None:
    found = results_table([{"b": 1, "a": "x"}, {"c": None, "b": 2}])
    assert found.table.to_pydict() == {"b": [1, 2], "a": ["x", None], "c": [None, None]}
    assert found.table.schema.field("c").type == pa.null()


def test_results_table__series_of_dicts() -> None:
    assert results_table(pd.Series([{"a": 1}])).table.to_pydict() == {"a": [1]}


def test_results_table__dicts_beside_others_are_nested() -> None:
    check_column([{"a": 1}, None, "x"], pa.string(), ['{"a": 1}', None, "x"])


@pytest.mark.parametrize("value", [[{}], pd.DataFrame(index=[0, 1])], ids=["dict", "frame"])
def test_results_table__results_without_columns(value: object) -> None:
    with pytest.raises(InvalidScoringResultError) as caught:
        results_table(value)
    assert caught.value.condition == "RESULT_WITHOUT_COLUMNS"


def generator() -> Iterator[int]:
    yield 1


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (None, "None"),
        (generator(), "generator"),
        ("text", "str"),
        ({"a": [1]}, "dict"),
        (3, "int"),
        (np.float64(3), "float64"),
        (np.array(3), "ndarray"),
        ({1, 2}, "set"),
        (b"abc", "bytes"),
        (map(str, [1]), "map"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_results_table__refused(value: object, name: str) -> None:
    with pytest.raises(InvalidScoringResultError) as caught:
        results_table(value)
    assert caught.value.condition == "INVALID_RESULT_TYPE"
    assert caught.value.attributes["type"] == name
    assert name in caught.value.message
    assert "DataFrame" in caught.value.message


# Types of Python values


class Colour(enum.Enum):
    RED = 1


class Level(enum.IntEnum):
    HIGH = 3


class Name(str):
    __slots__ = ()


class Thing:
    def __str__(self) -> str:
        return "a thing"


class Mute:
    def __str__(self) -> str:
        raise RuntimeError("no")


UTC_TIME = datetime(2024, 1, 2, 3, 4, 5, 678, tzinfo=timezone.utc)
DAY = date(2024, 1, 2)
TIME = datetime(2024, 1, 2, 3, 4, 5)  # noqa: DTZ001 - users return such times


@pytest.mark.parametrize(
    ("values", "kind", "expected"),
    [
        ([True, None], pa.bool_(), [True, None]),
        ([1, None], pa.int64(), [1, None]),
        ([2**53 + 1, -(2**63)], pa.int64(), [2**53 + 1, -(2**63)]),
        ([2**63], pa.uint64(), [2**63]),
        ([2**64], pa.string(), [str(2**64)]),
        ([-1, 2**63], pa.string(), ["-1", str(2**63)]),
        ([1, 0.5], pa.float64(), [1.0, 0.5]),
        ([2**53 + 1, 0.5], pa.string(), [str(2**53 + 1), "0.5"]),
        ([1.5, None], pa.float64(), [1.5, None]),
        ([True, 1], pa.string(), ["True", "1"]),
        ([1, "a"], pa.string(), ["1", "a"]),
        ([1.0, "a", None], pa.string(), ["1.0", "a", None]),
        (["a", math.nan], pa.string(), ["a", None]),
        ([True, math.nan], pa.bool_(), [True, None]),
        ([b"a", bytearray(b"b"), memoryview(b"c")], pa.binary(), [b"a", b"b", b"c"]),
        ([b"a", "a"], pa.string(), ["YQ==", "a"]),
        ([DAY], pa.date32(), [DAY]),
        ([TIME, pd.NaT], pa.timestamp("us"), [TIME, None]),
        ([UTC_TIME], pa.timestamp("us", "UTC"), [UTC_TIME]),
        ([UTC_TIME.astimezone(timezone(timedelta(hours=2)))], pa.timestamp("us", "UTC"),
         [UTC_TIME]),
        ([DAY, TIME], pa.timestamp("us"), [datetime(2024, 1, 2), TIME]),  # noqa: DTZ001
        ([TIME, "x"], pa.string(), ["2024-01-02T03:04:05", "x"]),
        ([pd.Timestamp(2024, 1, 2, 3, 4, 5)], pa.timestamp("us"), [TIME]),
        ([Decimal("1.5"), Decimal("2.25"), None], pa.decimal128(3, 2),
         [Decimal("1.50"), Decimal("2.25"), None]),
        ([Decimal("1.5"), 2], pa.decimal128(2, 1), [Decimal("1.5"), Decimal("2.0")]),
        ([Decimal("NaN"), Decimal("1")], pa.decimal128(1, 0), [None, Decimal("1")]),
        ([Decimal("Infinity")], pa.string(), ["Infinity"]),
        ([Decimal(10) ** 60], pa.string(), ["1" + "0" * 60]),
        ([None, pd.NA, pd.NaT], pa.null(), [None, None, None]),
        ([Colour.RED], pa.string(), ["Colour.RED"]),
        ([Name("x"), "y"], pa.string(), ["x", "y"]),
        ([Thing(), None], pa.string(), ["a thing", None]),
        ([time(1, 2), timedelta(1)], pa.string(), ["01:02:00", "1 day, 0:00:00"]),
        ([1 + 2j], pa.string(), ["(1+2j)"]),
        ([[1, None], (2,), {"k": math.nan}], pa.string(), ["[1, null]", "[2]", '{"k": null}']),
        ([["é", math.inf]], pa.string(), ['["é", null]']),
        ([np.array([1, 2]), 3], pa.string(), ["[1, 2]", "3"]),
        (["\x00", "a\x00b"], pa.string(), ["\x00", "a\x00b"]),
        (["\ud800x"], pa.string(), ["\ufffdx"]),
        (["\ud83d\ude00"], pa.string(), ["😀"]),
    ],
    ids=lambda value: re.sub(" at 0x[0-9a-f]+", "", repr(value)),
)  # fmt: skip
def test_results_table__values_in_a_list(
    values: list[object], kind: pa.DataType, expected: list[object]
) -> None:
    check_column(values, kind, expected)


def test_results_table__float_nan_stays_one() -> None:
    values = column([1, math.nan, None]).to_pylist()
    assert values[0] == 1.0
    assert math.isnan(values[1])
    assert values[2] is None


def test_results_table__int_enum_is_an_integer() -> None:
    check_column([Level.HIGH], pa.int64(), [3])


@pytest.mark.parametrize(
    ("values", "kind", "expected"),
    [
        ([np.float32(0.1)], pa.float32(), [float(np.float32(0.1))]),
        ([np.int8(3), None], pa.int64(), [3, None]),
        ([np.int64(2**60 + 1)], pa.int64(), [2**60 + 1]),
        ([np.uint64(2**64 - 1)], pa.uint64(), [2**64 - 1]),
        ([np.bool_(True), True], pa.bool_(), [True, True]),
        ([np.str_("a"), "b"], pa.string(), ["a", "b"]),
        ([np.float16(0.5)], pa.float32(), [0.5]),
        ([np.longdouble(0.5)], pa.float64(), [0.5]),
        ([np.datetime64("2024-01-02T03:04:05")], pa.timestamp("us"), [TIME]),
        ([np.datetime64("2024-01-02")], pa.date32(), [DAY]),
        ([np.datetime64("2024-01-02"), None], pa.timestamp("us"),
         [datetime(2024, 1, 2), None]),  # noqa: DTZ001
        ([np.timedelta64(1, "D"), "x"], pa.string(), ["1 days 00:00:00", "x"]),
        ([np.complex64(1)], pa.string(), ["(1+0j)"]),
        ([np.float64(1), "x"], pa.string(), ["1.0", "x"]),
    ],
    ids=repr,
)  # fmt: skip
def test_results_table__numpy_scalars(
    values: list[object], kind: pa.DataType, expected: list[object]
) -> None:
    check_column(values, kind, expected)


def test_results_table__object_without_text() -> None:
    with pytest.raises(InvalidScoringResultError) as caught:
        results_table([Mute()])
    assert caught.value.condition == "RESULT_WITHOUT_TEXT"
    assert caught.value.attributes["type"] == "Mute"


def test_results_table__nested_in_itself() -> None:
    loop: list[object] = []
    loop.append(loop)
    with pytest.raises(InvalidScoringResultError) as caught:
        results_table([loop])
    assert caught.value.condition == "RESULT_WITHOUT_TEXT"


def test_results_table__nested_values_of_numpy_and_pandas() -> None:
    value = {
        "f": np.float32(0.5),
        "a": np.array([1.0, math.nan]),
        "s": pd.Series([1, 2]),
        "t": pd.Timestamp("2024-01-02"),
        "n": pd.NA,
        "b": b"a",
        "set": {2, 1},
        3: Thing(),
    }
    text = column([[value]]).to_pylist()[0]
    assert json.loads(text) == [
        {
            "f": 0.5,
            "a": [1.0, None],
            "s": [1, 2],
            "t": "2024-01-02T00:00:00",
            "n": None,
            "b": "YQ==",
            "set": [1, 2],
            "3": "a thing",
        }
    ]


# Types of pandas, NumPy and Arrow columns


@pytest.mark.parametrize(
    ("series", "kind", "expected"),
    [
        (pd.Series([1, None], dtype="Int64"), pa.int64(), [1, None]),
        (pd.Series([2**53 + 1, None], dtype="Int64"), pa.int64(), [2**53 + 1, None]),
        (pd.Series([1], dtype="UInt8"), pa.uint8(), [1]),
        (pd.Series([0.5, None], dtype="Float32"), pa.float32(), [0.5, None]),
        (pd.Series([True, None], dtype="boolean"), pa.bool_(), [True, None]),
        (pd.Series(["a", None], dtype="string"), pa.string(), ["a", None]),
        (pd.Series(["a", None], dtype="string[pyarrow]"), pa.string(), ["a", None]),
        (pd.Series(["\ud800"], dtype="string[python]"), pa.string(), ["\ufffd"]),
        (pd.Series(["b", "a", None], dtype="category"), pa.string(), ["b", "a", None]),
        (pd.Series([1, 2, 1], dtype="category"), pa.int64(), [1, 2, 1]),
        (pd.Series([TIME, None]), pa.timestamp("us"), [TIME, None]),
        (pd.Series([UTC_TIME]), pa.timestamp("us", "UTC"), [UTC_TIME]),
        (pd.Series([UTC_TIME]).dt.tz_convert("Europe/Paris"), pa.timestamp("us", "UTC"),
         [UTC_TIME]),
        (pd.Series(pd.to_datetime(["2024-01-02T00:00:00.000000999"])), pa.timestamp("us"),
         [datetime(2024, 1, 2)]),  # noqa: DTZ001
        (pd.Series([timedelta(hours=1)]), pa.string(), ["0 days 01:00:00"]),
        (pd.Series(pd.period_range("2024-01", periods=1, freq="M")), pa.string(), ["2024-01"]),
        (pd.Series(pd.arrays.SparseArray(np.array([0, 1]))), pa.int64(), [0, 1]),
        (pd.Series([[1], None]), pa.string(), ["[1]", None]),
        (pd.Series([1, "a", None]), pa.string(), ["1", "a", None]),
        (pd.Series(["a", math.nan]), pa.string(), ["a", None]),
        (pd.Series([DAY, None]), pa.date32(), [DAY, None]),
        (pd.Series([1], dtype=">i4"), pa.int32(), [1]),
        (pd.Series([[1]], dtype=pd.ArrowDtype(pa.list_(pa.int64()))), pa.string(), ["[1]"]),
        (pd.Series([1], dtype=pd.ArrowDtype(pa.int16())), pa.int16(), [1]),
        (pd.Series(["a"], dtype=pd.ArrowDtype(pa.large_string())), pa.string(), ["a"]),
        (pd.Series([], dtype="float64"), pa.float64(), []),
    ],
    ids=lambda value: str(value.dtype) if isinstance(value, pd.Series) else "",
)  # fmt: skip
def test_results_table__pandas_dtypes(
    series: pd.Series, kind: pa.DataType, expected: list[object]
) -> None:
    check_column(series, kind, expected)
    check_column(pd.DataFrame({"prediction": series}), kind, expected)


@pytest.mark.parametrize(
    ("values", "kind", "expected"),
    [
        (np.array(["a", "b"]), pa.string(), ["a", "b"]),
        (np.array([b"a"]), pa.binary(), [b"a"]),
        (np.array([1, "a", None], dtype=object), pa.string(), ["1", "a", None]),
        (np.ma.masked_array([1, 2], mask=[False, True]), pa.int64(), [1, None]),
        (np.array(["2024-01", "NaT"], dtype="datetime64[M]"), pa.timestamp("us"),
         [datetime(2024, 1, 1), None]),  # noqa: DTZ001
        (np.array([1], dtype="timedelta64[h]"), pa.string(), ["0 days 01:00:00"]),
        (np.arange(6, dtype="int32")[::2], pa.int32(), [0, 2, 4]),
        (np.array([0.5], dtype=">f8"), pa.float64(), [0.5]),
    ],
    ids=lambda value: str(value.dtype) if isinstance(value, np.ndarray) else "",
)  # fmt: skip
def test_results_table__numpy_arrays(
    values: np.ndarray, kind: pa.DataType, expected: list[object]
) -> None:
    check_column(values, kind, expected)


@pytest.mark.parametrize(
    ("values", "kind", "expected"),
    [
        (pa.array(["a", "b"]).dictionary_encode(), pa.string(), ["a", "b"]),
        (pa.array(["a"], pa.large_string()), pa.string(), ["a"]),
        (pa.array([b"a"], pa.large_binary()), pa.binary(), [b"a"]),
        (pa.array([b"ab"], pa.binary(2)), pa.binary(), [b"ab"]),
        (pa.array([{"x": 1}]), pa.string(), ['{"x": 1}']),
        (pa.array([1], pa.timestamp("s")), pa.timestamp("us"),
         [datetime(1970, 1, 1, 0, 0, 1)]),  # noqa: DTZ001
        (pa.array([86400000], pa.date64()), pa.date32(), [date(1970, 1, 2)]),
        (pa.array([time(1, 2)]), pa.string(), ["01:02:00"]),
        (pa.array([Decimal(1)], pa.decimal256(50, 2)), pa.string(), ["1.00"]),
        (pa.array([Decimal(1)], pa.decimal256(20, 2)), pa.decimal128(20, 2), [Decimal("1.00")]),
        (pa.array([2**62], pa.timestamp("s")), pa.string(), None),
    ],
    ids=lambda value: str(value.type) if isinstance(value, pa.Array) else "",
)  # fmt: skip
def test_results_table__arrow_types(
    values: pa.Array, kind: pa.DataType, expected: list[object] | None
) -> None:
    found = column(pa.table({"prediction": values}))
    assert found.type == kind
    assert expected is None or found.to_pylist() == expected


def test_results_table__integers_that_no_float_has_are_marked() -> None:
    schema = results_table([{"id": 2**53 + 1, "n": 1}]).table.schema
    assert schema.field("id").metadata == {INEXACT_AS_FLOAT: b"1"}
    assert schema.field("n").metadata is None


# The account of the built-in script


def test_results_table__account_of_a_frame() -> None:
    frame = pd.DataFrame({"x": [1]})
    frame.attrs["sparkscore"] = {
        "inputs": 2,
        "bad_rows": [{"file": "a.csv", "row": np.int64(3), "message": "no number"}],
    }
    found = results_table(frame)
    assert found.inputs_done == 2
    assert found.bad_rows == [{"file": "a.csv", "row": 3, "message": "no number"}]


def test_results_table__account_of_an_arrow_table() -> None:
    table = pa.table({"x": [1]}).replace_schema_metadata({"sparkscore": '{"inputs": 2}'})
    found = results_table(table)
    assert (found.inputs_done, found.bad_rows) == (2, [])
    assert found.table.schema.metadata is None


# Payloads


def test_iter_payloads__round_trip() -> None:
    table = results_table([{"a": 1, "b": "x"}, {"a": None, "b": "y"}]).table
    (payload,) = iter_payloads(table)
    assert read_payload(payload).equals(table)


def test_iter_payloads__empty_table_has_none() -> None:
    assert list(iter_payloads(pa.table({"a": pa.array([], pa.int64())}))) == []


@given(
    lengths=st.lists(st.integers(0, 3000), min_size=1, max_size=40),
    part_bytes=st.integers(64, 4000),
)
def test_iter_payloads__parts_are_small_unless_a_row_is_not(
    lengths: list[int], part_bytes: int
) -> None:
    table = pa.table({"s": ["x" * length for length in lengths]})
    parts = [read_payload(payload) for payload in iter_payloads(table, part_bytes)]
    assert pa.concat_tables(parts).equals(table)
    assert all(part.num_rows == 1 or part.nbytes <= part_bytes for part in parts)


def test_iter_payloads__parts_are_few() -> None:
    table = pa.table({"x": np.arange(100_000)})
    assert len(list(iter_payloads(table, 100_000))) <= 9


def test_iter_payloads__row_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(results, "MAX_ROW_BYTES", 1000)
    with pytest.raises(InvalidScoringResultError) as caught:
        list(iter_payloads(pa.table({"x": ["a", "b" * 2000]}), 500))
    assert caught.value.condition == "RESULT_TOO_LARGE"


def test_read_payload__truncated() -> None:
    (payload,) = iter_payloads(pa.table({"x": np.arange(10_000)}))
    for size in (0, 10, len(payload) // 2, len(payload) - 300):
        with pytest.raises(PublishError) as caught:
            read_payload(payload[:size])
        assert caught.value.condition == "STAGING_DAMAGED"


def test_read_payload__batches_missing_at_the_end() -> None:
    table = pa.table({"x": pa.chunked_array([[1, 2], [3]])})
    (payload,) = iter_payloads(table)
    sink = pa.BufferOutputStream()
    stream = pa.ipc.open_stream(payload)
    with pa.ipc.new_stream(sink, stream.schema) as writer:
        writer.write_batch(stream.read_next_batch())
    with pytest.raises(PublishError) as caught:
        read_payload(sink.getvalue())
    assert caught.value.condition == "STAGING_DAMAGED"


# Whatever scripts return

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(st.characters(), max_size=5),
    st.binary(max_size=5),
    st.dates(),
    st.datetimes(timezones=st.sampled_from([None, timezone.utc])),
    st.decimals(),
    st.builds(np.float32, st.floats(width=32)),
    st.builds(np.int16, st.integers(-100, 100)),
    st.just(pd.NaT),
    st.just(pd.NA),
    st.timedeltas(),
)
NESTED = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=5,
)


@given(st.lists(NESTED, max_size=6))
def test_results_table__any_list_becomes_columns(values: list[object]) -> None:
    try:
        found = results_table(values)
    except InvalidScoringResultError as error:
        assert error.condition == "RESULT_WITHOUT_COLUMNS"
        return
    assert found.count == len(values)
    if found.table.num_columns:
        assert found.table.num_rows == len(values)
    for payload in iter_payloads(found.table):
        read_payload(payload).validate(full=True)


@given(st.lists(st.integers(-(2**63), 2**63 - 1) | st.none(), min_size=1))
def test_results_table__integers_are_exact(values: list[int | None]) -> None:
    assert column(values).to_pylist() == values
