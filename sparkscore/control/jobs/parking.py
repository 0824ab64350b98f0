"""Jobs that wait without a process of their own. Control plane.

A process that makes many jobs, as the server does, gives launchers to the first of them alone; the
others are parked. Each of these launchers looks after those that come next: when its job starts,
when it ends, and while it waits. Only jobs of one creator help each other, as a launcher's
environment is that of its creator, and a job must not run with anybody else's.
"""

from __future__ import annotations

import time
from pathlib import Path

from sparkscore.control.jobs.look import change_job, get_launch_path, refresh_job
from sparkscore.control.jobs.processes import is_alive
from sparkscore.control.jobs.queue import is_parked, takes_turns
from sparkscore.control.jobs.refresh import end_with_error
from sparkscore.errors import NotFoundError
from sparkscore.state import JobRecord, ProcessIdentity, Store
from sparkscore.state.job_status import QUEUED, advance, is_terminal, is_waiting

_DEAD_COUNT = 4
"""How many jobs whose launchers died may stand before the others when these are looked for."""


def park_job(store: Store, name: str, *, max_running: int) -> JobRecord | None:
    """Queue the job without a launcher; None if it should have one now.

    It should while fewer than ``max_running`` and one more waiting jobs before it have one.
    """
    with store.writing() as writer:
        record = writer.get_job(name)
        if record.launcher is not None or not is_waiting(record) or not takes_turns(record):
            return None
        before = writer.list_queued_jobs(
            record.creator, limit=_get_limit(max_running), before_sequence=record.sequence
        )
        if sum(is_alive(other.launcher) is True for other in before) < _get_size(max_running):
            return None
        if record.status == QUEUED:
            return record
        return writer.update_job(advance(record, QUEUED, at=time.time()))


def find_next_parked(
    store: Store, creator: ProcessIdentity | None, *, max_running: int
) -> list[str]:
    """The names of jobs that should have a launcher now, the oldest first.

    One without its folder can have none: it has failed now.
    """
    found = []
    for job in _list_first(store, creator, max_running=max_running):
        if not is_parked(job):
            continue
        if Path(get_launch_path(job)).exists():
            found.append(job.name)
        else:
            change_job(store, job.name, _end_without_folder)
    return found


def _list_first(
    store: Store, creator: ProcessIdentity | None, *, max_running: int
) -> list[JobRecord]:
    """The waiting jobs that should have a launcher; those whose launchers died have ended."""
    ended: set[str] = set()
    while True:
        with store.reading() as reader:
            queued = reader.list_queued_jobs(creator, limit=_get_limit(max_running))
        dead = [job for job in queued if not is_parked(job) and is_alive(job.launcher) is False]
        found = {job.name for job in dead if is_terminal(refresh_job(store, job).status)}
        if found <= ended:  # one that stands here again could not be written: the disk is full
            return [job for job in queued if job not in dead][: _get_size(max_running)]
        ended |= found


def _get_size(max_running: int) -> int:
    """How many waiting jobs have a launcher: one more than can start at once."""
    return max_running + 1


def _get_limit(max_running: int) -> int:
    return _get_size(max_running) + _DEAD_COUNT


def _end_without_folder(record: JobRecord) -> JobRecord:
    if not is_parked(record):
        return record
    error = NotFoundError(
        f"the folder of job {record.name} was removed while it waited: invoke again",
        condition="JOB_FOLDER_NOT_FOUND",
        name=record.name,
        path=record.folder,
    )
    return end_with_error(record, error, at=time.time())
