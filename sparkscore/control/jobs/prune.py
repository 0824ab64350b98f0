"""Removes the folders of jobs that ended long ago, and their copies in a store. Control plane.

The record stays, and with it the account. Results stay where they are, also below the job folder.
"""

from __future__ import annotations

import dataclasses
import os
import shutil
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sparkscore.control.jobs.job import PRUNED, Job
from sparkscore.control.jobs.look import change_job
from sparkscore.control.jobs.mirror import MirrorFiles
from sparkscore.control.jobs.processes import is_alive
from sparkscore.control.listing_table import Table
from sparkscore.control.times import render_time
from sparkscore.listing.location import find_local_path
from sparkscore.state.job_status import is_terminal
from sparkscore.state.records import JobRecord

if TYPE_CHECKING:
    from sparkscore.control.workspace import Workspace


@dataclass(frozen=True)
class PrunedJob:
    """A job whose folder was removed, or would be; ``freed_bytes`` is what that frees."""

    name: str
    status: str
    folder: Path
    freed_bytes: int
    ended_at: float

    def to_dict(self) -> dict[str, Any]:
        """What ``job prune`` prints."""
        return {
            "name": self.name,
            "status": self.status,
            "job_folder": str(self.folder),
            "freed_bytes": self.freed_bytes,
            "end_time": render_time(self.ended_at),
        }


def prune_jobs(
    workspace: Workspace, jobs: Iterable[Job], *, older_than_seconds: float, dry_run: bool
) -> Table[PrunedJob]:
    """Remove the folders of those that have ended so long ago; with ``dry_run`` only tell."""
    pruned: Table[PrunedJob] = Table()
    now = time.time()
    for job in jobs:
        ended_at = _find_end(job.record)
        if ended_at is None or now - ended_at < older_than_seconds:
            continue
        folder = Path(job.record.folder)
        files = list(_iter_files(folder, kept=_find_results(job.record)))
        if not files and PRUNED in job.record.properties:
            continue
        mirror = MirrorFiles(workspace, job.record)
        freed = sum(map(_get_size, files)) + sum(mirror.find_sizes().values())
        if not files and not freed:
            continue
        if not dry_run:
            marked = change_job(workspace.store, job.name, _mark)
            if PRUNED not in marked.properties:
                continue
            mirror.remove()  # first: while the folder is there, the next prune finds what is left
            _remove(folder, kept=_find_results(job.record))
        pruned.append(PrunedJob(job.name, job.status, folder, freed, ended_at))
    return pruned


def _find_end(record: JobRecord) -> float | None:
    """When the job ended; None if it has not, or a process of it still cleans up."""
    if is_alive(record.launcher) or is_alive(record.driver):
        return None
    return record.ended_at


def _find_results(record: JobRecord) -> Path | None:
    """The results, if they lie below the job folder."""
    path = ((record.summary or {}).get("output") or {}).get("path")
    local = None if not path else find_local_path(str(path))
    if local is None or not Path(local).is_relative_to(record.folder):
        return None
    return Path(local)


def _iter_files(folder: Path, *, kept: Path | None) -> Iterator[Path]:
    for parent, _, names in os.walk(folder):
        for name in names:
            file = Path(parent, name)
            if kept is None or not file.is_relative_to(kept):
                yield file


def _remove(folder: Path, *, kept: Path | None) -> None:
    if kept is None or not folder.is_dir():
        shutil.rmtree(folder, ignore_errors=True)
        return
    for entry in folder.iterdir():
        if entry == kept:
            continue
        if kept.is_relative_to(entry):
            _remove(entry, kept=kept)
        elif entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry, ignore_errors=True)
        else:
            entry.unlink(missing_ok=True)


def _get_size(file: Path) -> int:
    try:
        return file.lstat().st_size
    except OSError:
        return 0


def _mark(record: JobRecord) -> JobRecord:
    """The mark comes first: what a killed prune leaves is removed by the next one.

    A job that was resumed meanwhile gets none.
    """
    if not is_terminal(record.status):
        return record
    properties = {PRUNED: render_time(time.time()), **record.properties}
    return dataclasses.replace(record, properties=properties)
