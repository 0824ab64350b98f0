"""Parquet files of any content: what reads them has limits, and its end is nobody else's."""

from __future__ import annotations

import io
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparkscore.control.jobs import parquet_rows
from sparkscore.control.jobs.parquet_rows import close_idle, read_parquet_head


@pytest.fixture(autouse=True)
def children() -> Iterator[None]:
    """Those of a test are its own."""
    close_idle()
    yield
    close_idle()


def make_file(**columns: object) -> io.BytesIO:
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink, compression="zstd")
    return sink


def read(stream: io.BytesIO) -> list[list[str | None]]:
    rows: list[list[str | None]] = read_parquet_head(stream, count=2)["rows"]
    return rows


def test_parquet__children_are_used_again() -> None:
    for _ in range(3):
        assert read(make_file(a=[1, 2, 3], b=["x", None, "z"])) == [["1", "x"], ["2", None]]
    (child,) = parquet_rows._idle
    assert child.uses == 3


def test_parquet__too_large_for_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet_rows, "MEMORY_BYTES", 64 * 1024**2)
    bomb = make_file(a=[b"\0" * (160 * 1024**2)])
    assert bomb.tell() < 1024**2
    with pytest.raises(pa.ArrowInvalid):
        read(bomb)
    assert read(make_file(a=[1])) == [["1"]]


def test_parquet__more_is_read_than_a_look_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet_rows, "MOST_READ_BYTES", 10)
    with pytest.raises(pa.ArrowInvalid):
        read(make_file(a=[1]))
    assert parquet_rows._idle == []


@pytest.mark.parametrize("ending", ["os.kill(os.getpid(), 11)", "os._exit(0)", "time.sleep(600)"])
def test_parquet__the_end_of_a_child(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, ending: str
) -> None:
    script = tmp_path / "ends.py"
    script.write_text(f"import os, sys, time\nsys.stdin.buffer.read(4)\n{ending}\n")
    with monkeypatch.context() as patch:
        patch.setattr(parquet_rows, "_CHILD", script)
        patch.setattr(parquet_rows, "TIMEOUT_SECONDS", 0.5)
        with pytest.raises(pa.ArrowInvalid):
            read(make_file(a=[1]))
    assert read(make_file(a=[1])) == [["1"]]


def test_parquet__a_stream_that_fails_leaves_no_child() -> None:
    class Broken(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            raise OSError("no such block")

    with pytest.raises(OSError, match="no such block"):
        read(Broken(make_file(a=[1]).getvalue()))
    assert parquet_rows._idle == []


def test_parquet__many_at_once() -> None:
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda number: read(make_file(a=[number])), range(40)))
    assert found == [[[str(number)]] for number in range(40)]
    assert 1 <= len(parquet_rows._idle) <= 2


@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_parquet__any_bytes(data: st.DataObject) -> None:
    content = bytearray(make_file(a=list(range(50)), b=["x" * 9] * 50).getvalue())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    try:
        rows = read(io.BytesIO(bytes(content)))
    except pa.ArrowInvalid:
        return
    assert all(cell is None or isinstance(cell, str) for row in rows for cell in row)
