"""The first rows of Parquet files that anybody may have made. Control plane.

They are read in a child process with limits, see ``parquet_child``: no file can end this process or
fill its memory. Children are kept for the next file; what went wrong ends only its own child.
"""

from __future__ import annotations

import atexit
import json
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from sparkscore.control.jobs.parquet_child import read_frame, write_frame

TIMEOUT_SECONDS = 30.0
MEMORY_BYTES = 512 * 1024**2
"""What reading a file may take in its child, besides the child itself."""
MOST_READ_BYTES = 128 * 1024**2
_MOST_CHILDREN = 2
_MOST_USES = 200
"""A child's processor time is limited over all it reads."""
_QUICK_SECONDS = 1.0
_ENVIRONMENT = {
    "ARROW_DEFAULT_MEMORY_POOL": "system",
    "MALLOC_ARENA_MAX": "1",
    "OMP_NUM_THREADS": "1",
}
"""Other allocators take room that they do not use, which would count."""
_CHILD = Path(__file__).with_name("parquet_child.py")
_BOOT = (
    "import json, runpy, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "runpy.run_path(sys.argv[2], run_name='__main__')"
)


class _Child:
    """One child process, for one file at a time."""

    def __init__(self) -> None:
        boot = [sys.executable, "-I", "-c", _BOOT, json.dumps(sys.path), str(_CHILD)]
        self._process = subprocess.Popen(
            [*boot, str(MEMORY_BYTES)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=_ENVIRONMENT,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._requests: Any = self._process.stdin
        self._answers: Any = self._process.stdout
        self.uses = 0

    def read(self, stream: Any, *, count: int) -> dict[str, Any]:
        """The child's answer; raises EOFError if it has ended, or OSError of the stream."""
        self.uses += 1
        left = MOST_READ_BYTES
        size = stream.seek(0, 2)
        self._send(json.dumps({"count": count, "size": size}).encode())
        while True:
            answer: dict[str, Any] = json.loads(read_frame(self._answers))
            if "read" not in answer:
                return answer
            offset, wanted = answer["read"]
            left -= wanted
            if left < 0:
                raise EOFError
            stream.seek(offset)
            self._send(stream.read(wanted))

    def _send(self, content: bytes) -> None:
        try:
            write_frame(self._requests, content)
        except BrokenPipeError as error:
            raise EOFError from error

    def kill(self) -> None:
        """End it, at once."""
        self._process.kill()

    def close(self) -> None:
        """End it, and wait until it has."""
        self.kill()
        self._process.wait()
        self._answers.close()
        with suppress(BrokenPipeError):
            self._requests.close()


_idle: list[_Child] = []
_places = threading.BoundedSemaphore(_MOST_CHILDREN)
_lock = threading.Lock()


def read_parquet_head(stream: Any, *, count: int) -> dict[str, Any]:
    """Columns, rows as texts and ``has_more`` of a file open for reading; see ``parquet_child``.

    Raises pyarrow's ArrowInvalid for what cannot be read within the limits, OSError of the stream.
    """
    import pyarrow as pa

    with _places:
        child = _take()
        started, is_well = time.monotonic(), False
        watch = threading.Timer(TIMEOUT_SECONDS, child.kill)
        watch.start()
        try:
            answer = child.read(stream, count=count)
            is_well = time.monotonic() - started < _QUICK_SECONDS and child.uses < _MOST_USES
        except EOFError as error:
            raise pa.ArrowInvalid(
                "reading it took too much memory or time, or ended the process that read it"
            ) from error
        finally:
            watch.cancel()
            _put_back(child, is_well=is_well)
    if "error" in answer:
        raise pa.ArrowInvalid(answer["error"])
    return answer


def _take() -> _Child:
    with _lock:
        if _idle:
            return _idle.pop()
    return _Child()


def _put_back(child: _Child, *, is_well: bool) -> None:
    if not is_well:
        child.close()
        return
    with _lock:
        _idle.append(child)


@atexit.register
def close_idle() -> None:
    """End the children that wait for work."""
    with _lock:
        while _idle:
            _idle.pop().close()
