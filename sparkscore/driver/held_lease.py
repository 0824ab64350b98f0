"""What holding a job comes to, wherever its lease is kept. Spark driver process."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod

from sparkscore.errors import StateError

_JOIN_SECONDS = 10.0
"""How long a beat, and the mark of the release, may be stuck in a disk or a store."""


class HeldLease(ABC):
    """A lease that this process holds, kept alive by a thread of its own until ``release``.

    ``place`` is the job folder's path or URI. Whoever makes one starts ``_thread``.
    """

    def __init__(self, token: int, *, place: str, beat_seconds: float) -> None:
        self.token = token
        self._place, self._beat_seconds = place, beat_seconds
        self._is_lost = False
        self._released = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="lease", daemon=True)

    def check(self) -> None:
        """Raise StateError (LEASE_LOST) if another driver was found to hold the job."""
        if self._is_lost:
            raise StateError(
                f"another driver has taken over the job in {self._place}: this one stops and "
                "writes nothing more",
                condition="LEASE_LOST",
                token=self.token,
            )

    def confirm(self) -> None:
        """Look now, and raise StateError (LEASE_LOST) if another driver holds the job."""
        self._note_loss()
        self.check()

    def release(self) -> None:
        """Let the next driver in at once; without effect on a lease that was lost.

        Threads that are left behind find the lease lost from then on.
        """
        self._released.set()
        self._thread.join(_JOIN_SECONDS)
        letting_in = threading.Thread(target=self._let_next_in, name="release", daemon=True)
        letting_in.start()
        letting_in.join(_JOIN_SECONDS)
        self._is_lost = True

    def _let_next_in(self) -> None:
        self._note_loss()
        if not self._is_lost:
            self._mark_released()

    def _keep(self) -> None:
        while not self._released.wait(self._beat_seconds):
            self._note_loss()
            if self._is_lost:
                return
            self._beat()

    def _note_loss(self) -> None:
        self._is_lost = self._is_lost or self._look()

    @abstractmethod
    def _look(self) -> bool:
        """Whether another driver holds the job; a place that cannot be read just now tells no."""

    @abstractmethod
    def _beat(self) -> None:
        """Show that this driver lives; raises nothing."""

    @abstractmethod
    def _mark_released(self) -> None:
        """Write that the next driver may take the job; raises nothing."""
