"""The processes that a driver has started: its JVM, whole or half started. Spark driver process."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Collection
from contextlib import suppress

_END_SECONDS = 15.0
_LOOK_SECONDS = 0.05


def find_children() -> set[int]:
    """The children of this process; none where there is no /proc."""
    found: set[int] = set()
    with suppress(OSError):
        for thread in os.listdir("/proc/self/task"):
            with (
                suppress(OSError),
                open(f"/proc/self/task/{thread}/children", encoding="ascii") as children,
            ):
                found.update(map(int, children.read().split()))
    return found


def end_children(*, but: Collection[int] = ()) -> None:
    """End the children of this process except ``but``, and wait for them.

    A JVM whose start was interrupted never looks whether its driver is still there.
    """
    left = find_children() - set(but)
    _send(left, signal.SIGTERM)
    deadline = time.monotonic() + _END_SECONDS
    while left and time.monotonic() < deadline:
        left = {child for child in left if not _is_reaped(child)}
        time.sleep(_LOOK_SECONDS)
    _send(left, signal.SIGKILL)


def _send(processes: Collection[int], number: signal.Signals) -> None:
    for process in processes:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(process, number)


def _is_reaped(process: int) -> bool:
    try:
        return os.waitpid(process, os.WNOHANG)[0] == process
    except ChildProcessError:
        return True
