"""Linux process control for the guard and the script host; does nothing elsewhere."""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import signal
import sys
import time
from collections.abc import Collection

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_LOOK_SECONDS = 1.0


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


def find_children(parent: int | None = None) -> set[int]:
    """The children of a process, this one if none is named; none where there is no /proc."""
    found: set[int] = set()
    tasks = f"/proc/{parent or 'self'}/task"
    try:
        threads = os.listdir(tasks)
    except OSError:
        return found
    for thread in threads:
        try:
            with open(f"{tasks}/{thread}/children", encoding="ascii") as children:
                found.update(int(pid) for pid in children.read().split())
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
    return kill_children().get(leader)


def kill_children(*, but: Collection[int] = ()) -> dict[int, resource.struct_rusage | None]:
    """Kill the children of this process except ``but``, and theirs, which come here as they are
    orphaned if this is a subreaper; returns what each used once all are reaped.
    """
    used: dict[int, resource.struct_rusage | None] = {}
    while children := find_children().difference(but):
        for pid in children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            used[pid] = _reap(pid)
    return used


class StopWatch:
    """Finds workers that stay stopped (SIGSTOP): nobody else would, they end no connection.

    It looks at process ``pid`` and at its siblings that run the same command: one that has just
    started has no watch of its own yet, and that of another may have been killed. Looks are
    counted, not seconds: the watcher may have been stopped with them, and woken up first.
    """

    def __init__(self, pid: int, *, seconds: float) -> None:
        self._pid = pid
        self._most_looks = max(1, round(seconds / _LOOK_SECONDS))
        self._looks: dict[int, int] = {}
        self._look_at = time.monotonic()

    def find_over(self) -> list[int]:
        """The processes that were found stopped again and again; to be asked about once a second.

        None where there is no /proc.
        """
        now = time.monotonic()
        if now >= self._look_at:
            self._look_at = now + _LOOK_SECONDS * 0.9
            stopped = [pid for pid in self._find_alike() if is_stopped(pid)]
            self._looks = {pid: self._looks.get(pid, 0) + 1 for pid in stopped}
        return [pid for pid, looks in self._looks.items() if looks >= self._most_looks]

    def _find_alike(self) -> set[int]:
        command, parent = _command(self._pid), _parent(self._pid)
        siblings = find_children(parent) if parent > 1 else set()
        return {self._pid, *(pid for pid in siblings if command and _command(pid) == command)}


def is_stopped(pid: int) -> bool:
    """Whether a signal has stopped a process; False where there is no /proc."""
    return _state(pid)[0] == "T"


def _parent(pid: int) -> int:
    return int(_state(pid)[1])


def _state(pid: int) -> list[str]:
    """The fields of a process's state after its name; those of none if it is gone."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as stat:
            return stat.read().rpartition(")")[2].split()
    except OSError:
        return ["X", "0"]


def _command(pid: int) -> bytes:
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as command:
            return command.read()
    except OSError:
        return b""


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
