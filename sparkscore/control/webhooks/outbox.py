"""What is still to be told, as files below ``webhooks`` of a workspace. Control plane.

``notes/JOB`` says that the end of a job is to be told. ``waiting/WEBHOOK/ID.json`` is a message
that its receiver has not taken yet. Files appear and change whole, and go when they are done.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

NOTES_SECONDS = 10.0
"""How long somebody waits for the notes: their owner needs milliseconds, unless it is stopped."""

_LOCK = ".lock"
_LOOK_SECONDS = 0.05


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """One message for one receiver; times are seconds since the epoch."""

    id: str
    webhook: str
    job: str
    job_folder: str
    type: str
    body: str
    made_at: float
    next_at: float
    attempts: int = 0


class Outbox:
    """The folder of one workspace; safe for any number of processes. Methods raise OSError."""

    def __init__(self, workspace_folder: Path) -> None:
        self.folder = workspace_folder / "webhooks"
        self._notes, self._waiting = self.folder / "notes", self.folder / "waiting"

    def note(self, job: str) -> None:
        """Note that the job's end is to be told."""
        self._notes.mkdir(parents=True, exist_ok=True)
        (self._notes / job).touch()

    def list_notes(self) -> list[str]:
        """The names of noted jobs."""
        try:
            return sorted(entry.name for entry in os.scandir(self._notes))
        except FileNotFoundError:
            return []

    def remove_note(self, job: str) -> None:
        """The job's end is told, or will never be."""
        (self._notes / job).unlink(missing_ok=True)

    def put(self, delivery: Delivery) -> None:
        """Keep a delivery, in the place of an earlier state of it."""
        folder = self._waiting / delivery.webhook
        folder.mkdir(parents=True, exist_ok=True)
        partial = folder / f".{delivery.id}.{os.getpid()}"
        partial.write_text(json.dumps(dataclasses.asdict(delivery)), encoding="utf-8")
        os.replace(partial, self._get_file(delivery))

    def remove(self, delivery: Delivery) -> None:
        """The delivery is done."""
        self._get_file(delivery).unlink(missing_ok=True)

    def list_webhooks(self) -> list[str]:
        """The webhooks that something waits for."""
        try:
            names = sorted(entry.name for entry in os.scandir(self._waiting))
        except FileNotFoundError:
            return []
        return [name for name in names if self.list_waiting(name)]

    def list_waiting(self, webhook: str) -> list[Delivery]:
        """What waits for a webhook, the oldest first."""
        found = []
        for file in (self._waiting / webhook).glob("[!.]*.json"):
            # One that was sent meanwhile, or a file that is none of ours.
            with contextlib.suppress(FileNotFoundError, ValueError, TypeError):
                found.append(Delivery(**json.loads(file.read_text(encoding="utf-8"))))
        return sorted(found, key=lambda delivery: (delivery.made_at, delivery.id))

    @contextlib.contextmanager
    def taking_notes(self) -> Iterator[None]:
        """Alone with the notes; raises TimeoutError if another process does not let them go."""
        self.folder.mkdir(parents=True, exist_ok=True)
        deadline = time.monotonic() + NOTES_SECONDS
        with _opening(self.folder / _LOCK) as descriptor:
            while not _try_lock(descriptor):
                if time.monotonic() > deadline:
                    raise TimeoutError(f"another process has {self.folder} for {NOTES_SECONDS:g} s")
                time.sleep(_LOOK_SECONDS)
            yield

    @contextlib.contextmanager
    def serving(self, webhook: str) -> Iterator[bool]:
        """Whether this process is the one that sends for the webhook; the lock ends with it."""
        with _opening(self._waiting / webhook / _LOCK) as descriptor:
            yield _try_lock(descriptor)

    def _get_file(self, delivery: Delivery) -> Path:
        return self._waiting / delivery.webhook / f"{delivery.id}.json"


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextlib.contextmanager
def _opening(file: Path) -> Iterator[int]:
    """The descriptor of a lock file; what it locks is free again after the block."""
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
