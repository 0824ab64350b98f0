"""Gives a job its launcher, a process that outlives the one that asks. Control plane."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

from sparkscore.control.jobs.look import (
    LAUNCHER_LOG,
    change_job,
    get_launch_path,
    has_keeper,
    refresh_job,
)
from sparkscore.control.jobs.parking import park_job
from sparkscore.control.jobs.processes import find_identity, get_own_identity, is_alive
from sparkscore.control.jobs.queue import is_parked
from sparkscore.control.jobs.refresh import end_with_error, is_interrupted
from sparkscore.errors import SparkscoreError, SubmitError
from sparkscore.state import JobRecord, ProcessIdentity, Store
from sparkscore.state.job_status import (
    NOT_STARTED,
    QUEUED,
    WAITING,
    advance,
    find_stage,
    is_terminal,
)
from sparkscore.targets.process import start_process

_STARTED: list[subprocess.Popen[bytes]] = []
"""What this process started: whoever starts a process has to wait for it."""

_STARTED_LOCK = threading.Lock()
_PARKING_LOCK = threading.Lock()


def start_launcher(
    store: Store, name: str, *, workspace_folder: Path, parks_beyond: int | None = None
) -> JobRecord:
    """Start the launcher of a job that has a folder and no launcher; otherwise nothing changes.

    Safe when several processes do so: the launchers claim the job, and one wins. It waits for the
    job's turn, or goes on watching a driver whose launcher died. With ``parks_beyond``, the number
    of jobs that may run at once, a job that waits behind enough others is parked. Raises
    NotFoundError, or SubmitError if no process can be started; the job has then failed.
    """
    with store.reading() as reader:
        record = reader.get_job(name)
    record = refresh_job(store, record)
    if is_terminal(record.status) and not is_interrupted(record):
        return record
    if is_alive(record.launcher) is not False or not Path(get_launch_path(record)).exists():
        return record
    if parks_beyond is None:
        return _launch(store, record, workspace_folder=workspace_folder)
    # One after the other: each must see the launchers of those before it.
    with _PARKING_LOCK:
        parked = park_job(store, name, max_running=parks_beyond)
        return parked or _launch(store, record, workspace_folder=workspace_folder)


def start_forgotten(
    store: Store, record: JobRecord, *, workspace_folder: Path, parks_beyond: int
) -> None:
    """Start the launcher of a job that this process has parked, if all others were killed.

    What goes wrong with that shows in the job, or is tried again by who looks next.
    """
    if not is_parked(record) or record.creator != get_own_identity():
        return
    with suppress(SparkscoreError):
        if not has_keeper(store, record):
            start_launcher(
                store, record.name, workspace_folder=workspace_folder, parks_beyond=parks_beyond
            )


def start_adopting(store: Store, record: JobRecord, *, workspace_folder: Path) -> JobRecord:
    """Start a launcher for a job that goes on elsewhere and whose launcher was killed.

    What goes wrong with that is tried again by who looks next.
    """
    if record.remote is None or is_terminal(record.status) or find_stage(record) in WAITING:
        return record
    if is_alive(record.launcher) is False:
        with suppress(SparkscoreError):
            return start_launcher(store, record.name, workspace_folder=workspace_folder)
    return record


def _launch(store: Store, record: JobRecord, *, workspace_folder: Path) -> JobRecord:
    name = record.name
    try:
        process = _start(record, workspace_folder=workspace_folder)
    except SubmitError as error:
        failure = error
        change_job(store, name, lambda job: _end_unclaimed(job, failure))
        raise
    identity = find_identity(process.pid)
    claimed = None if identity is None else claim_job(store, name, identity)
    if claimed is not None:
        return claimed
    with store.reading() as reader:
        return reader.get_job(name)


def _end_unclaimed(record: JobRecord, error: SubmitError) -> JobRecord:
    """Failed, unless the job has ended or somebody else has given it a launcher meanwhile."""
    if is_terminal(record.status) or is_alive(record.launcher) is not False:
        return record
    return end_with_error(record, error, at=time.time())


def claim_job(store: Store, name: str, launcher: ProcessIdentity) -> JobRecord | None:
    """Make ``launcher`` the job's launcher; None if it has ended or has another one.

    A job whose launcher is dead is given to another while it waits, and while its driver lives; a
    job on a platform until it has ended.
    """
    with store.writing() as writer:
        record = writer.get_job(name)
        if record.launcher == launcher:
            return record
        if is_terminal(record.status) or is_alive(record.launcher) is not False:
            return None
        is_here = record.remote is None
        if is_here and find_stage(record) not in WAITING and not is_alive(record.driver):
            return None
        now = time.time()
        queued = advance(record, QUEUED, at=now) if record.status == NOT_STARTED else record
        return writer.update_job(
            dataclasses.replace(queued, launcher=launcher, heartbeat_at=now, updated_at=now)
        )


def _start(record: JobRecord, *, workspace_folder: Path) -> subprocess.Popen[bytes]:
    module = "sparkscore.control.jobs.launcher"
    process = start_process(
        (sys.executable, "-m", module, str(workspace_folder), record.name),
        environment=os.environ,
        log_file=Path(record.folder) / "logs" / LAUNCHER_LOG,
    )
    wait_later(process)
    return process


def wait_later(process: subprocess.Popen[bytes]) -> None:
    """Wait for a process that nobody waits for, once the next one is started."""
    with _STARTED_LOCK:
        _STARTED[:] = [one for one in _STARTED if one.poll() is None]
        _STARTED.append(process)
