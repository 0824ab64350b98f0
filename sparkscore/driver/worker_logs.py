"""Brings the script logs of workers that cannot write to ``logs/`` there. Spark driver process.

Such workers write below ``staging/logs/``; see ``executor.log_place``. What they have added is
copied by a thread while the job runs. A copy is the same file byte by byte, so that a later driver
can go on with it from anywhere.
"""

from __future__ import annotations

import os
import stat
import threading
import uuid
from contextlib import suppress
from pathlib import Path

from sparkscore.driver.job_folder import JobFolder
from sparkscore.executor.log_file import MAX_LOG_BYTES, open_plain
from sparkscore.executor.log_place import SPOOL

_LOOK_SECONDS = 1.0
_END_SECONDS = 10.0
_CHUNK_BYTES = 1024 * 1024
_NOTE_PLACE_BYTES = 4096
_MARKER_PREFIX = ".job-"


class WorkerLogs:
    """The logs of one job's workers.

    ``marker`` is the name of a folder by which workers know the places for logs.
    """

    def __init__(self, folder: JobFolder) -> None:
        self.marker = _MARKER_PREFIX + uuid.uuid4().hex
        self._logs, self._spool = folder.logs, folder.path / SPOOL
        self._copied: dict[Path, tuple[int, int, int]] = {}
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="worker logs", daemon=True)

    def start(self) -> None:
        """Let workers know the places, and copy what they write. Raises OSError."""
        for place in (self._logs, self._spool):
            self._remove_markers(place)
            (place / self.marker).mkdir(parents=True)
        self._thread.start()

    def finish(self) -> None:
        """Copy the rest; what cannot be copied stays below ``staging/logs/``."""
        if not self._thread.is_alive():
            return
        self._stopped.set()
        self._thread.join(_END_SECONDS)
        if not self._thread.is_alive():
            self.copy()
        for place in (self._logs, self._spool):
            with suppress(OSError):
                (place / self.marker).rmdir()

    def copy(self) -> None:
        """Copy what workers have written since; after ``finish`` their last words."""
        for parent, _, names in os.walk(self._spool):
            for name in names:
                with suppress(OSError):
                    self._copy(Path(parent, name))

    def abandon(self) -> None:
        """Copy nothing more."""
        self._stopped.set()

    def _follow(self) -> None:
        while not self._stopped.wait(_LOOK_SECONDS):
            self.copy()

    def _copy(self, file: Path) -> None:
        """Copy what has changed: what was added, or the end of a file that was cut; a file that
        was replaced whole.

        Scripts can write there: nothing but plain files is read or written.
        """
        status = file.lstat()
        if not stat.S_ISREG(status.st_mode):
            return
        seen = (status.st_size, status.st_mtime_ns, status.st_ino)
        copied, _, number = self._copied.get(file, (0, 0, 0))
        if self._copied.get(file) == seen:
            return
        if number != status.st_ino:
            copied = 0
        target = self._logs / file.relative_to(self._spool)
        if not Path(os.path.realpath(target.parent)).is_relative_to(os.path.realpath(self._logs)):
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        start = max(0, min(copied, status.st_size, MAX_LOG_BYTES) - _NOTE_PLACE_BYTES)
        mode = "r+b" if os.path.lexists(target) else "xb"
        with (
            open(file, "rb", opener=open_plain) as source,
            open(target, mode, opener=open_plain) as copy,
        ):
            source.seek(start)
            copy.seek(start)
            while chunk := source.read(_CHUNK_BYTES):
                copy.write(chunk)
            copy.truncate()
        self._copied[file] = seen

    def _remove_markers(self, place: Path) -> None:
        for marker in place.glob(_MARKER_PREFIX + "*"):
            with suppress(OSError):
                marker.rmdir()
