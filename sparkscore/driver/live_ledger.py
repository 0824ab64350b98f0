"""Tells readers of finished mini-batches while the ledger is being written. Spark driver process.

Nothing depends on it: what cannot be written is left out.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

from sparkscore.executor.log_file import open_plain
from sparkscore.messages.live_ledger import render_line
from sparkscore.messages.outcome import INIT_FAILED, MiniBatchOutcome


class LiveLedger:
    """The lines of ``messages.live_ledger``, in a file that begins empty."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: IO[bytes] | None = None
        self._is_torn = False
        with suppress(OSError):
            self._file = open(path, "wb", buffering=0, opener=open_plain)  # noqa: SIM115

    def add(self, outcomes: Sequence[MiniBatchOutcome]) -> None:
        """Append a line for each, in one write."""
        lines = [render_line(one) for one in outcomes if one.status != INIT_FAILED]
        if self._file is None or not lines:
            return
        text = "".join(["\n" if self._is_torn else "", *lines]).encode("ascii")
        self._is_torn = True
        with suppress(OSError):
            self._is_torn = self._file.write(text) != len(text)

    def remove(self) -> None:
        """Close and remove the file: the ledger says all that it said.

        One that another driver has put in its place stays.
        """
        if self._file is not None:
            with suppress(OSError):
                if os.path.samestat(os.fstat(self._file.fileno()), self._path.stat()):
                    self._path.unlink()
        self.close()

    def close(self) -> None:
        """Add no more; the file stays as it is."""
        if self._file is not None:
            self._file.close()
            self._file = None
