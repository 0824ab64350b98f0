"""The log of what callers of the server changed: ``audit.jsonl`` in the workspace. Control plane.

One line of JSON a request that may write, also for those that were refused. Lines are appended in
one piece, so that several servers may share the file, and it may be moved away at any time.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sparkscore.control.times import render_time
from sparkscore.errors import OutputNotWritableError

AUDIT_FILE = "audit.jsonl"


@dataclass(frozen=True, kw_only=True)
class AuditEntry:
    """Who (``caller``, ``role``, ``kind`` of token, ``address``) asked what, and the outcome.

    ``condition`` is that of the error, None for a success. Nothing of the body is kept.
    """

    request_id: str
    caller: str | None
    role: str | None
    kind: str | None
    address: str | None
    method: str
    path: str
    status: int
    condition: str | None
    seconds: float


class AuditLog:
    """Appends entries; the file is readable by its owner alone."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / AUDIT_FILE

    def check(self) -> None:
        """Raise OutputNotWritableError (AUDIT_NOT_WRITABLE) now rather than after a write."""
        try:
            os.close(self._open())
        except OSError as error:
            raise OutputNotWritableError(
                f"{self.file} cannot be written: {error.strerror}; the server keeps no workspace "
                "whose changes it cannot log",
                condition="AUDIT_NOT_WRITABLE",
                path=str(self.file),
            ) from error

    def append(self, entry: AuditEntry) -> None:
        """Write one line; raises OSError."""
        line = {"at": render_time(time.time()), **asdict(entry)}
        descriptor = self._open()
        try:
            os.write(descriptor, (json.dumps(line) + "\n").encode())
        finally:
            os.close(descriptor)

    def iter_entries(self) -> Iterator[dict[str, Any]]:
        """The lines of the file, the oldest first."""
        if not self.file.exists():
            return
        with self.file.open(encoding="utf-8") as stream:
            for line in stream:
                yield json.loads(line)

    def _open(self) -> int:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        return os.open(self.file, flags, 0o600)
