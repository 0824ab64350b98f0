"""Which processes are alive, told apart from later ones with the same id. Control plane."""

from __future__ import annotations

import functools
import os
import socket
from pathlib import Path

from sparkscore.state.records import ProcessIdentity

_STATE, _START_TICKS = 0, 19
"""Fields of /proc/PID/stat, counted after the program's name."""
_DEAD_STATES = ("Z", "X", "x")


def find_identity(process_id: int | None = None) -> ProcessIdentity | None:
    """The identity of a process of this machine, by default this one; None if it has ended."""
    wanted = os.getpid() if process_id is None else process_id
    ticks = _find_start_ticks(wanted)
    if ticks is None:
        return None
    return ProcessIdentity(
        host=socket.gethostname(), process_id=wanted, start_token=f"{_machine_token()}:{ticks}"
    )


def get_own_identity() -> ProcessIdentity:
    """The identity of this process."""
    identity = find_identity()
    assert identity is not None, "a process that runs is alive"
    return identity


def is_alive(identity: ProcessIdentity | None) -> bool | None:
    """Whether the process still runs: None if that cannot be known from here, False for None.

    Processes of other hosts, and of other containers on this host, are out of sight. One that ran
    before this machine started again is dead.
    """
    if identity is None:
        return False
    if identity.host != socket.gethostname():
        return None
    boot, _, rest = identity.start_token.partition(":")
    namespace, _, ticks = rest.rpartition(":")
    own_boot, _, own_namespace = _machine_token().partition(":")
    if boot != own_boot:
        return False
    if namespace != own_namespace:
        return None
    return _find_start_ticks(identity.process_id) == ticks


@functools.cache
def _machine_token() -> str:
    """Boot id and process namespace: a process id means something only within both."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot}:{os.stat('/proc/self/ns/pid').st_ino}"
    except OSError:
        return ":"


def _find_start_ticks(process_id: int) -> str | None:
    """When the process started; None if it has ended, also if nobody has waited for it yet."""
    try:
        stat = Path(f"/proc/{process_id}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return _find_without_proc(process_id)
    fields = stat.rpartition(")")[2].split()
    return None if fields[_STATE] in _DEAD_STATES else fields[_START_TICKS]


def _find_without_proc(process_id: int) -> str | None:
    if os.path.isdir("/proc/self"):
        return None
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        return ""
    return ""
