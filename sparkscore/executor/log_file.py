"""A log file of a job, kept below a size, that tells how much was cut. Python worker, guard."""

from __future__ import annotations

import contextlib
import io
import os
import re

from sparkscore.messages.log_marks import mark_lines

MAX_LOG_BYTES = 10 * 1024 * 1024
_NOTE_BYTES = 100
_NOTE = re.compile(rb"\n\[sparkscore: output beyond \d+ bytes was cut: (\d+) bytes\] *\n\Z")


class CappedFile:
    """A file at ``path`` (local) that takes marked lines until it is full.

    ``cut_bytes`` counts what it did not take and ``note`` has not told yet.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.cut_bytes = 0

    def append(self, text: bytes, mark: bytes) -> bool:
        """Add ``text``, each line with its ``mark``; False once the file takes no more.

        What does not fit counts as cut. Raises OSError.
        """
        with open(self.path, "ab", opener=open_plain) as log:
            left = MAX_LOG_BYTES - log.tell()
            fits = _fitting(text, mark, left)
            if fits:
                log.write(mark_lines(text[:fits], mark))
        self.cut_bytes += len(text) - fits
        if 0 < fits < len(text):
            self.note()
        return fits == len(text)

    def note(self) -> bool:
        """Tell at the file's end how much was cut; whether there was anything to tell."""
        if not self.cut_bytes:
            return False
        with contextlib.suppress(OSError):
            _write_note(self.path, self.cut_bytes)
            self.cut_bytes = 0
        return True


def open_plain(path: str, flags: int) -> int:
    """Opens for ``open``: a script may have put a link there, which leads elsewhere, or a FIFO,
    which nobody reads. Both are an OSError."""
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o644)


def cut_back(path: str) -> None:
    """Cut a file that others append to; truncating works while their descriptors append."""
    with contextlib.suppress(OSError):
        size = os.path.getsize(path)
        if size <= MAX_LOG_BYTES + _NOTE_BYTES:
            return
        with open(path, "r+b", opener=open_plain) as log:
            log.seek(MAX_LOG_BYTES)
            noted = _NOTE.match(log.read(_NOTE_BYTES))
            log.truncate(MAX_LOG_BYTES)
        cut_bytes = size - MAX_LOG_BYTES
        if noted:
            cut_bytes += int(noted[1]) - _NOTE_BYTES
        _write_note(path, cut_bytes)


def _fitting(text: bytes, mark: bytes, left: int) -> int:
    """How many bytes of ``text`` have room, with their marks, in ``left`` bytes."""
    if len(text) + (text.count(b"\n") + 1) * len(mark) <= left:
        return len(text)
    fits = 0
    for line in io.BytesIO(text):
        taken = min(len(line), left - len(mark))
        if taken <= 0:
            break
        fits += taken
        left -= taken + len(mark)
        if taken < len(line):
            break
    return fits


def _write_note(path: str, cut_bytes: int) -> None:
    """At the end of the file, in place of a note that stands there."""
    with open(path, "r+b", opener=open_plain) as log:
        end = log.seek(0, os.SEEK_END)
        log.seek(max(0, end - _NOTE_BYTES))
        noted = _NOTE.match(log.read(_NOTE_BYTES))
        if noted:
            cut_bytes += int(noted[1])
        log.seek(end - _NOTE_BYTES if noted else end)
        log.write(_render_note(cut_bytes))


def _render_note(cut_bytes: int) -> bytes:
    """Always of the same length, so that a later one takes its place."""
    text = f"\n[sparkscore: output beyond {MAX_LOG_BYTES} bytes was cut: {cut_bytes} bytes]"
    return text.encode().ljust(_NOTE_BYTES - 1) + b"\n"
