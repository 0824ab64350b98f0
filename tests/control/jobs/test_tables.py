"""First rows of CSV, JSON lines and Parquet files, whatever is in them."""

from __future__ import annotations

import io
import json
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkscore.control.jobs import tables
from sparkscore.control.jobs.tables import (
    FirstRows,
    read_csv_rows,
    read_json_rows,
    read_parquet_rows,
    read_text,
)
from sparkscore.driver.publish.csv_format import csv_bytes, header_line


def opening(content: bytes) -> Any:
    return lambda: io.BytesIO(content)


@given(
    rows=st.lists(
        st.tuples(st.text(max_size=5), st.text(min_size=1, max_size=5)), min_size=1, max_size=8
    ),
    count=st.integers(1, 5),
)
def test_csv__as_the_driver_writes_it(rows: list[tuple[str, str]], count: int) -> None:
    rows = [(left.replace("\r", ""), right.replace("\r", "") or "x") for left, right in rows]
    table = pa.table({"a": [row[0] for row in rows], "b": [row[1] for row in rows]})
    content = header_line(table.schema, separator=",") + csv_bytes(table, separator=",")
    found = read_csv_rows(opening(content), count=count)
    assert found.columns == ("a", "b")
    assert found.rows == tuple(rows[:count])
    assert found.has_more == (len(rows) > count)


def test_csv__without_header_and_with_other_separators() -> None:
    found = read_csv_rows(opening(b"1 2\n3 4\n"), count=1, separator=" ", has_header=False)
    assert found == FirstRows(("1", "2"), (("1", "2"),), has_more=True)
    found = read_csv_rows(opening(b"a||b\n1||2\n"), count=5, separator="||")
    assert found == FirstRows(("a", "b"), (("1", "2"),))


def test_csv__rows_of_uneven_length_and_empty_files() -> None:
    found = read_csv_rows(opening(b"a,b\n1\n1,2,3\n"), count=5)
    assert found.rows == (("1", None), ("1", "2"))
    assert read_csv_rows(opening(b""), count=5) == FirstRows((), ())


def test_csv__a_large_file_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "READ_BYTES", 12)
    read: list[int] = []

    class Watched(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            read.append(size or -1)
            return super().read(size)

    found = read_csv_rows(lambda: Watched(b"a,b\n1,2\n3,4\n5,6\n"), count=50)
    assert found.rows == (("1", "2"),)
    assert found.has_more
    assert max(read) <= 13
    assert -1 not in read


def test_json__union_of_columns_and_torn_lines() -> None:
    lines = [json.dumps({"a": 1}), json.dumps({"b": {"c": [1]}, "a": None}), "{torn", '"x"']
    found = read_json_rows(opening("\n".join(lines).encode() + b"\n"), count=10)
    assert found.columns == ("a", "b", "")
    assert found.rows[0] == ("1", None, None)
    assert found.rows[1] == (None, '{"c": [1]}', None)
    assert found.rows[2][2] == "{torn"
    assert not found.has_more


def test_json__half_a_character_is_shown_as_none() -> None:
    found = read_json_rows(opening(b'{"a": "\\ud800"}\n'), count=1)
    assert found.rows == (("?",),)


def test_parquet__types_and_row_groups() -> None:
    table = pa.table({"n": list(range(100)), "b": [b"\0\1"] * 100, "t": ["x" * 1000] * 100})
    sink = io.BytesIO()
    pq.write_table(table, sink, row_group_size=10)
    found = read_parquet_rows(opening(sink.getvalue()), count=3)
    assert found.columns == ("n", "b", "t")
    assert [row[0] for row in found.rows] == ["0", "1", "2"]
    assert found.rows[0][1] == "(2 bytes)"
    assert len(found.rows[0][2] or "") == tables.MOST_LETTERS + 1
    assert found.has_more


def test_parquet__without_rows_and_with_many_columns() -> None:
    sink = io.BytesIO()
    pq.write_table(pa.table({f"c{number}": pa.array([], pa.int8()) for number in range(80)}), sink)
    found = read_parquet_rows(opening(sink.getvalue()), count=3)
    assert (len(found.columns), found.rows, found.has_more) == (tables.MOST_COLUMNS, (), True)


def test_text__is_cut() -> None:
    assert read_text(opening(b"abc"), most_bytes=2) == ("ab", True)
    assert read_text(opening(b"\xef\xbb\xbfab"), most_bytes=9) == ("ab", False)
