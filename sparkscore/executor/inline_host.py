"""Runs the user's code in the Python worker itself (``isolation: inline``). Python worker.

For scripts that need it. The time limit is soft: it interrupts Python code only, and a crash
takes the worker and its Spark task along. What it prints goes to its log files, the worker's own
output is left alone.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Any

from sparkscore.executor.host import Host
from sparkscore.executor.host_ends import HostTimeoutError
from sparkscore.executor.script_host import Reply
from sparkscore.executor.usage import Usage, UsageMeter, read_usage


class InlineHost:
    """Answers like ``ScriptHost``, without a process of its own.

    ``stdout`` and ``stderr`` are the files that the script's output is added to (local paths).
    """

    def __init__(self, environment: dict[str, str], *, stdout: str, stderr: str) -> None:
        self._environment = environment
        self._output = ((1, stdout), (2, stderr))
        self._host: Host | None = None
        self._meter = UsageMeter()

    def is_running(self) -> bool:
        """Whether ``start`` has been called."""
        return self._host is not None

    def open(self) -> None:
        """Nothing to open."""

    def start(self) -> int:
        """Make a new host in this process and return the process id."""
        os.environ.update(self._environment)
        self._host = Host()
        self._meter.start(read_usage())
        return os.getpid()

    def ask(self, header: dict[str, Any], *, timeout_seconds: float) -> Reply:
        """Answer a request; HostTimeoutError once the time is over, if Python code runs then."""
        if self._host is None:
            self.start()
        assert self._host is not None
        limit = _TimeLimit(timeout_seconds)
        with _redirected(self._output):
            try:
                with limit:
                    answer, parts = self._host.answer(header)
            except TimeoutError as error:
                limit.end()
                self._meter.tell(read_usage())
                raise HostTimeoutError from error
        self._meter.tell(answer.get("usage"))
        if limit.passed:
            raise HostTimeoutError
        return Reply(answer, [bytearray(part) for part in parts])

    def take_usage(self) -> Usage:
        """What was used since the last call, by the worker as a whole."""
        return self._meter.take()

    def kill(self) -> None:
        """Forget the loaded script; the next start loads it again."""
        self._host = None

    def release(self) -> None:
        """Let the script clean up."""
        if self._host is not None:
            with _redirected(self._output):
                self._host.shutdown()
            self._host = None


@contextlib.contextmanager
def _redirected(output: tuple[tuple[int, str], ...]) -> Iterator[None]:
    """Adds what is written to these descriptors to files, where those can be opened."""
    with contextlib.ExitStack() as stack:
        _flush()
        for descriptor, path in output:
            with contextlib.suppress(OSError):
                stack.callback(_put_back, descriptor, os.dup(descriptor))
                log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
                os.dup2(log, descriptor)
                os.close(log)
        stack.callback(_flush)
        yield


def _put_back(descriptor: int, kept: int) -> None:
    os.dup2(kept, descriptor)
    os.close(kept)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()


class _TimeLimit:
    """Raises TimeoutError in the main thread after some seconds."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._usable = threading.current_thread() is threading.main_thread()
        self.passed = False

    def __enter__(self) -> _TimeLimit:
        if self._usable:
            self._previous = signal.signal(signal.SIGALRM, self._ring)
            signal.setitimer(signal.ITIMER_REAL, self._seconds)
        return self

    def __exit__(self, *exception: object) -> None:
        self.end()

    def end(self) -> None:
        """Put the signal's handler back; again where the alarm rang in the middle of it."""
        if self._usable:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, self._previous)

    def _ring(self, number: int, frame: FrameType | None) -> None:
        self.passed = True
        raise TimeoutError(f"the time limit of {self._seconds} s has passed")
