"""The logs of a job, one after the other. Control plane."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from sparkscore.control.jobs.job import Job, refuse_pruned
from sparkscore.control.jobs.look import LAUNCHER_LOG
from sparkscore.control.jobs.mirror import reading_job_folder
from sparkscore.errors import NotFoundError
from sparkscore.messages.log_marks import find_mini_batch

if TYPE_CHECKING:
    from sparkscore.control.jobs.jobs import Jobs

FOLLOW_SECONDS = 0.5
_FIRST = (LAUNCHER_LOG, "driver.log")


def iter_log_lines(
    jobs: Jobs, job: Job, *, follow: bool, mini_batch: int | None = None
) -> Iterator[str]:
    """Lines without their ends, a header ``==> logs/driver.log <==`` before those of a file.

    Launcher and driver come first, then what scripts wrote; with ``mini_batch`` only the lines of
    this one. Raises StateError (JOB_PRUNED), NotFoundError (MINI_BATCH_NOT_FOUND).
    """
    for line in poll_log_lines(jobs, job, follow=follow, mini_batch=mini_batch):
        if line is None:
            time.sleep(FOLLOW_SECONDS)
        else:
            yield line


def poll_log_lines(
    jobs: Jobs, job: Job, *, follow: bool, mini_batch: int | None = None
) -> Generator[str | None, None, None]:
    """The same, with None where there is nothing new: whoever asks waits in their own way."""
    refuse_pruned(job)
    _check_mini_batch(job, mini_batch)
    while follow and not job.is_ended and not Path(job.record.folder).is_dir():
        # Its folder is on another machine, and a copy has logs only once the job has ended.
        yield None
        job = jobs.get(job.name)
    with reading_job_folder(job, is_wanted=lambda path: path.startswith("logs/")) as folder:
        reader = _LogReader(folder, mini_batch)
        while follow and not job.is_ended:
            yield from reader.iter_new_lines()
            yield None
            job = jobs.get(job.name)
        yield from reader.iter_new_lines(with_rests=True)


def _check_mini_batch(job: Job, mini_batch: int | None) -> None:
    if mini_batch is None or job.summary is None:
        return
    count = job.summary.mini_batches.total
    if 0 <= mini_batch < count:
        return
    raise NotFoundError(
        f"job {job.name} has no mini-batch {mini_batch}: "
        + (f"its ids go from 0 to {count - 1}" if count else "it ended before it was planned"),
        condition="MINI_BATCH_NOT_FOUND",
        job=job.name,
        mini_batch=mini_batch,
    )


class _LogReader:
    """Remembers how far each file was read, and which one was shown last."""

    def __init__(self, folder: Path, mini_batch: int | None) -> None:
        self._folder, self._mini_batch = folder, mini_batch
        self._number = b"" if mini_batch is None else str(mini_batch).encode()
        self._read_bytes: dict[Path, int] = {}
        self._shown: Path | None = None

    def iter_new_lines(self, *, with_rests: bool = False) -> Iterator[str]:
        """The lines that were added since, ``with_rests`` also last ones without an end."""
        for file in self._list_files():
            yield from self._headed(file, self._iter_new_lines(file, with_rests=with_rests))

    def _list_files(self) -> list[Path]:
        logs = self._folder / "logs"
        if self._mini_batch is not None:
            logs /= "user"
        files = [path for path in logs.rglob("*") if path.is_file()]
        return sorted(
            files,
            key=lambda path: (
                _FIRST.index(path.name) if path.name in _FIRST else len(_FIRST),
                path,
            ),
        )

    def _iter_new_lines(self, file: Path, *, with_rests: bool) -> Iterator[str]:
        try:
            with file.open("rb") as stream:
                stream.seek(self._read_bytes.get(file, 0))
                for line in stream:
                    if not line.endswith(b"\n") and not with_rests:
                        return
                    self._read_bytes[file] = self._read_bytes.get(file, 0) + len(line)
                    if self._number not in line:
                        continue  # nearly all lines are of others: this tells them quickly
                    yield line.rstrip(b"\n").decode("utf-8", errors="replace")
        except OSError:
            return

    def _headed(self, file: Path, lines: Iterator[str]) -> Iterator[str]:
        for line in lines:
            if self._mini_batch is not None and find_mini_batch(line) != self._mini_batch:
                continue
            if file != self._shown:
                self._shown = file
                yield f"==> {file.relative_to(self._folder)} <=="
            yield line
