"""A driver that runs as a child process of ours. Control plane.

The driver gets a session (and so a process group) of its own: an interrupt typed at the terminal
reaches the front end alone, which then cancels the job in order.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from sparkscore.errors import SubmitError

_EXECUTE_UNTIL_PARENT_ENDS = """\
import ctypes, os, signal, sys
if sys.platform == "linux":
    PR_SET_PDEATHSIG = 1
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
os.execvp(sys.argv[1], sys.argv[1:])
"""


EXIT_CODE_UNKNOWN = 256
"""Stands for the exit code of a process that is not ours to wait for; no process has it."""


class StartProcess(Protocol):
    """How ``submit`` starts a process; tests hand in their own."""

    def __call__(
        self, arguments: Sequence[str], /, *, environment: Mapping[str, str], log_file: Path
    ) -> subprocess.Popen[bytes]: ...


def start_process(
    arguments: Sequence[str], /, *, environment: Mapping[str, str], log_file: Path
) -> subprocess.Popen[bytes]:
    """Start a process in its own session, without input, both outputs appended to ``log_file``."""
    try:
        log_file.parent.mkdir(parents=True, exist_ok=True)
        with log_file.open("ab") as log:
            return subprocess.Popen(
                list(arguments),
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
    except OSError as error:
        raise SubmitError(
            f"cannot start the driver ({arguments[0]}): {error.strerror}",
            command=list(arguments),
        ) from error


def stop_with_parent(arguments: Sequence[str]) -> tuple[str, ...]:
    """The same command, ended with SIGTERM when this process ends (on Linux).

    For programs that do not look at STOP_WITH_PARENT themselves. A wrapper rather than
    ``preexec_fn``, which is unsafe while other threads run.
    """
    return (sys.executable, "-c", _EXECUTE_UNTIL_PARENT_ENDS, *arguments)


@dataclass(frozen=True)
class DriverProcess:
    """A started driver: what ``submit`` returns where the driver runs on this machine.

    ``marker`` is an argument that stands only on the driver's own command line; it finds the
    Python driver beneath a launcher such as spark-submit.
    """

    process: subprocess.Popen[bytes]
    marker: str

    @property
    def process_id(self) -> int:
        """The process that was started: the driver, or the launcher above it."""
        return self.process.pid

    def poll(self) -> int | None:
        """The exit code once the driver has ended, negative for a signal; else None."""
        return self.process.poll()

    def cancel(self) -> None:
        """Ask the driver to cancel the job; without effect once it has ended."""
        if self.poll() is None:
            _cancel_group(self.process.pid, marker=self.marker)

    def kill(self) -> None:
        """End the driver's whole process group at once; without effect once it has ended."""
        if self.poll() is None:
            _signal(os.killpg, self.process.pid, signal.SIGKILL)
            self.process.wait()


@dataclass(frozen=True)
class AdoptedDriver:
    """A driver that an earlier process of ours started and that outlived it.

    ``process_id`` leads its process group. ``is_alive`` knows it from a later process that was
    given the same id.
    """

    process_id: int
    marker: str
    is_alive: Callable[[], bool]

    def poll(self) -> int | None:
        """EXIT_CODE_UNKNOWN once it has ended, None before."""
        return None if self.is_alive() else EXIT_CODE_UNKNOWN

    def cancel(self) -> None:
        """Ask the driver to cancel the job; without effect once it has ended."""
        if self.is_alive():
            _cancel_group(self.process_id, marker=self.marker)

    def kill(self) -> None:
        """End the driver's whole process group at once; without effect once it has ended."""
        if self.is_alive():
            _signal(os.killpg, self.process_id, signal.SIGKILL)


def _cancel_group(group: int, *, marker: str) -> None:
    driver = find_python_process(group, marker=marker)
    if driver is None:
        _signal(os.killpg, group, signal.SIGTERM)
    else:
        _signal(os.kill, driver, signal.SIGTERM)


class _Kill(Protocol):
    def __call__(self, process_id: int, number: int, /) -> None: ...


def _signal(kill: _Kill, process_id: int, number: signal.Signals) -> None:
    try:
        kill(process_id, number)
    except ProcessLookupError:
        return


def find_python_process(group: int, *, marker: str) -> int | None:
    """The youngest Python process of a process group with ``marker`` among its arguments.

    Reads /proc; None where there is none (macOS) or no such process.
    """
    found = [
        process_id
        for process_id in _iter_process_ids()
        if _is_python_with(process_id, marker=marker) and _group_of(process_id) == group
    ]
    return max(found, default=None)


def find_driver_group(*, marker: str) -> int | None:
    """The process group of a driver with ``marker`` among its arguments; None if there is none.

    For a driver whose launcher was killed before it could say what it started.
    """
    for process_id in _iter_process_ids():
        if _is_python_with(process_id, marker=marker):
            return _group_of(process_id)
    return None


def _iter_process_ids() -> list[int]:
    try:
        return [int(name) for name in os.listdir("/proc") if name.isdigit()]
    except OSError:
        return []


def _is_python_with(process_id: int, *, marker: str) -> bool:
    try:
        arguments = Path(f"/proc/{process_id}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return b"python" in os.path.basename(arguments[0]) and os.fsencode(marker) in arguments


def _group_of(process_id: int) -> int | None:
    try:
        return os.getpgid(process_id)
    except OSError:
        return None
