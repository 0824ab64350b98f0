"""One job on a platform, from its upload to its end. Control plane, in the job's launcher.

What the platform says (pending, running, ended) and what the driver says (the files of its copy)
come by a thread that waits for networks; the launcher's own heart goes on beating.
"""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from sparkscore.control.environments.job import make_environment
from sparkscore.control.jobs.remote_compile import compile_remote
from sparkscore.control.jobs.remote_store import RemoteStore
from sparkscore.control.resume import read_job_launch
from sparkscore.control.watch import Cancellation, find_summary
from sparkscore.errors import (
    CanceledError,
    MessageError,
    SparkscoreError,
    StorageError,
    SubmitError,
)
from sparkscore.messages.status import SummaryMessage
from sparkscore.state import JobRecord
from sparkscore.state.job_status import PREPARING, PROVISIONING, advance
from sparkscore.targets.base import CompiledApplication, Platform, RemoteRun, RemoteStatus

LOOK_SECONDS = 2.0
PLATFORM_SECONDS = 5.0
CANCEL_SECONDS = 60.0
"""How long a driver may take to cancel in order; then the platform ends its run."""

STORE_SECONDS = 600.0
"""How long the copy of a job whose run has ended may be out of reach."""

SUBMIT_PAUSES_SECONDS = (1.0, 4.0, 15.0, 30.0)
"""How long to wait between asking a platform that does not answer for the same run."""

PLATFORM_RUN_FAILED = "PLATFORM_RUN_FAILED"
PLATFORM_UNREACHABLE = "PLATFORM_UNREACHABLE"
RUN_NOT_FOUND = "RUN_NOT_FOUND"

_POLL_SECONDS = 0.2
_ENDED = ("succeeded", "failed", "canceled")

Change = Callable[[Callable[[JobRecord], JobRecord]], JobRecord]


@dataclass
class RemoteHooks:
    """What the launcher lends: ``change`` keeps the record, ``poll`` its heart, ``say`` its log."""

    change: Change
    poll: Callable[[], None]
    say: Callable[[str], None]
    cancellation: Cancellation
    open_platform: Callable[[Mapping[str, Any]], Platform]


@dataclass(frozen=True)
class _Seen:
    """What the thread has found so far; ``has_summary``: the job has told its end."""

    status: RemoteStatus | None = None
    has_summary: bool = False
    is_over: bool = False
    problem: str = ""
    error: SparkscoreError | None = field(default=None)


def run_remote(record: JobRecord, hooks: RemoteHooks) -> SummaryMessage:
    """The job's summary once it has ended on its platform; it is submitted if it was not yet.

    Raises SubmitError (PLATFORM_RUN_FAILED: its run ended and left no summary; what the platform
    raises), StorageError, or CanceledError.
    """
    assert record.remote is not None, "a job of a platform says which"
    platform = hooks.open_platform(record.remote["document"])
    store = RemoteStore(record.remote["folder"], dict(record.remote["options"]))
    if record.remote.get("run_id") is None:
        record = _submit(record, platform, store, hooks)
    assert record.remote is not None
    hooks.say(f"run {record.remote['run_id']} on {record.remote['platform']}")
    watch = _Watch(record, platform, store)
    watch.start()
    try:
        seen = _wait(record, watch, hooks)
    finally:
        watch.stop()
    return _get_summary(record, seen, is_canceled=bool(hooks.cancellation.request_count))


def name_run(name: str, run: int) -> str:
    """What a platform knows the ``run``-th run of a job by."""
    return f"{name}-r{run}" if run else name


def _submit(
    record: JobRecord, platform: Platform, store: RemoteStore, hooks: RemoteHooks
) -> JobRecord:
    """Upload and submit; after a launcher's death again, which changes nothing.

    A run that may have been submitted is found again before the job is canceled.
    """
    remote = record.remote or {}
    folder = Path(record.folder)
    compiled = compile_remote(read_job_launch(folder), remote)

    def on_wait() -> None:
        hooks.poll()
        if hooks.cancellation.request_count:
            raise CanceledError(f"job {record.name} was canceled before its run was submitted")

    if not remote.get("is_asked_for"):
        on_wait()
        make_environment(folder, read_job_launch(folder), on_poll=on_wait)
        store.prepare(folder, token=remote["token"], run=remote["run"], on_wait=on_wait)
        on_wait()
        hooks.change(lambda job: note_remote(job, is_asked_for=True))
    try:
        run = _ask_for_run(record, compiled, platform, store, hooks)
    except SparkscoreError:
        _note_message("", hooks)
        raise
    try:
        return hooks.change(lambda job: _provision(job, run_id=run.run_id, url=run.url, message=""))
    except SparkscoreError:
        with suppress(SparkscoreError):
            platform.cancel(run.run_id)
        raise


def _ask_for_run(
    record: JobRecord,
    compiled: CompiledApplication,
    platform: Platform,
    store: RemoteStore,
    hooks: RemoteHooks,
) -> RemoteRun:
    """The run that the platform gives; an answer that was lost is asked for again, by name.

    Raises what ``submit`` does; if nobody can say whether there is a run, its driver is asked to
    stop first. Raises CanceledError once the job is canceled, after one more try to find a run that
    may have been taken.
    """
    remote = record.remote or {}
    number, may_run = remote["run"], bool(remote.get("is_asked_for"))
    name = name_run(record.name, number)
    for pause_seconds in (*SUBMIT_PAUSES_SECONDS, None):
        is_canceled = bool(hooks.cancellation.request_count)
        try:
            return platform.submit(compiled, name=name)
        except SubmitError as error:
            is_away = error.condition == PLATFORM_UNREACHABLE
            may_run = may_run or (is_away and error.attributes.get("was_sent", True))
            is_last = pause_seconds is None or not is_away or is_canceled
            if is_last and may_run:
                given_up = _give_up_run(error, name, store, number)
                raise (CanceledError(given_up.message) if is_canceled else given_up) from error
            if is_last and not (is_away and hooks.cancellation.request_count):
                raise
            problem = f"{error.condition}: {error.message}; asks again"
            hooks.say(problem)
            _note_message(problem, hooks)
        _pause(pause_seconds or 0.0, hooks)
        if hooks.cancellation.request_count and not may_run:
            raise CanceledError(f"job {record.name} was canceled before its run was submitted")
    raise AssertionError


def _note_message(text: str, hooks: RemoteHooks) -> None:
    with suppress(SparkscoreError):
        hooks.change(lambda job: note_remote(job, message=text))


def _pause(seconds: float, hooks: RemoteHooks) -> None:
    """Ends at once when the job is to be canceled."""
    by = time.monotonic() + seconds
    while time.monotonic() < by and not hooks.cancellation.request_count:
        hooks.poll()
        time.sleep(_POLL_SECONDS)


def _give_up_run(error: SubmitError, name: str, store: RemoteStore, number: int) -> SubmitError:
    try:
        store.ask_cancel(number)
        done = "its driver is told to stop"
    except SparkscoreError:
        done = "the staging folder is out of reach too, so end it there"
    return SubmitError(
        f"{error.message}. Nobody knows whether run {name} was taken: it may have started; {done}",
        **{"condition": error.condition, **error.attributes},
    )


def _provision(record: JobRecord, **changes: Any) -> JobRecord:
    """The record of a job that its platform has taken."""
    noted = note_remote(record, **changes)
    is_next = noted.status == PREPARING
    return advance(noted, PROVISIONING, at=time.time()) if is_next else noted


def note_remote(record: JobRecord, **changes: Any) -> JobRecord:
    """The record with news of its run."""
    known = record.remote or {}
    news = {name: value for name, value in changes.items() if known.get(name) != value}
    return dataclasses.replace(record, remote={**known, **news}) if news else record


def _wait(record: JobRecord, watch: _Watch, hooks: RemoteHooks) -> _Seen:
    """Block until the thread has seen the end; hands on the wish to cancel."""
    complaint, noted, told = "", None, None
    while True:
        seen = watch.seen
        if seen.problem != complaint:
            complaint = seen.problem
            hooks.say(complaint or "store and platform answer again")
        if seen.status is not None and seen.status != noted:
            noted = seen.status
            hooks.say(f"{record.name}: {noted.state} {noted.message}".rstrip())
        if (news := _find_news(seen)) != told:
            told = news
            with suppress(SparkscoreError):
                hooks.change(partial(note_remote, **news))
        if seen.is_over:
            return seen
        watch.wish(hooks.cancellation.request_count)
        hooks.poll()
        time.sleep(_POLL_SECONDS)


def _find_news(seen: _Seen) -> dict[str, Any]:
    """What the record says of the run; while store or platform do not answer, that."""
    news: dict[str, Any] = {"message": ""}
    if seen.status is not None:
        news.update(state=seen.status.state, message=seen.status.message)
        if seen.status.url is not None:
            news["url"] = seen.status.url
    if seen.problem and not seen.is_over:
        news["message"] = f"{seen.problem}; asks again"
    return news


def _get_summary(record: JobRecord, seen: _Seen, *, is_canceled: bool) -> SummaryMessage:
    summary = _find_summary(Path(record.folder))
    if summary is not None:
        return summary
    state = None if seen.status is None else seen.status.state
    if is_canceled or state == "canceled":
        raise CanceledError(f"the run of job {record.name} was canceled; it left no summary")
    if seen.error is not None:
        raise seen.error
    remote = record.remote or {}
    message = "" if seen.status is None else seen.status.message
    url = (seen.status and seen.status.url) or remote.get("url")
    page = f"; its page is {url}" if url else ""
    raise SubmitError(
        f"the run {remote.get('run_id')} of job {record.name} on {remote.get('platform')} ended "
        f"({state}) without a summary{': ' if message else ''}{message}{page}; go on from what is "
        f"scored with: sparkscore job resume -n {record.name}",
        condition=PLATFORM_RUN_FAILED,
        run_id=remote.get("run_id"),
        platform=remote.get("platform"),
        state=state,
        platform_message=message,
        url=url,
    )


def _find_summary(folder: Path) -> SummaryMessage | None:
    try:
        return find_summary(folder / "summary.json")
    except MessageError:
        return None


class _Watch(threading.Thread):
    """Asks store and platform, in turns, until the job has ended; ``seen`` is replaced whole."""

    def __init__(self, record: JobRecord, platform: Platform, store: RemoteStore) -> None:
        super().__init__(name="platform", daemon=True)
        assert record.remote is not None
        self.seen = _Seen()
        self._run_id: str = record.remote["run_id"]
        self._run: int = record.remote["run"]
        self._folder, self._platform, self._store = Path(record.folder), platform, store
        self._wishes = 0
        self._has_asked = self._has_ended_run = False
        self._cancel_by: float | None = None
        self._platform_at = 0.0
        self._platform_error: SparkscoreError | None = None
        self._over_since: float | None = None
        self._stopped = threading.Event()

    def wish(self, count: int) -> None:
        """How often the job was asked to cancel; the second time its run is ended at once."""
        self._wishes = count

    def stop(self) -> None:
        """Ask no more."""
        self._stopped.set()

    def run(self) -> None:
        while not self._stopped.is_set() and not self.seen.is_over:
            try:
                self._look()
                self._see(problem="")
            except SparkscoreError as error:
                self._note(error)
            except Exception as error:  # noqa: BLE001 - the job goes on, whatever a client does
                self._see(problem=f"looking at the run failed: {error!r}")
            self._stopped.wait(LOOK_SECONDS if self._wishes == 0 else _POLL_SECONDS * 2)

    def _look(self) -> None:
        self._failed: SparkscoreError | None = None
        if self._wishes:
            self._cancel()
        is_due = time.monotonic() - self._platform_at >= PLATFORM_SECONDS or self._wishes > 0
        if is_due and not self._is_run_over():
            self._platform_at = time.monotonic()
            self._platform_error = None
            try:
                self._see(status=self._ask_platform())
            except SparkscoreError as error:
                self._platform_error = error
        has_summary = self._store.pull_live(self._folder, run=self._run)
        if has_summary or self._is_run_over():
            self._store.pull_all(self._folder, run=self._run)
            self._see(has_summary=has_summary, is_over=True)
        for failed in (self._failed, self._platform_error):
            if failed is not None:
                raise failed

    @contextmanager
    def _going_on(self) -> Iterator[None]:
        """What one of platform and store does not answer shall not keep the other from being
        asked; it is told at the end of the look."""
        try:
            yield
        except SparkscoreError as error:
            self._failed = self._failed or error

    def _ask_platform(self) -> RemoteStatus:
        try:
            return self._platform.get_status(self._run_id)
        except SubmitError as error:
            if error.condition != RUN_NOT_FOUND:
                raise
            self._see(error=error)
            return RemoteStatus("canceled" if self._has_ended_run else "failed", error.message)

    def _is_run_over(self) -> bool:
        status = self.seen.status
        return status is not None and status.state in _ENDED

    def _cancel(self) -> None:
        """In order where a driver can hear it, else by the platform."""
        if self._cancel_by is None:
            self._cancel_by = time.monotonic() + CANCEL_SECONDS
        if not self._has_asked:
            with self._going_on():
                self._store.ask_cancel(self._run)
                self._has_asked = True
        has_driver = (self._folder / "status.json").exists()
        is_late = time.monotonic() > self._cancel_by
        if (is_late or self._wishes > 1 or not has_driver) and not self._has_ended_run:
            with self._going_on():
                self._platform.cancel(self._run_id)
                self._has_ended_run = True

    def _note(self, error: SparkscoreError) -> None:
        """Networks come back; but a copy is not waited for forever once its run is over."""
        problem = f"{error.condition}: {error.message}"
        if not self._is_run_over() or not isinstance(error, StorageError):
            self._see(problem=problem)
            return
        self._over_since = self._over_since or time.monotonic()
        is_over = time.monotonic() - self._over_since > STORE_SECONDS
        self._see(problem=problem, is_over=is_over, error=error if is_over else self.seen.error)

    def _see(self, **changes: Any) -> None:
        self.seen = dataclasses.replace(self.seen, **changes)
