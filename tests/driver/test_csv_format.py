"""CSV and JSON Lines read back to what was written."""

from __future__ import annotations

import csv
import io
import json
import math
from datetime import date, datetime, timezone
from decimal import Decimal
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkscore.driver.publish import text_rows
from sparkscore.driver.publish.csv_format import csv_bytes, header_line
from sparkscore.driver.publish.jsonl_format import jsonl_bytes

TABLE = pa.table(
    {
        "name": ["plain", 'q"uote', "a,b", "", None, "line\nbreak", "car\rriage", " blank "],
        "score": [1.0, 0.1, math.nan, math.inf, None, 1e300, -0.0, 1e-7],
        "id": pa.array([1, 2**63 - 1, None, -5, 0, 1, 2, 3], pa.int64()),
        "ok": [True, False, None, True, True, True, True, True],
    }
)

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=6) | st.text(
    st.sampled_from('",;| \t\r\n\\aé'), max_size=4
)
SEPARATORS = st.sampled_from([",", ";", "\t", " ", "|", "\x01", "1", ".", "e", "T", "-"])


def read_back(content: bytes, separator: str) -> list[list[str]]:
    text = io.StringIO(content.decode(), newline="")
    return list(csv.reader(text, delimiter=separator, strict=True))


def test_csv_bytes__values_by_type() -> None:
    assert csv_bytes(TABLE, separator=",").decode() == (
        "plain,1.0,1,True\n"
        '"q""uote",0.1,9223372036854775807,False\n'
        '"a,b",NaN,,\n'
        '"",inf,-5,True\n'
        ",,0,True\n"
        '"line\nbreak",1e+300,1,True\n'
        '"car\rriage",-0.0,2,True\n'
        " blank ,1e-7,3,True\n"
    )


@pytest.mark.parametrize(
    ("value", "kind", "text"),
    [
        (date(2024, 1, 2), pa.date32(), "2024-01-02"),
        (datetime(2024, 1, 2, 3), pa.timestamp("us"), "2024-01-02T03:00:00"),  # noqa: DTZ001
        (datetime(2024, 1, 2, 3, 4, 5, 6), pa.timestamp("us"), "2024-01-02T03:04:05.000006"),  # noqa: DTZ001
        (datetime(2024, 1, 2, tzinfo=timezone.utc), pa.timestamp("us", "UTC"),
         "2024-01-02T00:00:00+00:00"),
        (Decimal("1.50"), pa.decimal128(5, 2), "1.50"),
        (Decimal("0.00000001"), pa.decimal128(20, 8), "0.00000001"),
        (b"\x00\xff", pa.binary(), "AP8="),
        (0.1, pa.float32(), "0.1"),
        (2**64 - 1, pa.uint64(), "18446744073709551615"),
    ],
)  # fmt: skip
def test_csv_bytes__one_text_a_value(value: object, kind: pa.DataType, text: str) -> None:
    table = pa.table({"x": pa.array([value], kind), "s": ["a"]})
    assert csv_bytes(table, separator=",").decode() == f"{text},a\n"
    assert csv_bytes(table.append_column("q", [['"']]), separator=",").decode() == (
        f'{text},a,""""\n'
    )


def test_csv_bytes__null_in_the_only_column_is_no_empty_line() -> None:
    content = csv_bytes(pa.table({"x": [None, "a", ""]}), separator=",")
    assert content == b'""\na\n""\n'
    assert len(read_back(content, ",")) == 3


def test_csv_bytes__separator_that_stands_in_numbers() -> None:
    table = pa.table({"a": [1.5, 1e300], "b": [10, 2], "c": ["x", "y"]})
    assert read_back(csv_bytes(table, separator="1"), "1") == [
        ["1.5", "10", "x"],
        ["1e+300", "2", "y"],
    ]


def test_csv_bytes__long_separator() -> None:
    table = pa.table({"a": ["x||y", "|"], "b": [1, 2]})
    assert csv_bytes(table, separator="||") == b'"x||y"||1\n|||2\n'


def test_csv_bytes__no_rows() -> None:
    assert csv_bytes(TABLE.slice(0, 0), separator=",") == b""


def test_csv_bytes__chunked_and_sliced_tables() -> None:
    chunked = pa.concat_tables([TABLE.slice(5), TABLE.slice(1, 2), TABLE.slice(0, 0)])
    assert csv_bytes(chunked, separator=",") == csv_bytes(chunked.combine_chunks(), separator=",")


def test_csv_bytes__large_tables_are_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = csv_bytes(TABLE, separator=",")
    monkeypatch.setattr(text_rows, "MAX_CHUNK_BYTES", 100)
    assert csv_bytes(TABLE, separator=",") == whole


def test_header_line__names_are_quoted_like_values() -> None:
    schema = pa.schema([("a b", pa.int64()), ("c", pa.int64()), ('"', pa.int64())])
    assert header_line(schema, separator=" ") == b'"a b" c """"\n'


@given(
    rows=st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=5),
    header=st.tuples(TEXTS, TEXTS),
    separator=SEPARATORS,
)
def test_csv_bytes__python_reads_the_same_texts(
    rows: list[tuple[str, str]], header: tuple[str, str], separator: str
) -> None:
    columns = [list(column) for column in zip(*rows, strict=True)]
    table = pa.Table.from_arrays(list(map(pa.array, columns)), names=list(header))
    content = header_line(table.schema, separator=separator) + csv_bytes(table, separator=separator)
    assert read_back(content, separator) == [list(row) for row in (header, *rows)]


@given(st.lists(st.floats(), min_size=1, max_size=5), SEPARATORS)
def test_csv_bytes__floats_are_exact(values: list[float], separator: str) -> None:
    table = pa.table({"x": values, "s": ["a,"] * len(values)})
    found = [float(row[0]) for row in read_back(csv_bytes(table, separator=separator), separator)]
    assert list(map(repr, found)) == list(map(repr, values))


@given(st.lists(st.floats(width=32), min_size=1, max_size=5))
def test_csv_bytes__narrow_floats_are_exact(values: list[float]) -> None:
    table = pa.table({"x": pa.array(values, pa.float32()), "y": values})
    texts = [row[0] for row in read_back(csv_bytes(table, separator=","), ",")]
    found = pa.array(list(map(float, texts)), pa.float64()).cast(pa.float32(), safe=False)
    assert list(map(repr, found.to_pylist())) == list(map(repr, values))


@given(
    st.lists(
        st.tuples(
            st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=5),
            st.integers(-(2**63), 2**63 - 1),
            st.floats(allow_nan=False),
            st.booleans(),
        ),
        min_size=1,
        max_size=5,
    )
)
def test_csv_bytes__pandas_reads_the_same_values(rows: list[tuple[Any, ...]]) -> None:
    columns = [list(column) for column in zip(*rows, strict=True)]
    table = pa.Table.from_arrays(list(map(pa.array, columns)), names=["s", "i", "f", "b"])
    content = header_line(table.schema, separator=",") + csv_bytes(table, separator=",")
    found = pd.read_csv(
        io.BytesIO(content),
        dtype={"s": "str", "i": "int64", "f": "float64", "b": "bool"},
        keep_default_na=False,
        float_precision="round_trip",
    )
    assert [list(found[name]) for name in "sifb"] == columns


# JSON Lines


def test_jsonl_bytes__values_by_type() -> None:
    lines = [json.loads(line) for line in jsonl_bytes(TABLE).decode().split("\n")[:-1]]
    assert lines[1] == {"name": 'q"uote', "score": 0.1, "id": 2**63 - 1, "ok": False}
    assert lines[2] == {"name": "a,b", "score": None, "id": None, "ok": None}
    assert lines[3] == {"name": "", "score": None, "id": -5, "ok": True}
    assert [line["name"] for line in lines] == TABLE.column("name").to_pylist()


def test_jsonl_bytes__exact_numbers_and_texts() -> None:
    table = pa.table(
        {
            "d": pa.array([Decimal("0.00000010")], pa.decimal128(20, 8)),
            "u": pa.array([2**64 - 1], pa.uint64()),
            "t": pa.array([datetime(2024, 1, 2, tzinfo=timezone.utc)], pa.timestamp("us", "UTC")),
            "b": [b"a"],
            "n": pa.nulls(1),
        }
    )
    assert jsonl_bytes(table).decode() == (
        '{"d": 0.00000010, "u": 18446744073709551615, "t": "2024-01-02T00:00:00+00:00", '
        '"b": "YQ==", "n": null}\n'
    )


def test_jsonl_bytes__no_columns() -> None:
    assert jsonl_bytes(pa.table({})) == b""


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1), TEXTS)
def test_jsonl_bytes__texts_read_back(values: list[str], name: str) -> None:
    content = jsonl_bytes(pa.Table.from_arrays([pa.array(values)], names=[name])).decode()
    assert [json.loads(line) for line in content.split("\n")[:-1]] == [
        {name: value} for value in values
    ]


@given(st.lists(st.floats() | st.none(), min_size=1))
def test_jsonl_bytes__floats_read_back(values: list[float | None]) -> None:
    content = jsonl_bytes(pa.table({"x": pa.array(values, pa.float64())})).decode()
    found = [json.loads(line)["x"] for line in content.splitlines()]
    expected = [None if v is None or not math.isfinite(v) else v for v in values]
    assert list(map(repr, found)) == list(map(repr, expected))
