"""The Python stack of a script host at its end. Script host process and guard.

``faulthandler`` writes it to a file: when native code crashes, and when the guard asks for it
before it kills the host. It works while native code runs, but not while signals are blocked.
"""

from __future__ import annotations

import contextlib
import faulthandler
import os
import signal
import time

from sparkscore.executor.log_file import open_plain

_SIGNAL = getattr(signal, "SIGRTMAX", None)
_DESCRIPTOR = 200
_WAIT_SECONDS = 0.05
_LOOK_SECONDS = 0.003
_MAX_BYTES = 64 * 1024


def watch(file: str | None) -> None:
    """In the host: write stacks to ``file``, or to standard error without one."""
    if file is None:
        faulthandler.enable()
        return
    with contextlib.suppress(OSError, ValueError):
        descriptor = _open(file)
        faulthandler.enable(descriptor, all_threads=True)
        if _SIGNAL is not None:
            faulthandler.register(_SIGNAL, descriptor, all_threads=True, chain=False)


def _open(file: str) -> int:
    """A descriptor far from those that a script might close or write to by mistake."""
    import fcntl

    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC
    descriptor = os.open(file, flags, 0o644)
    try:
        far = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, _DESCRIPTOR)
    except OSError:
        return descriptor
    os.close(descriptor)
    return far


def ask_for_stack(host: int, file: str) -> None:
    """In the guard: let the host of this pidfd write its stack; waits for at most 50 ms."""
    if _SIGNAL is None:
        return
    with contextlib.suppress(OSError):
        os.truncate(file, 0)
        signal.pidfd_send_signal(host, _SIGNAL)
        deadline, seen = time.monotonic() + _WAIT_SECONDS, 0
        while time.monotonic() < deadline:
            time.sleep(_LOOK_SECONDS)
            size = os.path.getsize(file)
            if size and size == seen:
                break
            seen = size


def read_stack(file: str | None) -> str:
    """What was written, at most its last 64 KiB; empty if there is nothing."""
    if file is None:
        return ""
    with contextlib.suppress(OSError), open(file, "rb", opener=open_plain) as stack:
        stack.seek(max(0, os.fstat(stack.fileno()).st_size - _MAX_BYTES))
        return stack.read(_MAX_BYTES).decode("utf-8", "replace")
    return ""
