"""Writes ended jobs to MLflow, each as a run. Control plane, a process of its own.

A launcher notes its job below ``cache/mlflow-runs`` of the workspace, and once the job's end is
stored it starts ``python -m sparkscore.control.jobs.tracking WORKSPACE_FOLDER``, which nobody waits
for: a server that is slow or away delays and fails nothing. One such process of a workspace works
at a time, at the lowest priority; others leave their jobs to it. What cannot be written because the
server is away stays noted, and is written when a later job ends.
"""

from __future__ import annotations

import contextlib
import dataclasses
import faulthandler
import fcntl
import os
import sys
from collections.abc import Iterator
from datetime import datetime, timezone
from functools import partial
from pathlib import Path

from sparkscore.control.jobs.look import LAUNCHER_LOG, change_job, refresh_job
from sparkscore.control.jobs.mlflow_run import MlflowRun, log_job
from sparkscore.control.jobs.processes import is_alive
from sparkscore.control.workspace import Workspace
from sparkscore.control.workspace_config import read_config
from sparkscore.errors import NotFoundError, SparkscoreError
from sparkscore.state import JobRecord
from sparkscore.state.job_status import is_terminal
from sparkscore.targets.process import start_process

MODULE = "sparkscore.control.jobs.tracking"
LIMIT_SECONDS = 300.0
"""How long one run may take to write; then the process ends itself."""

MOST_ATTEMPTS = 3
"""How often a run is tried that fails although the server answers."""

_LOCK_FILE = ".lock"
_LOWEST_PRIORITY = 19
_PATIENCE = {"MLFLOW_HTTP_REQUEST_TIMEOUT": "20", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2"}


def main(arguments: list[str] | None = None) -> int:
    """Write what is noted in the workspace; returns 0, or 1 if something is missing."""
    (folder,) = sys.argv[1:] if arguments is None else arguments
    os.nice(_LOWEST_PRIORITY)
    os.environ.update(_PATIENCE)
    try:
        workspace = Workspace(read_config(Path(folder)))
    except NotFoundError:
        return 0
    return 0 if write_runs(workspace) else 1


def note_job(workspace_folder: Path, name: str) -> None:
    """Note that the job is to become a run once it has ended; raises OSError."""
    folder = _get_folder(workspace_folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).touch()


def start_writing(workspace_folder: Path, *, log_file: Path) -> None:
    """Start the process that writes what is noted; raises SubmitError, or OSError."""
    start_process(
        (sys.executable, "-m", MODULE, str(workspace_folder)),
        environment=os.environ,
        log_file=log_file,
    )


def write_runs(workspace: Workspace) -> bool:
    """Write the run of each noted job that has ended, unless another process does just that.

    Returns False if one is missing; the log of its launcher says why.
    """
    folder = _get_folder(workspace.folder)
    tried: set[tuple[str, float | None]] = set()
    is_whole = True
    # Looking again after the lock was given back finds what others have left meanwhile.
    while ready := _find_ready(workspace, folder, tried):
        with _alone(folder) as is_alone:
            if not is_alone:
                break
            for record in ready:
                tried.add((record.name, record.ended_at))
                is_whole = _write_noted(workspace, record, folder / record.name) and is_whole
                if not is_whole and _is_kept_untried(folder / record.name):
                    # The server is away: it would be asked in vain for each of the others.
                    return False
    return is_whole


def _find_ready(
    workspace: Workspace, folder: Path, tried: set[tuple[str, float | None]]
) -> list[JobRecord]:
    """Noted jobs that have ended, the least tried first; notes of jobs without an end stay."""
    try:
        notes = [file for file in folder.iterdir() if file.name != _LOCK_FILE]
    except OSError:
        return []
    ready: list[tuple[int, float, JobRecord]] = []
    for note in notes:
        record = _find_job(workspace, note)
        if record is None or not is_terminal(record.status):
            continue
        if record.started_at is None:
            note.unlink(missing_ok=True)
        elif (record.name, record.ended_at) not in tried:
            ready.append((_count_attempts(note), record.created_at, record))
    return [record for _, _, record in sorted(ready, key=lambda entry: entry[:2])]


def _find_job(workspace: Workspace, note: Path) -> JobRecord | None:
    """The job as it is now; also of one whose launcher died, so that nobody has stored its end."""
    try:
        with workspace.store.reading() as reader:
            record = reader.get_job(note.name)
    except NotFoundError:
        note.unlink(missing_ok=True)
        return None
    if not is_terminal(record.status) and is_alive(record.launcher) is False:
        return refresh_job(workspace.store, record)
    return record


def _write_noted(workspace: Workspace, record: JobRecord, note: Path) -> bool:
    say = partial(_say, record)
    with _limited(record):
        if _count_attempts(note) >= MOST_ATTEMPTS:
            say(f"the MLflow run is missing: it was tried {MOST_ATTEMPTS} times")
            note.unlink(missing_ok=True)
            return False
        _note_attempt(note)
        say("writes the MLflow run")
        try:
            run = log_job(workspace, record)
            _record_run(workspace, record, run)
        except SparkscoreError as error:
            is_last = _count_attempts(note) >= MOST_ATTEMPTS
            if error.condition == "MLFLOW_UNREACHABLE":
                is_last = False
                _forget_attempts(note)
            then = "is missing" if is_last else "is written when a later job ends"
            say(f"the MLflow run {then}: {error.condition}: {error.message}")
            if is_last:
                note.unlink(missing_ok=True)
            return False
        say(f"MLflow run {run.run_id}")
        _take_note_back(workspace, record, note)
        return True


def _record_run(workspace: Workspace, record: JobRecord, run: MlflowRun) -> None:
    found = run.to_properties()
    change_job(
        workspace.store,
        record.name,
        lambda job: dataclasses.replace(job, properties={**job.properties, **found}),
    )


def _take_note_back(workspace: Workspace, record: JobRecord, note: Path) -> None:
    """Remove the note, unless the job was resumed meanwhile: it will end again."""
    note.unlink(missing_ok=True)
    with workspace.store.reading() as reader:
        current = reader.get_job(record.name)
    if current.ended_at != record.ended_at:
        note.touch()


def _note_attempt(note: Path) -> None:
    """One more attempt: a byte of the note."""
    with contextlib.suppress(OSError), note.open("ab") as file:
        file.write(b".")


def _count_attempts(note: Path) -> int:
    try:
        return note.stat().st_size
    except OSError:
        return 0


def _is_kept_untried(note: Path) -> bool:
    return note.exists() and not _count_attempts(note)


def _forget_attempts(note: Path) -> None:
    with contextlib.suppress(OSError):
        os.truncate(note, 0)


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[bool]:
    """Whether this process is the one that writes; the lock ends with the process."""
    descriptor = os.open(folder / _LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(descriptor)


def _say(record: JobRecord, text: str) -> None:
    """A line in the log of the job's launcher; nowhere if its folder is gone."""
    now = datetime.now(timezone.utc)
    with contextlib.suppress(OSError), _log_file(record).open("a", encoding="utf-8") as log:
        log.write(f"{now:%Y-%m-%d %H:%M:%S}Z {text}\n")


@contextlib.contextmanager
def _limited(record: JobRecord) -> Iterator[None]:
    """End this process, with its stack in the launcher's log, if what is inside takes too long."""
    with contextlib.ExitStack() as stack:
        try:
            log = stack.enter_context(_log_file(record).open("a", encoding="utf-8"))
        except OSError:
            log = stack.enter_context(open(os.devnull, "w", encoding="utf-8"))
        faulthandler.dump_traceback_later(LIMIT_SECONDS, exit=True, file=log)
        stack.callback(faulthandler.cancel_dump_traceback_later)
        yield


def _log_file(record: JobRecord) -> Path:
    return Path(record.folder) / "logs" / LAUNCHER_LOG


def _get_folder(workspace_folder: Path) -> Path:
    return workspace_folder / "cache" / "mlflow-runs"


if __name__ == "__main__":
    sys.exit(main())
