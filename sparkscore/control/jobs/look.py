"""Looks at a job's folder and processes, and brings its record up to date. Control plane.

The decisions are those of ``refresh``; here are files, processes and the store.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from pathlib import Path

from sparkscore.control.jobs.processes import find_identity, is_alive
from sparkscore.control.jobs.queue import find_keepers, is_parked
from sparkscore.control.jobs.refresh import Seen, reconcile
from sparkscore.control.watch import WatchedFiles, find_status, find_summary, read_last_lines
from sparkscore.errors import MessageError, StateError
from sparkscore.messages.launch import LAUNCH_FILE
from sparkscore.messages.status import StatusMessage, SummaryMessage
from sparkscore.state import JobRecord, Store
from sparkscore.state.job_status import WAITING, find_stage, is_terminal
from sparkscore.targets.process import find_driver_group

LAUNCHER_LOG = "launcher.log"


def refresh_job(store: Store, record: JobRecord) -> JobRecord:
    """The record as it should be now.

    Stored as well if the job has ended or no launcher keeps it, and the store can be written.
    """
    while not is_terminal(record.status):
        if is_parked(record) and is_alive(record.creator):
            return record
        known = _with_driver(record)
        seen = look_at(known)
        if is_parked(record) and not seen.creator_is_alive:
            seen = dataclasses.replace(seen, has_keeper=has_keeper(store, record))
        current = reconcile(known, seen)
        is_kept = seen.launcher_is_alive is not False and not is_terminal(current.status)
        if current == record or is_kept or record.launcher is None:
            return current
        try:
            with store.writing() as writer:
                stored = writer.get_job(record.name)
                if stored.revision == record.revision:
                    return writer.update_job(current)
        except StateError as error:
            if error.condition != "STORE_NOT_WRITABLE":
                raise
            return current  # it can be read all the same
        record = stored
    return record


def change_job(store: Store, name: str, change: Callable[[JobRecord], JobRecord]) -> JobRecord:
    """Change a job's record in one transaction; ``change`` may return what it was given."""
    with store.writing() as writer:
        record = writer.get_job(name)
        changed = change(record)
        return record if changed == record else writer.update_job(changed)


def look_at(record: JobRecord) -> Seen:
    """What can be seen of a job from here.

    Processes first: what a dead driver has not written by then it never will.
    """
    creator, launcher, driver = map(is_alive, (record.creator, record.launcher, record.driver))
    if record.remote is not None and find_stage(record) not in WAITING:
        driver = None  # it runs on a platform, out of sight
    files = WatchedFiles.of(Path(record.folder))
    is_over = launcher is False and driver is False
    return Seen(
        now=time.time(),
        status=find_live_status(record),
        status_written_at=_find_time(files.status),
        summary=_find_summary(files.summary),
        creator_is_alive=creator,
        launcher_is_alive=launcher,
        driver_is_alive=driver,
        log_lines=_read_log(record) if is_over and record.launcher is not None else (),
    )


def find_live_status(record: JobRecord) -> StatusMessage | None:
    """The driver's last status; None if there is none that can be read."""
    try:
        return find_status(WatchedFiles.of(Path(record.folder)).status)
    except (MessageError, OSError):
        return None


def has_keeper(store: Store, record: JobRecord) -> bool:
    """Whether a launcher lives that will give one to this parked job."""
    with store.reading() as reader:
        launched = reader.list_launched_jobs(record.creator)
    return bool(find_keepers(launched, time.time(), is_alive))


def get_launch_path(record: JobRecord) -> str:
    """Where the job's launch message stands, which is on its driver's command line too."""
    return str(Path(record.folder) / LAUNCH_FILE)


def _with_driver(record: JobRecord) -> JobRecord:
    """The record with a driver whose launcher was killed before it could record it."""
    if record.driver is not None or record.launcher is None or find_stage(record) in WAITING:
        return record
    if record.remote is not None:
        return record
    if is_alive(record.launcher) is not False:
        return record
    group = find_driver_group(marker=get_launch_path(record))
    driver = None if group is None else find_identity(group)
    return record if driver is None else dataclasses.replace(record, driver=driver)


def _find_time(file: Path) -> float | None:
    try:
        return file.stat().st_mtime
    except OSError:
        return None


def _find_summary(file: Path) -> SummaryMessage | None:
    try:
        return find_summary(file)
    except (MessageError, OSError):
        return None


def _read_log(record: JobRecord) -> tuple[str, ...]:
    logs = Path(record.folder) / "logs"
    for name in ("driver.log", LAUNCHER_LOG):
        lines = read_last_lines(logs / name)
        if lines:
            return tuple(lines)
    return ()
