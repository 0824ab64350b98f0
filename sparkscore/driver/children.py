"""The processes that a driver has started: its JVM, whole or half started. Spark driver process.

In local mode those of the workers are below it; the driver is their subreaper, so that orphans of
processes that were killed are found here too.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

from sparkscore.executor.processes import find_children, is_stopped, kill_children

_END_SECONDS = 15.0
_DAEMON_SECONDS = 5.0
_LOOK_SECONDS = 0.05


def end_children(*, but: Collection[int] = ()) -> None:
    """End the children of this process except ``but`` with all below them, and wait for them.

    A JVM whose start was interrupted never looks whether its driver is still there. What comes from
    guards is in sessions of its own: it ends by itself. What is stopped never would.
    """
    left = find_children() - set(but)
    _send({child for child in left if _is_in_our_session(child)}, signal.SIGTERM)
    deadline = time.monotonic() + _END_SECONDS
    while (left := _find_left(but)) and time.monotonic() < deadline:
        _send({child for child in left if is_stopped(child)}, signal.SIGKILL)
        time.sleep(_LOOK_SECONDS)
    if left:
        kill_children(but=but)


def end_python_workers() -> None:
    """End the idle Python workers of Spark in local mode, before Spark itself is stopped.

    Spark closes their connections first: each would write a traceback (BrokenPipeError) to the log.
    """
    started = time.monotonic()
    daemons = {
        child for jvm in find_children() for child in find_children(jvm) if _is_daemon(child)
    }
    _send(daemons, signal.SIGTERM)
    while any(map(_is_daemon, daemons)) and time.monotonic() - started < _DAEMON_SECONDS:
        time.sleep(_LOOK_SECONDS)


def _is_daemon(process: int) -> bool:
    """Whether this is PySpark's daemon; one that has ended has no command line any more."""
    try:
        return b"pyspark.daemon" in Path(f"/proc/{process}/cmdline").read_bytes()
    except OSError:
        return False


def _find_left(but: Collection[int]) -> set[int]:
    return {child for child in find_children() - set(but) if not _is_reaped(child)}


def _is_in_our_session(process: int) -> bool:
    with suppress(ProcessLookupError):
        return os.getsid(process) == os.getsid(0)
    return False


def _send(processes: Collection[int], number: signal.Signals) -> None:
    for process in processes:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(process, number)


def _is_reaped(process: int) -> bool:
    try:
        return os.waitpid(process, os.WNOHANG)[0] == process
    except ChildProcessError:
        return True
