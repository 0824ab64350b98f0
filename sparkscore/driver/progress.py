"""Tells the world how a job goes: status file with heartbeat, events. Spark driver process."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from typing import Any

from sparkscore.driver.counts import Counts
from sparkscore.driver.job_folder import JobFolder
from sparkscore.errors import StateError
from sparkscore.messages.status import (
    RUNNING,
    STARTING,
    TERMINAL,
    EventMessage,
    StatusMessage,
)

HEARTBEAT_SECONDS = 1.0


class Progress:
    """Keeps ``status.json`` fresh from a thread of its own until the job ends."""

    def __init__(self, folder: JobFolder, job: str) -> None:
        self._folder, self._job = folder, job
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._is_abandoned = False
        self._confirm: Callable[[], None] = lambda: None
        self._started_at = time.time()
        self._scoring_since: float | None = None
        self._status, self._error = STARTING, ""
        self._hint: str | None = None
        self._mini_batches = self._inputs = self._sequence = 0
        self._counts = Counts()
        self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)

    def start(self, confirm: Callable[[], None] = lambda: None) -> None:
        """Write the first status and keep the heartbeat going; its sequence goes on from that of
        an earlier run.

        Nothing is written any more once ``confirm`` raises StateError: somebody else does.
        """
        self._confirm = confirm
        self._sequence = self._folder.find_sequence()
        self._write()
        self._thread.start()

    def planned(self, *, mini_batches: int, inputs: int) -> None:
        """Scoring starts, of so much."""
        self._mini_batches, self._inputs = mini_batches, inputs
        self._scoring_since = time.monotonic()
        self.enter(RUNNING)

    def enter(self, status: str, *, error: str = "") -> None:
        """The job's status changes."""
        self._status, self._error, self._hint = status, error, None
        self.event("status", status=status)
        self._write()

    def counted(self, counts: Counts) -> None:
        """New counts, written with the next heartbeat, at once where mini-batches ended."""
        changed = counts.mini_batches != self._counts.mini_batches
        self._counts = counts
        if changed:
            self._write()

    def hint(self, text: str | None) -> None:
        """What the job waits for, in the status until it changes or None is given; written at
        once."""
        self._hint = text
        self._write()

    def event(self, kind: str, **details: Any) -> None:
        """Add an event."""
        with self._lock:
            if self._is_abandoned:
                return
            self._folder.write_event(EventMessage(time.time(), kind, details))

    def end(self) -> None:
        """Stop the heartbeat."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()

    def abandon(self) -> None:
        """Stop the heartbeat and never write again."""
        with self._lock:
            self._is_abandoned = True
        self.end()

    def _beat(self) -> None:
        while not self._ended.wait(HEARTBEAT_SECONDS):
            if self._status not in TERMINAL:
                with contextlib.suppress(OSError):
                    self._write()

    def _write(self) -> None:
        with self._lock:
            if self._is_abandoned or self._is_another_there():
                return
            self._sequence += 1
            self._folder.write_status(self._message())

    def _is_another_there(self) -> bool:
        try:
            self._confirm()
        except StateError:
            self._is_abandoned = True
        return self._is_abandoned

    def _message(self) -> StatusMessage:
        counts = self._counts
        rate = self._rate()
        left = self._inputs - counts.inputs
        return StatusMessage(
            job=self._job,
            status=self._status,
            sequence=self._sequence,
            heartbeat_at=time.time(),
            started_at=self._started_at,
            mini_batches=self._mini_batches,
            mini_batches_done=counts.mini_batches,
            mini_batches_failed=counts.mini_batches_failed,
            inputs=self._inputs,
            inputs_succeeded=counts.succeeded,
            inputs_failed=counts.failed,
            rows=counts.rows,
            inputs_per_second=rate,
            eta_seconds=left / rate if rate and self._status == RUNNING else None,
            error=self._error or None,
            hint=self._hint,
        )

    def _rate(self) -> float:
        if self._scoring_since is None:
            return 0.0
        return self._counts.inputs / max(time.monotonic() - self._scoring_since, 1e-3)
