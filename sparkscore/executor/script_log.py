"""The logs of scripts: marked line by line, kept below a size. Python worker, guard.

Script hosts append their standard output and error to raw files on the worker's scratch disk, so
that no reader can make them wait. What has been added there is copied, line by line and marked, to
the job's log files: after each attempt, and while one runs. ``logging`` goes to the job's file
directly: its formatter marks the lines.

How far was copied stands in a file too: the guard copies the rest if the worker is killed.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import struct
import time
from collections.abc import Mapping
from typing import Any

from sparkscore.executor.log_file import CappedFile, cut_back
from sparkscore.messages.log_marks import INIT_MARK

_CHUNK_BYTES = 1024 * 1024
_LOOK_SECONDS = 0.5
_PLACE = struct.Struct("<QQQQ64s")


class _RawFile:
    """What a script's standard output or error was appended to, and how much of it was copied."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.copied = 0
        self._descriptor: int | None = None
        self._inode = 0

    def open(self) -> None:
        """Open the file that hosts to come will write to; the script may have replaced it."""
        self.close()
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
        self._descriptor = os.open(self.path, flags, 0o644)
        inode = os.fstat(self._descriptor).st_ino
        if self._inode not in (0, inode):
            self.copied = 0
        self._inode = inode

    def close(self) -> None:
        """Give the descriptor back."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def measure(self) -> int:
        """Bytes that stand there; what was copied is corrected if the script emptied the file."""
        if self._descriptor is None:
            return 0
        size = os.lseek(self._descriptor, 0, os.SEEK_END)
        if size < self.copied:
            self.copied = 0
        return size

    def read(self, size: int) -> bytes:
        """The next bytes below ``size``."""
        assert self._descriptor is not None
        return os.pread(self._descriptor, min(_CHUNK_BYTES, size - self.copied), self.copied)

    def skip_to(self, size: int) -> None:
        """Pass over what nobody takes, and free its space."""
        self.copied = size
        if size > _CHUNK_BYTES and self._descriptor is not None:
            with contextlib.suppress(OSError):
                os.ftruncate(self._descriptor, 0)
                self.copied = 0


class ScriptLog:
    """Log files of one worker's script hosts: standard output, standard error, ``logging``.

    ``files`` are the job's files by kind (stdout, stderr, entry_script_log), ``raw`` is a folder
    on the worker's disk for what is not copied yet (local paths).
    """

    def __init__(self, files: Mapping[str, str], raw: str) -> None:
        self.entry_script = files["entry_script_log"]
        self.stdout, self.stderr = os.path.join(raw, "stdout"), os.path.join(raw, "stderr")
        self.stack = os.path.join(raw, "stack")
        self._files, self._raw = dict(files), raw
        self._streams = (
            (_RawFile(self.stdout), CappedFile(files["stdout"])),
            (_RawFile(self.stderr), CappedFile(files["stderr"])),
        )
        self._mark = INIT_MARK.encode()
        self._place: int | None = None
        self._look_at = 0.0

    def open(self, *, resume: bool = False) -> None:
        """Make or, with ``resume``, find the raw files; raises OSError if that cannot be."""
        if not resume:
            os.makedirs(self._raw, exist_ok=True)
        flags = os.O_RDWR | os.O_CLOEXEC | (0 if resume else os.O_CREAT)
        self._place = os.open(os.path.join(self._raw, "place"), flags, 0o644)
        for raw, _ in self._streams:
            raw.open()
        if resume:
            self._load()
        self._save()

    def close(self) -> None:
        """Copy no more."""
        self._look()
        for raw, _ in self._streams:
            raw.close()
        if self._place is not None:
            os.close(self._place)
            self._place = None

    @property
    def files(self) -> tuple[str, ...]:
        """The job's files of this log."""
        return tuple(self._files.values())

    @property
    def order(self) -> dict[str, Any]:
        """What another process needs to go on copying, see ``resume_script_log``."""
        return {"files": self._files, "raw": self._raw}

    def begin(self, mark: str) -> None:
        """Mark with ``mark`` what is copied from now on."""
        self._mark = mark.encode()
        self._save()

    def begin_init(self) -> None:
        """Get ready for a host that may be new."""
        self.end()
        for raw, _ in self._streams:
            with contextlib.suppress(OSError):
                raw.open()
        self.begin(INIT_MARK)

    def end(self) -> None:
        """Copy all that was written; a last line without an end gets one."""
        self._copy(whole=True)
        if time.monotonic() > self._look_at:
            self._look()

    def follow(self) -> None:
        """Copy the whole lines that were written."""
        self._copy(whole=False)
        self._look()

    def _look(self) -> None:
        """Keep the files below their size and tell what was cut."""
        self._look_at = time.monotonic() + _LOOK_SECONDS
        cut_back(self.entry_script)
        told = [file.note() for _, file in self._streams]
        if any(told):
            self._save()

    def _copy(self, *, whole: bool) -> None:
        """What the script did to its log files (removed them, say) is its own business."""
        for raw, file in self._streams:
            size = raw.measure()
            if size > raw.copied:
                try:
                    takes_more = self._copy_stream(raw, file, size, whole=whole)
                except OSError:
                    takes_more = False
                if not takes_more:
                    file.cut_bytes += size - raw.copied
                    raw.skip_to(size)
                self._save()

    def _copy_stream(self, raw: _RawFile, file: CappedFile, size: int, *, whole: bool) -> bool:
        """Copy up to ``size``; False if the job's file takes no more."""
        while raw.copied < size:
            text = raw.read(size)
            text = _lines_of(text, whole=whole and raw.copied + len(text) >= size)
            if not text:
                break
            takes_more = file.append(text, self._mark)
            raw.copied += len(text)
            if not takes_more:
                return False
        return True

    def _save(self) -> None:
        if self._place is not None:
            counts = [
                count for raw, file in self._streams for count in (raw.copied, file.cut_bytes)
            ]
            with contextlib.suppress(OSError):
                os.pwrite(self._place, _PLACE.pack(*counts, self._mark), 0)

    def _load(self) -> None:
        with contextlib.suppress(struct.error):
            assert self._place is not None
            *counts, mark = _PLACE.unpack(os.pread(self._place, _PLACE.size, 0))
            self._mark = mark.rstrip(b"\0")
            for (raw, file), copied, cut_bytes in zip(self._streams, counts[::2], counts[1::2]):
                raw.copied, file.cut_bytes = copied, cut_bytes


def open_script_log(folder: str, *, raw: str, process: str = "") -> ScriptLog:
    """The log files of this worker below ``folder``, laid out by kind, machine and process.

    ``process`` names the files, by default after this process. Raises OSError if they cannot be
    written.
    """
    node, process = socket.gethostname(), process or f"process-{os.getpid()}"
    paths = {
        kind: os.path.join(folder, "user", kind, node, f"{process}.{suffix}")
        for kind, suffix in (
            ("stdout", "stdout.txt"),
            ("stderr", "stderr.txt"),
            ("entry_script_log", "log.txt"),
        )
    }
    for path in map(os.path.dirname, paths.values()):
        os.makedirs(path, exist_ok=True)
        if not os.access(path, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
    log = ScriptLog(paths, raw)
    log.open()
    return log


def resume_script_log(order: Mapping[str, Any]) -> ScriptLog | None:
    """The log that a worker opened and left, None if it has removed what belongs to it."""
    log = ScriptLog(order["files"], order["raw"])
    try:
        log.open(resume=True)
    except OSError:
        log.close()
        return None
    return log


def _lines_of(text: bytes, *, whole: bool) -> bytes:
    """The whole lines of ``text``, or all of it; a line of a whole chunk is broken."""
    if whole or text.endswith(b"\n"):
        return text
    end = text.rfind(b"\n") + 1
    return text[:end] if end or len(text) < _CHUNK_BYTES else text
