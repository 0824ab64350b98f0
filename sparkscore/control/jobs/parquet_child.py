"""Reads the first rows of Parquet files of any content. Its own process, a child of control.

A file may be made to end the process that reads it, or to fill its memory. This one has limits,
opens no file and no connection: it asks its parent for pieces of the file. Standard library, and
pyarrow in functions; ``parquet_rows`` starts it.

Frames over standard input and output are a length of four bytes and so many bytes. The parent sends
a request as JSON; the child asks with ``{"read": [offset, count]}`` for a frame of raw bytes, as
often as it needs, and ends with its answer.
"""

from __future__ import annotations

import io
import json
import struct
from typing import Any, BinaryIO

MOST_COLUMNS = 50
MOST_LETTERS = 300
CPU_SECONDS = 60
_LENGTH = struct.Struct(">I")


def write_frame(stream: BinaryIO, content: bytes) -> None:
    """Send one frame."""
    stream.write(_LENGTH.pack(len(content)) + content)
    stream.flush()


def read_frame(stream: BinaryIO) -> bytes:
    """The next frame; raises EOFError."""
    (length,) = _LENGTH.unpack(_read_exactly(stream, _LENGTH.size))
    return _read_exactly(stream, length)


def _read_exactly(stream: BinaryIO, count: int) -> bytes:
    content = stream.read(count)
    if len(content) < count:
        raise EOFError
    return content


class _ParentFile(io.RawIOBase):
    """The file that the parent has open."""

    def __init__(self, requests: BinaryIO, answers: BinaryIO, size: int) -> None:
        super().__init__()
        self._requests, self._answers, self._size, self._at = requests, answers, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        starts = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}
        self._at = max(0, starts[whence] + offset)
        return self._at

    def readinto(self, buffer: Any) -> int:
        count = min(len(buffer), max(0, self._size - self._at))
        if count:
            write_frame(self._answers, json.dumps({"read": [self._at, count]}).encode())
            content = read_frame(self._requests)
            count = len(content)
            buffer[:count] = content
            self._at += count
        return count


def read_rows(stream: Any, *, count: int) -> dict[str, Any]:
    """Names of columns, rows as texts, and whether there are more; raises what pyarrow does."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(stream, buffer_size=64 * 1024) as file:
        names = file.schema_arrow.names
        kept = list(range(min(len(names), MOST_COLUMNS)))
        wanted = [names[index] for index in kept]
        batches = file.iter_batches(batch_size=count, columns=wanted, use_threads=False)
        batch = next(batches, None)
        records = [] if batch is None else batch.to_pylist()
        return {
            "columns": [cut(str(name)) for name in wanted],
            "rows": [[render_cell(record[name]) for name in wanted] for record in records],
            "has_more": len(names) > len(kept) or file.metadata.num_rows > len(records),
        }


def render_cell(value: Any) -> str | None:
    """A value as people see it, at most MOST_LETTERS long; None stays None."""
    if value is None or isinstance(value, str):
        return None if value is None else cut(value)
    if isinstance(value, bytes):
        return f"({len(value):,} bytes)"
    if isinstance(value, (dict, list)):
        try:
            return cut(json.dumps(value, ensure_ascii=False, default=str))
        except RecursionError:
            return "(too deep to show)"
    return cut(str(value))


def cut(text: str) -> str:
    """At most MOST_LETTERS of a text, without what is no Unicode."""
    text = text[: MOST_LETTERS + 1].encode("utf-8", errors="replace").decode()
    return text if len(text) <= MOST_LETTERS else f"{text[:MOST_LETTERS]}\N{HORIZONTAL ELLIPSIS}"


def serve(requests: BinaryIO, answers: BinaryIO) -> None:
    """Answer until the parent closes its end."""
    while True:
        try:
            request = json.loads(read_frame(requests))
        except EOFError:
            return
        try:
            file = _ParentFile(requests, answers, request["size"])
            answer = read_rows(file, count=request["count"])
        except EOFError:
            return
        except Exception as error:  # noqa: BLE001 - whatever a file leads to is the answer
            answer = {"error": f"{type(error).__name__}: {cut(str(error))}"}
        write_frame(answers, json.dumps(answer).encode())


def main() -> None:
    """Take limits on, then serve. The last argument is how many bytes of memory files may take."""
    import os
    import resource
    import sys

    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints is no frame
    import pyarrow.parquet  # noqa: F401 - its memory is not the files'

    for kind, most in (
        (resource.RLIMIT_AS, _find_address_bytes() + int(sys.argv[-1])),
        (resource.RLIMIT_CPU, CPU_SECONDS),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
    ):
        resource.setrlimit(kind, (most, most))
    serve(sys.stdin.buffer, answers)


def _find_address_bytes() -> int:
    """How much of its address space this process has taken; 0 where the system does not tell."""
    import os

    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


if __name__ == "__main__":
    main()
