"""The ways a script host ends other than in order. Python worker process."""

from __future__ import annotations

import signal
from typing import Any

_MEANINGS = {
    signal.SIGKILL: "usually out of memory",
    signal.SIGSEGV: "a fault in native code",
    signal.SIGABRT: "native code gave up",
    signal.SIGBUS: "a fault in native code, or a file that shrank while it was mapped",
    signal.SIGILL: "native code built for another processor",
    signal.SIGFPE: "an arithmetic fault in native code",
    signal.SIGTERM: "something asked it to end: the system, or the script itself",
    signal.SIGSYS: "a system call that is not allowed here",
    signal.SIGXCPU: "a limit on processor time",
    signal.SIGXFSZ: "a limit on the size of files",
}
_WITH_STACK = {signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGILL, signal.SIGFPE}


class HostEndedError(Exception):
    """The host is gone; ``stack`` is its Python stack as faulthandler wrote it, if it could."""

    stack = ""


class HostTimeoutError(HostEndedError):
    """The deadline passed; the host has been killed."""


class HostTooLargeError(HostEndedError):
    """The host's memory passed its limit; the host has been killed. ``args[0]`` is in bytes."""


class HostCrashedError(HostEndedError):
    """The host ended or broke the protocol; ``args[0]`` says how."""


def render_death(code: Any) -> str:
    """A host's exit code or negative signal in words."""
    if not isinstance(code, int):
        return "the script host ended in an unknown way"
    if code >= 0:
        return f"the scoring code ended its process with exit code {code} (os._exit or the like)"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    meaning = _MEANINGS.get(-code)  # type: ignore[call-overload]
    return f"the script host was killed by {name}" + (f" ({meaning})" if meaning else "")


def wrote_stack(code: Any) -> bool:
    """Whether a host that died so has written its stack."""
    return isinstance(code, int) and -code in _WITH_STACK
