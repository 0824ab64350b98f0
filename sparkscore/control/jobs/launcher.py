"""The launcher of one job: waits, starts the driver, keeps the record. Control plane, a process.

``python -m sparkscore.control.jobs.launcher WORKSPACE_FOLDER JOB`` outlives the command that starts
it: it waits for the job's turn, starts the driver, hands on the wish to cancel, and writes how the
job ended. It runs beside the driver for as long as the job, so it imports little. Should it die,
the driver goes on; see ``refresh``.
"""

from __future__ import annotations

import dataclasses
import shutil
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from sparkscore.control.jobs.drivers import adopt_driver, start_driver
from sparkscore.control.jobs.look import LAUNCHER_LOG, change_job, look_at, refresh_job
from sparkscore.control.jobs.mlflow_run import write_sample
from sparkscore.control.jobs.parking import find_next_parked
from sparkscore.control.jobs.processes import find_identity, get_own_identity, is_alive
from sparkscore.control.jobs.queue import count_ahead, is_parked, keeps_place
from sparkscore.control.jobs.refresh import (
    end_with_error,
    end_with_summary,
    note_heartbeat,
    reconcile,
)
from sparkscore.control.jobs.start import claim_job, start_launcher
from sparkscore.control.jobs.tracking import note_job, start_writing
from sparkscore.control.watch import Cancellation, wait_for_summary
from sparkscore.control.webhooks.telling import tell_ends
from sparkscore.control.workspace import Workspace
from sparkscore.errors import CanceledError, SparkscoreError, StateError
from sparkscore.messages.status import CANCELED, STARTING
from sparkscore.plan.spark_application import SCRATCH_NAME
from sparkscore.state import JobRecord, Reader, Store
from sparkscore.state.job_status import PREPARING, WAITING, advance, find_stage, is_terminal
from sparkscore.targets.base import TargetRun

POLL_SECONDS = 0.5
HEARTBEAT_SECONDS = 5.0
STORE_PATIENCE_SECONDS = 600.0
RETRY_SECONDS = 1.0
"""How long, and how often, a job that waits, starts or has ended tries to reach the store."""

_PASSING = ("STORE_BUSY", "STORE_NOT_WRITABLE", "STORE_UNREACHABLE")

Result = TypeVar("Result")


def main(arguments: list[str] | None = None) -> int:
    """Launch the job; returns 0 once it has ended, however it ended."""
    given = sys.argv[1:] if arguments is None else arguments
    if len(given) != 2:
        say("usage: launcher WORKSPACE_FOLDER JOB")
        return 2
    workspace = Workspace.open(Path(given[0]), on_message=say)
    store = patiently(lambda: workspace.store)
    logs_jobs = workspace.config.logs_jobs
    if logs_jobs:
        with _complaining():
            note_job(workspace.folder, given[1])
    launcher = Launcher(
        store,
        given[1],
        max_running_jobs=workspace.config.max_running_jobs,
        workspace_folder=workspace.folder,
        secret_variables=frozenset(one.secret_variable for one in workspace.config.webhooks),
    )
    code = launcher.run()
    tell_ends(workspace)
    if logs_jobs:
        with _complaining():
            _start_writing(workspace, given[1])
    return code


def _start_writing(workspace: Workspace, name: str) -> None:
    """Have the job written to MLflow, by a process that nobody waits for."""
    with workspace.store.reading() as reader:
        record = reader.get_job(name)
    if is_terminal(record.status) and record.started_at is not None:
        start_writing(workspace.folder, log_file=Path(record.folder) / "logs" / LAUNCHER_LOG)


@contextmanager
def _complaining() -> Iterator[None]:
    """The MLflow run is an extra: the job has ended as it has, whatever goes wrong with that."""
    try:
        yield
    except (SparkscoreError, OSError) as error:
        say(f"the MLflow run is missing: {error}")


@contextmanager
def _going_on() -> Iterator[None]:
    """The launcher's own job must not end for what others lack."""
    try:
        yield
    except SparkscoreError as error:
        say(f"{error.condition}: {error.message}")
    except Exception:  # noqa: BLE001 - a driver that runs would be given up for it
        say(traceback.format_exc())


def say(text: str) -> None:
    """A line of launcher.log, where there is space for it."""
    with suppress(OSError):
        print(f"{datetime.now(timezone.utc):%Y-%m-%d %H:%M:%S}Z {text}", flush=True)


def patiently(action: Callable[[], Result], *, seconds: float = STORE_PATIENCE_SECONDS) -> Result:
    """What the action gives, once the store is there; raises StateError if it stays away."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return action()
        except StateError as error:
            if error.condition not in _PASSING or time.monotonic() >= deadline:
                raise
            say(f"{error.condition}: {error.message}; tries again")
            time.sleep(RETRY_SECONDS)


class Launcher:
    """One job from its place in the queue to its end; starts the launchers of parked ones."""

    def __init__(
        self,
        store: Store,
        name: str,
        *,
        max_running_jobs: int,
        workspace_folder: Path,
        secret_variables: frozenset[str] = frozenset(),
    ) -> None:
        self._store, self._name, self._folder = store, name, workspace_folder
        self._max_running_jobs = max_running_jobs
        self._secret_variables = secret_variables
        self._cancellation = Cancellation()
        self._polled_at = self._heartbeat_at = time.monotonic()
        self._complaint = ""
        self._ahead = -1

    def run(self) -> int:
        """Launch the job if nobody else does; returns the exit code."""
        record = patiently(lambda: claim_job(self._store, self._name, get_own_identity()))
        if record is None:
            say(f"job {self._name} has ended or has another launcher: nothing to do")
            return 0
        try:
            end = self._run(record)
        except CanceledError:
            end = partial(advance, status=CANCELED)
        except SparkscoreError as error:
            end = partial(end_with_error, error=error)
        except Exception as error:  # noqa: BLE001 - whatever ends a launcher, its job's record says so
            say(traceback.format_exc())
            end = partial(end_with_error, error=_internal_error(self._name, error))
        if end is not None:
            shutil.rmtree(Path(record.folder) / SCRATCH_NAME, ignore_errors=True)
            self._store_end(end)
        # Nobody may be left to do it later.
        self._start_next(record, patience_seconds=STORE_PATIENCE_SECONDS)
        return 0

    def _run(self, record: JobRecord) -> Callable[..., JobRecord] | None:
        """Wait for the turn, start or adopt the driver, watch it; how the record then ends."""
        if record.remote is not None:
            return self._run_on_platform(record)
        if find_stage(record) in WAITING:
            if not self._wait_for_turn():
                say("canceled while it waited")
                return None
            run = start_driver(
                record,
                secret_variables=self._secret_variables,
                on_poll=partial(self._poll_build, record),
            )
            self._record_driver(run)
            self._start_next(record)
        else:
            run = adopt_driver(record)
        say(f"driver runs as process {run.process_id}")
        summary = wait_for_summary(
            run,
            job_folder=Path(record.folder),
            on_status=lambda _: None,
            cancellation=self._cancellation,
            on_poll=self._poll,
        )
        return partial(end_with_summary, summary=summary)

    def _run_on_platform(self, record: JobRecord) -> Callable[..., JobRecord] | None:
        """The same for a job whose driver runs elsewhere."""
        from sparkscore.control.jobs.remote_compile import open_platform
        from sparkscore.control.jobs.remote_run import RemoteHooks, run_remote

        if find_stage(record) in WAITING:
            if not self._wait_for_turn():
                say("canceled while it waited")
                return None
            with self._store.reading() as reader:
                record = reader.get_job(self._name)
        hooks = RemoteHooks(
            change=lambda change: patiently(partial(self._change, change)),
            poll=self._poll,
            say=say,
            cancellation=self._cancellation,
            open_platform=open_platform,
        )
        return partial(end_with_summary, summary=run_remote(record, hooks))

    def _wait_for_turn(self) -> bool:
        """Block until the job may start and is Starting; False if it has ended meanwhile."""
        while (has_turn := patiently(self._ask_for_turn)) is None:
            time.sleep(POLL_SECONDS)
        return has_turn

    def _ask_for_turn(self) -> bool | None:
        """Whether the job is Starting now; None while others come first."""
        with self._store.reading() as reader:
            record = reader.get_job(self._name)
            ahead, forgotten = self._look_ahead(record, reader)
        if ahead == 0 and self._take_turn():
            return True
        if is_terminal(record.status) or record.launcher != get_own_identity():
            return False
        if ahead != self._ahead:
            self._ahead = ahead
            say(f"waits for {ahead} jobs" if ahead else "its turn has come")
        for other in forgotten:
            refresh_job(self._store, other)
        self._beat_while_waiting(record)
        return None

    def _look_ahead(self, record: JobRecord, reader: Reader) -> tuple[int, list[JobRecord]]:
        now = time.time()
        active = reader.list_active_jobs(ahead_of=record.sequence)
        ahead = count_ahead(
            record, active, max_running=self._max_running_jobs, now=now, is_alive=is_alive
        )
        return ahead, [
            other
            for other in active
            if not is_parked(other) and not keeps_place(other, now, is_alive)
        ]

    def _take_turn(self) -> bool:
        """Start if it is still this job's turn: asked and answered in one transaction."""
        with self._store.writing() as writer:
            record = writer.get_job(self._name)
            is_ours = record.launcher == get_own_identity() and not is_terminal(record.status)
            if not is_ours or self._look_ahead(record, writer)[0]:
                return False
            now = time.time()
            started = advance(record, STARTING if record.remote is None else PREPARING, at=now)
            writer.update_job(dataclasses.replace(started, heartbeat_at=now))
            return True

    def _start_next(self, record: JobRecord, *, patience_seconds: float = 0.0) -> None:
        """Give parked jobs their launchers; whatever goes wrong with that, this job goes on."""
        most = self._max_running_jobs
        find = partial(find_next_parked, self._store, record.creator, max_running=most)
        with _going_on():
            for name in patiently(find, seconds=patience_seconds):
                start = partial(start_launcher, self._store, name, workspace_folder=self._folder)
                with _going_on():
                    patiently(start, seconds=patience_seconds)

    def _poll_build(self, record: JobRecord) -> None:
        """While the job's environment is built: heartbeats, and the wish to cancel."""
        self._beat_while_waiting(record)
        if time.monotonic() - self._polled_at >= POLL_SECONDS:
            self._polled_at = time.monotonic()
            with suppress(StateError), self._store.reading() as reader:
                if reader.get_job(self._name).cancel_requested_at is not None:
                    raise CanceledError(f"job {self._name} was canceled before it started")

    def _beat_while_waiting(self, record: JobRecord) -> None:
        if time.monotonic() - self._heartbeat_at < HEARTBEAT_SECONDS:
            return
        self._heartbeat_at = time.monotonic()
        self._start_next(record)
        now = time.time()
        change_job(
            self._store,
            self._name,
            lambda job: (
                job if is_terminal(job.status) else dataclasses.replace(job, heartbeat_at=now)
            ),
        )

    def _record_driver(self, run: TargetRun) -> None:
        driver = None if run.process_id is None else find_identity(run.process_id)

        def change(job: JobRecord) -> JobRecord:
            return dataclasses.replace(job, driver=driver)

        try:
            patiently(partial(self._change, change))
        except SparkscoreError:
            run.kill()
            raise

    def _poll(self) -> None:
        """Twice a second: the wish to cancel, and the record; the store may be away for a while."""
        if time.monotonic() - self._polled_at < POLL_SECONDS:
            return
        self._polled_at = time.monotonic()
        try:
            self._keep_record()
        except StateError as error:
            if error.condition != self._complaint:
                self._complaint = error.condition
                say(f"{error.condition}: {error.message}")

    def _keep_record(self) -> None:
        with self._store.reading() as reader:
            record = reader.get_job(self._name)
        if record.cancel_requested_at is not None and not self._cancellation.request_count:
            say("is asked to cancel")
            self._cancellation.request()
        seen = look_at(record)
        current = reconcile(record, seen)
        is_due = time.monotonic() - self._heartbeat_at >= HEARTBEAT_SECONDS
        if current.status == record.status and not is_due:
            return
        self._heartbeat_at = time.monotonic()
        if seen.status is not None:
            write_sample(Path(record.folder), seen.status)
        if current.status != record.status:
            say(f"status {current.status}")
        self._change(lambda job: note_heartbeat(reconcile(job, seen), seen))

    def _store_end(self, end: Callable[..., JobRecord]) -> None:
        change = partial(_end_once, end=end)
        ended = patiently(lambda: self._change(change))
        say(f"ended: {ended.status}")

    def _change(self, change: Callable[[JobRecord], JobRecord]) -> JobRecord:
        """Change the record unless the job was resumed since: then another launcher keeps it."""
        own = get_own_identity()
        return change_job(
            self._store, self._name, lambda job: change(job) if job.launcher == own else job
        )


def _end_once(record: JobRecord, *, end: Callable[..., JobRecord]) -> JobRecord:
    return record if is_terminal(record.status) else end(record, at=time.time())


def _internal_error(name: str, error: Exception) -> SparkscoreError:
    attributes: dict[str, Any] = {"reason": repr(error)}
    return SparkscoreError(
        f"the launcher of job {name} failed: {error!r}; logs/launcher.log in the job folder has "
        "the traceback",
        condition="INTERNAL_ERROR",
        **attributes,
    )


if __name__ == "__main__":
    sys.exit(main())
