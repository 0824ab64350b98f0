"""Processor time and peak memory of script hosts. Script host, guard, Python worker.

A host tells its figures with each reply, its guard tells those of a dead one. Both count from the
start of the host; the worker's meter makes figures of single attempts of them.
"""

from __future__ import annotations

import contextlib
import os
import resource
import sys
import time
from dataclasses import dataclass
from typing import Any

_RSS_BYTES = 1 if sys.platform == "darwin" else 1024
_MOST_BYTES = 1 << 62
_MOST_SECONDS = 1e12
_RESET_SECONDS = 0.02


@dataclass(frozen=True)
class Usage:
    """User and system time, and the most resident memory at one time."""

    cpu_seconds: float = 0.0
    peak_memory_bytes: int = 0


_reset_at = 0.0


def reset_peak() -> None:
    """Let the kernel measure this process's peak memory anew, where it can.

    Runs of a few milliseconds share a measurement: it would cost more than some of them.
    """
    global _reset_at
    if time.monotonic() < _reset_at:
        return
    _reset_at = time.monotonic() + _RESET_SECONDS
    with contextlib.suppress(OSError):
        descriptor = os.open("/proc/self/clear_refs", os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(descriptor, b"5")
        finally:
            os.close(descriptor)


def read_usage() -> dict[str, Any]:
    """This process's time with its reaped children, and its peak memory since ``reset_peak``."""
    mine = resource.getrusage(resource.RUSAGE_SELF)
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = mine.ru_utime + mine.ru_stime + children.ru_utime + children.ru_stime
    return {"cpu_seconds": seconds, "peak_memory_bytes": mine.ru_maxrss * _RSS_BYTES}


def render_usage(reaped: resource.struct_rusage) -> dict[str, Any]:
    """The same of a process that was waited for."""
    return {
        "cpu_seconds": reaped.ru_utime + reaped.ru_stime,
        "peak_memory_bytes": reaped.ru_maxrss * _RSS_BYTES,
    }


class UsageMeter:
    """What was used since it was taken last; believes no figure that cannot be."""

    def __init__(self) -> None:
        self._told_seconds = self._seconds = 0.0
        self._peak = 0

    def start(self, told: Any = None) -> None:
        """A new process counts from the figures ``told``, or from nothing."""
        self._told_seconds = _number(told, "cpu_seconds", most=_MOST_SECONDS)

    def tell(self, told: Any) -> None:
        """Take figures that a host or its guard told."""
        seconds = _number(told, "cpu_seconds", most=_MOST_SECONDS)
        self._seconds += max(0.0, seconds - self._told_seconds)
        self._told_seconds = max(seconds, self._told_seconds)
        self.sample(int(_number(told, "peak_memory_bytes", most=_MOST_BYTES)))

    def sample(self, memory_bytes: int) -> None:
        """Take a measurement of memory."""
        self._peak = max(self._peak, memory_bytes)

    def take(self) -> Usage:
        """The figures since the last call."""
        usage = Usage(round(self._seconds, 6), self._peak)
        self._seconds, self._peak = 0.0, 0
        return usage


def _number(told: Any, name: str, *, most: float) -> float:
    value = told.get(name) if isinstance(told, dict) else None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return 0
    return value if 0 <= value <= most else 0
