"""Framed messages between Python worker and script host: JSON header, then binary parts.

A frame is ``<uint32 header length><uint64 parts length><header><parts>``; the header's ``parts``
lists the length of each part. What comes from a host is never trusted: every length is bounded.
"""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Sequence
from typing import Any

PREFIX = struct.Struct("<IQ")
MAX_HEADER_BYTES = 256 * 1024 * 1024
MAX_REPLY_HEADER_BYTES = 64 * 1024 * 1024
"""A reply has no list of paths, and JSON may take 20 times its size in memory."""
MAX_PART_BYTES = 1024 * 1024 * 1024
MAX_PART_COUNT = 65_536
MAX_PARTS_BYTES = 4 * 1024 * 1024 * 1024
"""The results of one call of ``run``, packed: the worker holds them in memory."""


class FrameError(Exception):
    """Bytes that are no frame: user code wrote to the pipe, or died in the middle."""


def encode(header: dict[str, Any], parts: Sequence[Any] = ()) -> list[Any]:
    """The buffers of one frame, to be written in order."""
    lengths = [memoryview(part).nbytes for part in parts]
    text = json.dumps({**header, "parts": lengths}).encode()
    return [PREFIX.pack(len(text), sum(lengths)) + text, *parts]


def decode_prefix(prefix: bytes, *, max_header_bytes: int = MAX_HEADER_BYTES) -> tuple[int, int]:
    """Header length and parts length, in bytes."""
    header_bytes, parts_bytes = PREFIX.unpack(prefix)
    if header_bytes > max_header_bytes:
        raise FrameError(f"a header of {header_bytes} bytes")
    if parts_bytes > MAX_PARTS_BYTES:
        raise FrameError(f"parts of {parts_bytes} bytes")
    return header_bytes, parts_bytes


def decode_header(text: bytes, *, parts_bytes: int) -> dict[str, Any]:
    """The header as a dict, its ``parts`` checked."""
    try:
        header = json.loads(text)
        parts = header["parts"]
        valid = all(type(part) is int and 0 <= part <= MAX_PART_BYTES for part in parts)
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise FrameError(f"an unreadable header: {error}") from error
    if not valid or len(parts) > MAX_PART_COUNT or sum(parts) != parts_bytes:
        raise FrameError("parts that do not add up")
    return header  # type: ignore[no-any-return]


def write_all(descriptor: int, buffers: Sequence[Any]) -> None:
    """Write every byte to a blocking descriptor."""
    for buffer in buffers:
        view = memoryview(buffer).cast("B")
        while view.nbytes:
            view = view[os.write(descriptor, view[: 1 << 20]) :]


def read_exact(descriptor: int, count: int) -> bytes | None:
    """``count`` bytes from a blocking descriptor; None at its end."""
    chunks = []
    while count:
        chunk = os.read(descriptor, min(count, 1 << 20))
        if not chunk:
            return None
        chunks.append(chunk)
        count -= len(chunk)
    return b"".join(chunks)


def read_frame(descriptor: int) -> dict[str, Any] | None:
    """The header of the next frame from a blocking descriptor; None at its end."""
    prefix = read_exact(descriptor, PREFIX.size)
    if prefix is None:
        return None
    header_bytes, parts_bytes = decode_prefix(prefix)
    text = read_exact(descriptor, header_bytes)
    return None if text is None else decode_header(text, parts_bytes=parts_bytes)
