"""Whether the job is to stop. Spark driver process."""

from __future__ import annotations

import threading

from sparkscore.errors import CanceledError


class Cancellation:
    """Set once, from a signal handler or another thread; looked at between steps."""

    def __init__(self) -> None:
        self._asked = threading.Event()

    def ask(self) -> None:
        """Ask the job to stop."""
        self._asked.set()

    def is_asked(self) -> bool:
        """Whether the job is to stop."""
        return self._asked.is_set()

    def check(self) -> None:
        """Raise CanceledError if the job is to stop."""
        if self._asked.is_set():
            raise CanceledError("the job was canceled")
