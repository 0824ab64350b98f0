"""Replies that a hostile script host makes up: read whole, or refused; never believed in part."""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkscore.executor import frames
from sparkscore.executor.payload_size import unpacked_bytes
from sparkscore.executor.replies import ReplyError, read_run_reply, told_failure
from sparkscore.executor.results import iter_payloads, results_table
from sparkscore.executor.script_host import Reply
from sparkscore.executor.usage import UsageMeter
from sparkscore.messages.codec import to_json
from tests.fuzz.wild import VALUES, changed_content, damaged_bytes

VALUES_OF_COLUMNS = {
    "text": ["a", None, "é" * 900],
    "number": [1.5, None, -0.0],
    "whole": [2**62, None, -1],
    "flag": [True, None, False],
    "nothing": [None, None, None],
    "bytes": [b"\0\xff", None, b""],
}
TABLE = results_table(
    [
        dict(zip(VALUES_OF_COLUMNS, row, strict=True))
        for row in zip(*VALUES_OF_COLUMNS.values(), strict=True)
    ]
).table
PAYLOADS = [*iter_payloads(TABLE), *iter_payloads(results_table(["x" * 5000] * 40).table)]
RUN = {
    "ok": True,
    "inputs_done": 2,
    "rows": 0,
    "missing": [0],
    "bad_rows": [{"file": "f", "row": 1, "message": "m"}],
    "usage": {"cpu_seconds": 1.5, "peak_memory_bytes": 10},
}
FAILURE = {"ok": False, "failure": {"condition": "A", "message": "b", "traceback": "c"}}


@given(data=st.data())
def test_run_reply__any_header(data: st.DataObject) -> None:
    header = data.draw(changed_content(RUN))
    meter = UsageMeter()
    meter.tell(header.get("usage"))
    usage = meter.take()
    assert 0 <= usage.cpu_seconds < 1e13
    try:
        told = read_run_reply(Reply(header, []), inputs=3, merged=True, schema=None)
    except ReplyError as error:
        str(error).encode()
        return
    assert 0 <= told.inputs_done <= 3
    assert told.rows == 0
    assert set(told.missing or ()) <= {0, 1, 2}


@given(data=st.data())
def test_failure_reply__any_header(data: st.DataObject) -> None:
    try:
        failure = told_failure(Reply(data.draw(changed_content(FAILURE)), []))
    except ReplyError:
        return
    assert len(to_json(failure)) < 300_000


@given(data=st.data())
def test_payload__damaged(data: st.DataObject) -> None:
    payload = data.draw(st.sampled_from(PAYLOADS).flatmap(damaged_bytes))
    rows = data.draw(st.sampled_from([3, 40]))
    header = {**RUN, "rows": rows}
    try:
        told = read_run_reply(
            Reply(header, [bytearray(payload)]), inputs=2, merged=True, schema=None
        )
    except ReplyError as error:
        assert len(str(error)) < 1000
        return
    table = pa.ipc.open_stream(payload).read_all()
    table.validate(full=True)
    assert table.num_rows == told.rows == rows


@pytest.mark.parametrize("payload", PAYLOADS)
def test_payload__size_is_known_before_it_is_unpacked(payload: bytes) -> None:
    table = pa.ipc.open_stream(payload).read_all()
    buffers = sum(
        buffer.size
        for column in table.columns
        for chunk in column.chunks
        for buffer in chunk.buffers()
        if buffer is not None
    )
    assert buffers <= unpacked_bytes(payload) <= buffers + 64 * len(table.columns) * 3


@given(header=st.dictionaries(st.text(max_size=5), VALUES, max_size=3), parts=VALUES)
def test_header__any_parts(header: dict[str, Any], parts: Any) -> None:
    text = json.dumps({**header, "parts": parts}).encode()
    try:
        decoded = frames.decode_header(text, parts_bytes=0)
    except frames.FrameError:
        return
    assert not any(decoded["parts"])
