"""The log files of a job one by one, read in pieces. Control plane.

``logs`` gives all of them in one stream; here is what a page needs that shows one and follows it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from sparkscore.control.jobs.files import ARTIFACTS, JobFile, find_file
from sparkscore.control.jobs.job import Job, refuse_pruned
from sparkscore.control.jobs.logs import iter_log_lines
from sparkscore.control.jobs.look import LAUNCHER_LOG
from sparkscore.control.jobs.mirror import MirrorFiles
from sparkscore.errors import NotFoundError

PIECE_BYTES = 256 * 1024
MOST_LINES = 5000

_FOLDER = "logs/"
_FIRST = (f"{_FOLDER}driver.log", f"{_FOLDER}{LAUNCHER_LOG}")


@dataclass(frozen=True)
class LogPiece:
    """Part of a log: ``text`` are its bytes from ``start`` up to but not ``end``, whole lines.

    ``size`` is that of the file, in bytes. Bytes that are no UTF-8 are replaced.
    """

    text: str
    start: int
    end: int
    size: int


def list_log_files(job: Job) -> list[str]:
    """Paths in the job's folder, such as ``logs/driver.log``: driver, launcher, then the rest.

    Of a job whose folder is gone those of its copy; none without either. Raises StateError
    (JOB_PRUNED), StorageError (MIRROR_NOT_READABLE).
    """
    refuse_pruned(job)
    return sorted(_iter_logs(job), key=lambda path: (path not in _FIRST, path))


def get_log_file(job: Job, path: str) -> JobFile:
    """One log. Raises NotFoundError (LOG_NOT_FOUND), and what ``list_log_files`` does."""
    try:
        if path.startswith(_FOLDER):
            return find_file(job, f"{ARTIFACTS}/{path}")
    except NotFoundError as error:
        if error.condition != "FILE_NOT_FOUND":
            raise
    raise NotFoundError(
        f"job {job.name} has no log {path!r}: see the list of its logs",
        condition="LOG_NOT_FOUND",
        job=job.name,
        path=path,
    )


def read_log(
    job: Job, path: str, *, start: int | None = None, most_bytes: int = PIECE_BYTES
) -> LogPiece:
    """At most ``most_bytes`` of a log from ``start`` on; None: its end.

    The last line is left out as long as it may grow. Raises as ``get_log_file``.
    """
    file = get_log_file(job, path)
    size = file.byte_count
    first = max(0, size - most_bytes) if start is None else min(max(0, start), size)
    stop = min(size, first + most_bytes)
    content = b"".join(file.iter_bytes(first, stop))
    # What stands before the first line's end is the rest of a line.
    skipped = content.find(b"\n") + 1 if start is None and first > 0 else 0
    kept = content[skipped:]
    if not (job.is_ended and stop == size):
        kept = _whole_lines(kept, most_bytes)
    begin = first + skipped
    return LogPiece(kept.decode("utf-8", errors="replace"), begin, begin + len(kept), size)


def read_mini_batch_lines(
    job: Job, mini_batch: int, *, most_lines: int = MOST_LINES
) -> tuple[list[str], bool]:
    """What scripts said while they scored a mini-batch, and whether there is more.

    The lines are those of ``Jobs.iter_logs``, a header before each file. Raises NotFoundError
    (MINI_BATCH_NOT_FOUND), StateError (JOB_PRUNED).
    """
    lines = iter_log_lines(job.workspace.jobs, job, follow=False, mini_batch=mini_batch)
    found = list(islice(lines, most_lines + 1))
    return found[:most_lines], len(found) > most_lines


def _iter_logs(job: Job) -> Iterator[str]:
    root = Path(job.record.folder)
    if not root.is_dir():
        copied = MirrorFiles(job.workspace, job.record).list_names()
        yield from (name for name in copied if name.startswith(_FOLDER))
        return
    for parent, _, names in os.walk(root / _FOLDER):
        for name in names:
            yield Path(parent, name).relative_to(root).as_posix()


def _whole_lines(content: bytes, most_bytes: int) -> bytes:
    """Up to the last line's end; a line that is longer than a piece is cut."""
    end = content.rfind(b"\n") + 1
    return content[:end] if end or len(content) < most_bytes else content
