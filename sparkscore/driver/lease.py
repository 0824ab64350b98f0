"""One driver per job folder at a time. Spark driver process.

A lease is a file ``lease/<token>.json``, made with O_EXCL, so that one driver gets each token; the
highest token holds the folder. Nobody but its holder touches the file, and no file is removed: a
driver that was paused and wakes up beside its successor cannot take anything back.

The heartbeat renews the file's modification time. Whoever wants the folder watches whether that
time *changes*, on its own monotonic clock, and never compares it with a clock. So clocks may be
wrong or jump, and a full disk does not stop the heartbeat.

Between its last look at the lease and a write a driver can be paused for any time. Therefore no
look alone protects the record: see ``staged_waves`` for waves, and ``publish`` for names that
carry the token.
"""

from __future__ import annotations

import os
import re
import socket
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from sparkscore.driver.held_lease import HeldLease
from sparkscore.errors import MessageError, StateError
from sparkscore.messages.codec import from_json, to_json
from sparkscore.messages.resume import LeaseMessage

HEARTBEAT_SECONDS = 1.0
STALE_SECONDS = 30.0
"""How long a lease without a heartbeat is watched before it is taken over."""

_LOOK_SECONDS = 0.2
_LEASE = re.compile(r"(\d{6,})\.json")
_STATE, _START_TICKS = 0, 19
"""Fields of /proc/PID/stat, counted after the program's name."""


class Lease(HeldLease):
    """The lease of a folder that each driver sees."""

    def __init__(self, folder: Path, token: int, *, heartbeat_seconds: float) -> None:
        super().__init__(token, place=str(folder.parent), beat_seconds=heartbeat_seconds)
        self._folder, self._file = folder, _lease_file(folder, token)
        self._thread.start()

    def _look(self) -> bool:
        """A folder that is gone is lost as well."""
        try:
            return find_newest_token(self._folder) != self.token
        except FileNotFoundError:
            return True
        except OSError:
            return False

    def _beat(self) -> None:
        with suppress(OSError):
            os.utime(self._file)

    def _mark_released(self) -> None:
        with suppress(OSError):
            _release_mark(self._folder, self.token).touch()


def take_lease(
    folder: Path,
    *,
    check: Callable[[], None] = lambda: None,
    stale_seconds: float = STALE_SECONDS,
    heartbeat_seconds: float = HEARTBEAT_SECONDS,
) -> Lease:
    """The lease of the job folder above ``folder``.

    Raises StateError (LEASE_HELD) once another holder shows a heartbeat, OSError if the folder
    cannot be written, and what ``check`` raises, which is called while a stale lease is watched.
    """
    folder.mkdir(parents=True, exist_ok=True)
    while True:
        newest = find_newest_token(folder)
        if newest:
            _wait_until_free(folder, newest, check=check, stale_seconds=stale_seconds)
        token = newest + 1
        if _claim(folder, token):
            return Lease(folder, token, heartbeat_seconds=heartbeat_seconds)


def find_newest_token(folder: Path) -> int:
    """The highest token that was given, 0 if none was."""
    matches = (_LEASE.fullmatch(name) for name in os.listdir(folder))
    return max((int(match.group(1)) for match in matches if match), default=0)


def _claim(folder: Path, token: int) -> bool:
    file = _lease_file(folder, token)
    try:
        descriptor = os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644)
    except FileExistsError:
        return False
    with os.fdopen(descriptor, "w", encoding="utf-8") as lease:
        lease.write(to_json(describe_owner(token)))
    return True


def describe_owner(token: int) -> LeaseMessage:
    """This process as the holder of ``token``."""
    return LeaseMessage(
        token=token,
        host=socket.gethostname(),
        machine=_find_machine(),
        process=os.getpid(),
        started=_find_start(os.getpid()) or "",
        mark=uuid.uuid4().hex,
    )


def _wait_until_free(
    folder: Path, token: int, *, check: Callable[[], None], stale_seconds: float
) -> None:
    file = _lease_file(folder, token)
    first, started = _find_beat(file), time.monotonic()
    while time.monotonic() - started < stale_seconds:
        if _release_mark(folder, token).exists() or _is_known_dead(file):
            return
        if _find_beat(file) != first or find_newest_token(folder) != token:
            raise _held(folder, file)
        check()
        time.sleep(_LOOK_SECONDS)


def _held(folder: Path, file: Path) -> StateError:
    owner = _find_owner(file)
    who = "another driver" if owner is None else f"process {owner.process} on {owner.host}"
    return StateError(
        f"{who} runs the job in {folder.parent}: wait for its end, or cancel it first",
        condition="LEASE_HELD",
        job_folder=str(folder.parent),
        host=None if owner is None else owner.host,
        process=None if owner is None else owner.process,
    )


def _find_beat(file: Path) -> int | None:
    """Opened rather than looked up: NFS asks the server only then."""
    try:
        with file.open("rb") as lease:
            return os.fstat(lease.fileno()).st_mtime_ns
    except OSError:
        return None


def _find_owner(file: Path) -> LeaseMessage | None:
    """None while the owner has not written its name, or died on the way."""
    try:
        return from_json(LeaseMessage, file.read_bytes(), where=str(file))
    except (OSError, MessageError):
        return None


def _is_known_dead(file: Path) -> bool:
    owner = _find_owner(file)
    return owner is not None and is_known_dead(owner)


def is_known_dead(owner: LeaseMessage) -> bool:
    """Whether the owner ran here, where its id means something, and does not any more."""
    if not owner.machine or not owner.started:
        return False
    if (owner.host, owner.machine) != (socket.gethostname(), _find_machine()):
        return False
    return _find_start(owner.process) != owner.started


def _find_machine() -> str:
    """Boot id and process namespace; empty where there is no /proc."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot}:{os.stat('/proc/self/ns/pid').st_ino}"
    except OSError:
        return ""


def _find_start(process: int) -> str | None:
    """When a process started; None if it has ended, also if nobody has waited for it yet."""
    try:
        stat = Path(f"/proc/{process}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    fields = stat.rpartition(")")[2].split()
    return None if fields[_STATE] in ("Z", "X", "x") else fields[_START_TICKS]


def _lease_file(folder: Path, token: int) -> Path:
    return folder / f"{token:06d}.json"


def _release_mark(folder: Path, token: int) -> Path:
    return folder / f"{token:06d}.released"
