"""Frames from a script host that may send anything."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkscore.executor import frames

HEADERS = st.dictionaries(st.text(max_size=5).filter(lambda key: key != "parts"), st.integers())


@given(header=HEADERS, parts=st.lists(st.binary(max_size=50), max_size=4))
def test_frames__round_trip(header: dict[str, int], parts: list[bytes]) -> None:
    data = b"".join(bytes(buffer) for buffer in frames.encode(header, parts))
    header_bytes, parts_bytes = frames.decode_prefix(data[: frames.PREFIX.size])
    start = frames.PREFIX.size
    decoded = frames.decode_header(data[start : start + header_bytes], parts_bytes=parts_bytes)
    assert decoded.pop("parts") == [len(part) for part in parts]
    assert decoded == header
    assert data[start + header_bytes :] == b"".join(parts)


@given(text=st.binary(max_size=200), parts_bytes=st.integers(0, 2**64 - 1))
def test_frames__any_header_bytes_give_a_header_or_a_frame_error(
    text: bytes, parts_bytes: int
) -> None:
    try:
        header = frames.decode_header(text, parts_bytes=parts_bytes)
    except frames.FrameError:
        return
    assert sum(header["parts"]) == parts_bytes


@pytest.mark.parametrize(
    "text", [b'{"parts": [-1, 1]}', b'{"parts": [true]}', b'{"parts": [1e9]}', b"[]", b"1" * 50]
)
def test_frames__lengths_that_do_not_add_up_are_refused(text: bytes) -> None:
    with pytest.raises(frames.FrameError):
        frames.decode_header(text, parts_bytes=0)


def test_frames__header_of_absurd_length_is_refused() -> None:
    with pytest.raises(frames.FrameError):
        frames.decode_prefix(b"x" * frames.PREFIX.size)


def test_frames__parts_without_end_are_refused() -> None:
    text = b'{"parts": [%s0]}' % (b"0," * frames.MAX_PART_COUNT)
    with pytest.raises(frames.FrameError):
        frames.decode_header(text, parts_bytes=0)


def test_frames__reader_sees_the_end_of_a_pipe_as_none() -> None:
    reading, writing = os.pipe()
    frames.write_all(writing, frames.encode({"type": "init"}))
    os.write(writing, b"half")
    os.close(writing)
    assert frames.read_frame(reading) == {"type": "init", "parts": []}
    assert frames.read_frame(reading) is None
    os.close(reading)
