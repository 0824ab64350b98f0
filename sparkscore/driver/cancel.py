"""Whether the job is to stop. Spark driver process."""

from __future__ import annotations

from sparkscore.errors import CanceledError


class Cancellation:
    """Set once, from a signal handler or another thread; looked at between steps.

    A plain flag: the lock of an event would not survive a second signal inside the first.
    """

    def __init__(self) -> None:
        self._asked = False

    def ask(self) -> None:
        """Ask the job to stop."""
        self._asked = True

    def is_asked(self) -> bool:
        """Whether the job is to stop."""
        return self._asked

    def check(self) -> None:
        """Raise CanceledError if the job is to stop."""
        if self._asked:
            raise CanceledError("the job was canceled")
