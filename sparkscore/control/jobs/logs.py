"""The logs of a job, one after the other. Control plane."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from sparkscore.control.jobs.job import Job, refuse_pruned
from sparkscore.control.jobs.look import LAUNCHER_LOG

if TYPE_CHECKING:
    from sparkscore.control.jobs.jobs import Jobs

FOLLOW_SECONDS = 0.5
_FIRST = (LAUNCHER_LOG, "driver.log")


def iter_log_lines(jobs: Jobs, job: Job, *, follow: bool) -> Iterator[str]:
    """Lines without their ends, a header ``==> logs/driver.log <==`` before those of a file.

    Launcher and driver come first, then what scripts wrote. Raises StateError (JOB_PRUNED).
    """
    refuse_pruned(job)
    reader = _LogReader(Path(job.record.folder))
    while follow and not job.is_ended:
        yield from reader.iter_new_lines()
        time.sleep(FOLLOW_SECONDS)
        job = jobs.get(job.name)
    yield from reader.iter_new_lines(with_rests=True)


class _LogReader:
    """Remembers how far each file was read, and which one was shown last."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._read_bytes: dict[Path, int] = {}
        self._shown: Path | None = None

    def iter_new_lines(self, *, with_rests: bool = False) -> Iterator[str]:
        """The lines that were added since, ``with_rests`` also last ones without an end."""
        for file in self._list_files():
            yield from self._iter_new_lines(file, with_rests=with_rests)

    def _list_files(self) -> list[Path]:
        logs = self._folder / "logs"
        files = [path for path in logs.rglob("*") if path.is_file()]
        return sorted(
            files,
            key=lambda path: (
                _FIRST.index(path.name) if path.name in _FIRST else len(_FIRST),
                path,
            ),
        )

    def _iter_new_lines(self, file: Path, *, with_rests: bool) -> Iterator[str]:
        added = self._read(file)
        whole, newline, rest = added.rpartition(b"\n")
        if with_rests and rest:
            whole, newline = added, b"\n"
        if newline:
            self._read_bytes[file] = self._read_bytes.get(file, 0) + len(whole) + len(newline)
            yield from self._headed(file, whole.decode("utf-8", errors="replace").split("\n"))

    def _headed(self, file: Path, lines: list[str]) -> Iterator[str]:
        if file != self._shown:
            self._shown = file
            yield f"==> {file.relative_to(self._folder)} <=="
        yield from lines

    def _read(self, file: Path) -> bytes:
        try:
            with file.open("rb") as stream:
                stream.seek(self._read_bytes.get(file, 0))
                return stream.read()
        except OSError:
            return b""
