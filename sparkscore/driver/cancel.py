"""Whether the job is to stop. Spark driver process."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from sparkscore.errors import CanceledError


class Cancellation:
    """Set once, from a signal handler or another thread; looked at between steps.

    A plain flag: the lock of an event would not survive a second signal inside the first.
    """

    def __init__(self) -> None:
        self._asked = False
        self._interrupts = False

    def ask(self) -> None:
        """Ask the job to stop."""
        self._asked = True
        if self._interrupts and threading.current_thread() is threading.main_thread():
            self._interrupts = False
            self.check()

    def is_asked(self) -> bool:
        """Whether the job is to stop."""
        return self._asked

    def check(self) -> None:
        """Raise CanceledError if the job is to stop."""
        if self._asked:
            raise CanceledError("the job was canceled")

    @contextmanager
    def interrupting(self) -> Iterator[None]:
        """In the body a signal raises CanceledError wherever the main thread is: for what cannot
        look, as the start of a JVM."""
        self._interrupts = True
        try:
            self.check()
            yield
        finally:
            self._interrupts = False
