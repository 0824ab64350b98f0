"""Linux process control for the guard and the script host; does nothing elsewhere."""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import signal
import sys

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def _prctl(option: int, value: int) -> None:
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def become_subreaper() -> None:
    """Orphaned descendants of this process become its children, not those of init."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def die_with_parent(parent: int, *, with_signal: int = signal.SIGKILL) -> None:
    """This process gets ``with_signal`` when its parent ends; it exits if that is gone already.

    The kernel sends it when the *thread* that forked ends: fork from the main thread.
    """
    _prctl(_PR_SET_PDEATHSIG, with_signal)
    if os.getppid() != parent:
        os._exit(0)


def _children() -> list[int]:
    found: list[int] = []
    for thread in os.listdir("/proc/self/task"):
        try:
            with open(f"/proc/self/task/{thread}/children", encoding="ascii") as children:
                found.extend(int(pid) for pid in children.read().split())
        except OSError:
            continue
    return found


def kill_group(leader: int) -> None:
    """SIGKILL to the process group of ``leader``, which may be gone already."""
    try:
        os.killpg(leader, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return


def kill_descendants(leader: int) -> resource.struct_rusage | None:
    """Kill the group of ``leader`` and whatever it started; returns when all are reaped.

    The answer is what ``leader`` and the children that it had reaped used. Runs in the subreaper:
    descendants that left the group are reparented to it as their parents die, so killing and
    reaping its children until none is left finds them all.
    """
    kill_group(leader)
    if not os.path.exists("/proc/self/task"):
        return _reap(leader)
    used = None
    while True:
        children = _children()
        if not children:
            return used
        for pid in children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            reaped = _reap(pid)
            used = reaped if pid == leader else used


def session_memory_bytes(leader: int) -> int:
    """Resident memory of all processes in the session that ``leader`` leads; 0 without /proc.

    Pages that several of them share count for each.
    """
    total = 0
    for entry in os.listdir("/proc") if os.path.isdir("/proc/self") else []:
        if entry.isdigit():
            total += _resident_bytes(entry, session=leader)
    return total


def _resident_bytes(pid: str, *, session: int) -> int:
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as stat:
            fields = stat.read().rpartition(")")[2].split()
    except OSError:
        return 0
    return int(fields[21]) * _PAGE_BYTES if int(fields[3]) == session else 0


def _reap(pid: int) -> resource.struct_rusage | None:
    try:
        return os.wait4(pid, 0)[2]
    except ChildProcessError:
        return None
