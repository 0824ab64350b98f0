"""How large a payload is once it is unpacked, without unpacking it. Python worker process.

A few kilobytes of an Arrow IPC stream can stand for terabytes. How many is written before each
compressed buffer, and Arrow never unpacks more than that; pyarrow does not tell it, so the stream's
metadata is read here. A script host may have sent anything: whatever does not hold is a ValueError.
"""

from __future__ import annotations

import struct
from typing import Any

import pyarrow as pa

_VERSION, _HEADER, _BUFFERS, _COMPRESSION = 0, 2, 2, 3
"""Fields of the tables Message and RecordBatch (format/Message.fbs of Arrow), by position."""

_BUFFER = struct.Struct("<qq")
_LENGTH = struct.Struct("<q")
_NOT_COMPRESSED = -1
_V5 = 4


def unpacked_bytes(payload: Any) -> int:
    """The bytes of all buffers in a payload as they will be in memory.

    Raises ValueError if it is no stream of a schema and record batches, and what pyarrow raises.
    """
    total = 0
    for number, message in enumerate(pa.ipc.MessageReader.open_stream(pa.py_buffer(payload))):
        if message.type != ("record batch" if number else "schema"):
            raise ValueError(f"a {message.type} as message {number}")
        if number:
            total += _batch_bytes(memoryview(message.metadata), message.body)
    return total


def _batch_bytes(metadata: memoryview, body: Any) -> int:
    try:
        if _find_version(metadata) != _V5:
            raise ValueError("metadata of another version")
        batch = _follow(metadata, _field(metadata, _follow(metadata, 0), _HEADER))
        buffers = _follow(metadata, _field(metadata, batch, _BUFFERS))
        is_compressed = _find_field(metadata, batch, _COMPRESSION) is not None
        (count,) = struct.unpack_from("<I", metadata, buffers)
        found = metadata[buffers + 4 : buffers + 4 + count * _BUFFER.size]
        if len(found) < count * _BUFFER.size:
            raise ValueError("buffers that are not there")
        return sum(
            _buffer_bytes(body, offset, length, is_compressed=is_compressed)
            for offset, length in _BUFFER.iter_unpack(found)
        )
    except struct.error as error:
        raise ValueError(f"metadata that cannot be read: {error}") from error


def _buffer_bytes(body: Any, offset: int, length: int, *, is_compressed: bool) -> int:
    if not 0 <= offset <= offset + length <= (0 if body is None else body.size):
        raise ValueError("a buffer outside of its message")
    if not length or not is_compressed:
        return length
    (size,) = _LENGTH.unpack_from(memoryview(body), offset)
    if size < _NOT_COMPRESSED:
        raise ValueError(f"a buffer of {size} bytes")
    return length if size == _NOT_COMPRESSED else int(size)


def _find_version(metadata: memoryview) -> int:
    """Earlier ones have another way to say that buffers are compressed."""
    place = _find_field(metadata, _follow(metadata, 0), _VERSION)
    return 0 if place is None else int(struct.unpack_from("<h", metadata, place)[0])


def _follow(metadata: memoryview, place: int) -> int:
    """Where the offset at ``place`` leads."""
    return int(struct.unpack_from("<I", metadata, place)[0]) + place


def _field(metadata: memoryview, table: int, number: int) -> int:
    place = _find_field(metadata, table, number)
    if place is None:
        raise ValueError(f"a table without field {number}")
    return place


def _find_field(metadata: memoryview, table: int, number: int) -> int | None:
    """Where a field of a table lies, None if it has its default."""
    vtable = table - int(struct.unpack_from("<i", metadata, table)[0])
    if vtable < 0:
        raise ValueError("a table without fields")
    (size,) = struct.unpack_from("<H", metadata, vtable)
    entry = 4 + 2 * number
    offset = 0 if entry >= size else struct.unpack_from("<H", metadata, vtable + entry)[0]
    return table + offset if offset else None
