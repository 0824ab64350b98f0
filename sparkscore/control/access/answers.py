"""Answers that are kept for clients that send a request again. Control plane.

``cache/answers/DAY/KEY.json`` in the workspace holds one. They stay for a day at least.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, BinaryIO

from sparkscore.errors import StateError


class KeptAnswer:
    """The place of one answer, empty until something is kept there."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.content: dict[str, Any] | None = None
        # One that was killed while it wrote has left no JSON.
        with contextlib.suppress(ValueError):
            self.content = json.loads(stream.read())

    def keep(self, content: dict[str, Any]) -> None:
        """Keep JSON content; raises OSError."""
        self._stream.seek(0)
        self._stream.truncate()
        self._stream.write(json.dumps(content, default=str).encode())
        self._stream.flush()


class Answers:
    """The answers of one workspace; safe for threads, and for several servers."""

    def __init__(self, workspace_folder: Path, *, clock: Callable[[], float] = time.time) -> None:
        self._folder, self._clock = workspace_folder / "cache" / "answers", clock

    @contextmanager
    def taking(self, key: str) -> Iterator[KeptAnswer]:
        """The answer for a key, which nobody else has meanwhile; ``key`` can be a file's name.

        Raises StateError (IDEMPOTENCY_KEY_IN_USE) while somebody has it.
        """
        file = self._find_file(key)
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        with open(descriptor, "r+b") as stream:
            try:
                # The lock ends with the process: one that is killed leaves an empty place.
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise StateError(
                    "a request with the same Idempotency-Key is being worked on: send it again "
                    "later",
                    condition="IDEMPOTENCY_KEY_IN_USE",
                ) from error
            yield KeptAnswer(stream)

    def _find_file(self, key: str) -> Path:
        """Yesterday's, if there is one, else today's."""
        now = datetime.fromtimestamp(self._clock(), timezone.utc)
        today = self._folder / now.strftime("%Y-%m-%d")
        yesterday = self._folder / (now - timedelta(days=1)).strftime("%Y-%m-%d")
        if not today.exists():
            today.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._forget({today.name, yesterday.name})
        earlier = yesterday / f"{key}.json"
        return earlier if earlier.exists() else today / earlier.name

    def _forget(self, kept: set[str]) -> None:
        with contextlib.suppress(OSError):
            for entry in os.scandir(self._folder):
                if entry.name not in kept:
                    shutil.rmtree(entry.path, ignore_errors=True)
