"""Copies a job folder to a store while the job runs. Spark driver, in a thread of its own.

Scoring never waits for the copy and never fails with it. What could not be copied is tried again
later, and told of in the summary at last. ``model/``, ``scratch/``, ``lease/`` and the archive of
an environment are not copied.

Where the copy is the job's home, the next driver goes on from it. Then the plan is copied before
the waves that were scored by it, logs and events follow the job, and a driver that has lost its
lease copies nothing more.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any

from sparkscore.driver.home_files import OF_SCRIPTS, OF_WAVES, iter_files, put_copy
from sparkscore.driver.job_folder import JobFolder, read_json
from sparkscore.driver.script_archive import ARCHIVE_NAME, is_archive
from sparkscore.driver.staged_waves import COMMIT_NAME
from sparkscore.errors import SparkscoreError, StorageError
from sparkscore.messages.launch import ARCHIVE_PREFIX, MirrorMessage
from sparkscore.messages.live_ledger import LIVE_LEDGER
from sparkscore.plan.scoring_plan import HEADER_NAME
from sparkscore.storage import child_path, describe_error, open_store, remove_below

STATUS_SECONDS = 5.0
"""How old the copy of ``status.json`` may get while nothing changes but numbers."""

END_SECONDS = 600.0
"""How long the end of a job may wait for the rest of the copy."""

ACCOUNT_SECONDS = 10.0
"""How long it may wait for the copy of the account, which comes last."""

CANCEL_SECONDS = 5.0
"""Each of these for a job that was canceled."""

HOME_SECONDS = 60.0
"""The least that any of these is for a home: without the summary nobody knows how the job ended."""

LEAVE_SECONDS = 10.0
"""How long a driver that its platform stops may take to save what the next one goes on from.
Kubernetes gives 30 seconds for that and all else."""

FOLLOW_SECONDS = 10.0
_MAX_FOLLOWED_BYTES = 4 * 1024 * 1024
"""How often, and up to which size, files that grow are copied anew while a home's job runs."""

_LOOK_SECONDS = 0.5
_RETRY_SECONDS = (0.5, 1.0, 2.0)
_REST_SECONDS = 5.0
_THREADS = 4
_NAMES_AT_ONCE = 1000
_LEFT_OUT = ("model", "scratch", "lease")
_NOT_COPIED = (".", ARCHIVE_PREFIX)
_AT_THE_END = ("status.json", "events.jsonl", "summary.json")


class JobMirror:
    """The copy of one job folder; without a message it does nothing.

    ``home_has`` are files that a home has already, None if the copy is not the job's home.
    """

    def __init__(
        self,
        folder: JobFolder,
        message: MirrorMessage | None,
        *,
        home_has: tuple[str, ...] | None = None,
    ) -> None:
        self._folder, self._message = folder, message
        self._is_home, self._known = home_has is not None, home_has or ()
        self._check: Callable[[], None] = lambda: None
        self._followed_at, self._drops_staging = 0.0, False
        self._copied: dict[str, tuple[int, int]] = {}
        self._store: tuple[Any, str] | None = None
        self._status_at, self._status = 0.0, ""
        self._stopped, self._closed = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._follow, name="mirror", daemon=True)

    def start(self, check: Callable[[], None] = lambda: None) -> None:
        """Copy what the control plane wrote, then status and committed waves as they come.

        A home gets nothing more once ``check`` raises: it is another driver's.
        """
        self._check = check
        if self._message is not None:
            self._thread.start()

    def finish(
        self,
        *,
        timeout_seconds: float = END_SECONDS,
        is_canceled: Callable[[], bool] = lambda: False,
        drops_staging: bool = False,
    ) -> tuple[str, ...]:
        """Copy the rest but for the account of the end; returns the warning if that failed.

        Takes no longer than CANCEL_SECONDS once ``is_canceled``. What is staged is removed from
        the copy if ``drops_staging``.
        """
        self._stopped.set()
        return self._in_time(lambda: self._copy_rest(drops_staging), timeout_seconds, is_canceled)

    def keep_announcement(self) -> None:
        """Have a home know what is about to be published; raises StorageError if it cannot.

        A driver that dies after that is followed by one that knows the output as the job's own, and
        has all that it was made of.
        """
        if not self._is_home:
            return
        try:
            self._copy_waves()
            self._copy_all([self._folder.publish.name])
        except SparkscoreError:
            raise
        except Exception as error:
            raise StorageError(
                f"the job's folder {self._message and self._message.uri} cannot be written "
                f"({describe_error(error)}): nothing was published; run the job again",
                condition="STAGING_NOT_WRITABLE",
            ) from error

    def leave(self, *, timeout_seconds: float = LEAVE_SECONDS) -> None:
        """Let a home have what the next driver goes on from, as far as time allows, and nothing
        more after that."""

        def copy() -> None:
            self._copy_waves()
            self._copy_all(self._names_that_grow(at_once=True))

        self._stopped.set()
        self._in_time(copy, timeout_seconds, least_seconds=0.0)
        self._closed.set()

    def abandon(self) -> None:
        """Copy nothing more."""
        self._stopped.set()
        self._closed.set()

    def find_untold(self) -> str | None:
        """The URI of a home that does not know how the job ended, None if it does; after
        ``finish_account``. Nothing more is copied then."""
        if not self._is_home or self._message is None:
            return None
        self._closed.set()
        is_told = self._copied.get(self._folder.summary.name) is not None
        return None if is_told else self._message.uri

    def finish_account(
        self,
        *,
        timeout_seconds: float = ACCOUNT_SECONDS,
        is_canceled: Callable[[], bool] = lambda: False,
    ) -> tuple[str, ...]:
        """Copy the summary and the last status; returns the warning if that failed."""
        return self._in_time(self._copy_account, timeout_seconds, is_canceled)

    def _in_time(
        self,
        work: Callable[[], None],
        timeout_seconds: float,
        is_canceled: Callable[[], bool] = lambda: False,
        *,
        least_seconds: float = HOME_SECONDS,
    ) -> tuple[str, ...]:
        """Runs ``work`` in another thread, which is left alone when time is up; a home gives it
        ``least_seconds``."""
        if self._message is None:
            return ()
        failures = ["it took too long"]

        def run() -> None:
            try:
                work()
                failures.clear()
            except Exception as error:
                failures[:] = [describe_error(error)]

        thread = threading.Thread(target=run, name="mirror end", daemon=True)
        thread.start()
        least_seconds = least_seconds if self._is_home else 0.0
        deadline = time.monotonic() + max(timeout_seconds, least_seconds)
        while thread.is_alive() and time.monotonic() < deadline:
            thread.join(_LOOK_SECONDS)
            if is_canceled():
                patience_seconds = max(CANCEL_SECONDS, least_seconds)
                deadline = min(deadline, time.monotonic() + patience_seconds)
                thread.join(patience_seconds)
        return tuple(self._render_warning(failure) for failure in list(failures))

    def _render_warning(self, failure: str) -> str:
        where = self._folder.path
        uri = "" if self._message is None else self._message.uri
        return (
            f"MIRROR_INCOMPLETE: the copy at {uri} of the job folder {where} lacks files: {failure}"
        )

    def _follow(self) -> None:
        pause = 0.0
        while not self._stopped.wait(pause):
            try:
                self._copy_new()
                pause = _LOOK_SECONDS
            except Exception:
                pause = _REST_SECONDS  # tried again then, and reported at the end if it lasts

    def _copy_new(self) -> None:
        for name in self._new_names():
            if self._stopped.is_set():
                return
            self._copy(name)

    def _new_names(self) -> Iterator[str]:
        """What a running job's copy needs; a wave's commit mark comes after its files."""
        if self._is_home and self._is_status_due():
            yield "status.json"  # by which the control plane knows that the driver lives
        waves = list(self._names_of_waves())  # before the plan, which they rest upon
        yield from self._names_of_home() if self._is_home else self._names_at_the_start()
        yield from waves
        if self._is_home:
            yield from self._names_that_grow()
        elif self._is_status_due():
            yield "status.json"

    def _names_of_waves(self) -> Iterator[str]:
        for wave in sorted(self._folder.staging.glob(f"wave-*/{COMMIT_NAME}")):
            name = self._name(wave)
            if name in self._copied:  # thousands of files, which do not change
                continue
            if self._is_home and self._is_there(name):
                self._copied[name] = (0, 0)  # this driver has it from there
                continue
            yield from map(self._name, sorted(wave.parent.glob("part-*.parquet")))
            if self._is_home:
                yield self._name(wave.with_name(ARCHIVE_NAME))
            yield name

    def _names_at_the_start(self) -> Iterator[str]:
        for file in sorted(self._folder.path.iterdir()):
            name = file.name
            if file.is_file() and name not in _AT_THE_END and not name.startswith(_NOT_COPIED):
                yield name
        yield from map(self._name, iter_files(self._folder.path / "code"))

    def _names_of_home(self) -> Iterator[str]:
        """Plan and schema, which committed waves rest upon."""
        if self._folder.has_plan():
            plan = sorted(map(self._name, iter_files(self._folder.plan)))
            yield from sorted(plan, key=lambda name: name == HEADER_NAME)
        yield from map(self._name, sorted(self._folder.staging.glob("inherited.*.json")))

    def _names_that_grow(self, *, at_once: bool = False) -> Iterator[str]:
        """Events and logs, from time to time."""
        if not at_once and time.monotonic() - self._followed_at < FOLLOW_SECONDS:
            return
        self._followed_at = time.monotonic()
        for file in (self._folder.events, *iter_files(self._folder.logs)):
            if file.is_file() and file.stat().st_size <= _MAX_FOLLOWED_BYTES:
                yield self._name(file)

    def _is_status_due(self) -> bool:
        status = str(read_json(self._folder.status).get("status", ""))
        is_due = status != self._status or time.monotonic() - self._status_at > STATUS_SECONDS
        if is_due:
            self._status, self._status_at = status, time.monotonic()
        return is_due

    def _copy_waves(self) -> None:
        """The plan, then committed waves one by one; the marks by which they count come last."""
        names = list(self._names_of_home())
        self._copy_all(name for name in names if name != HEADER_NAME)
        self._copy_all([HEADER_NAME])
        parts: list[str] = []
        for name in self._names_of_waves():
            parts.append(name)
            if name.endswith(COMMIT_NAME):
                self._copy_all(parts[:-1])
                self._copy_all(parts[-1:])
                parts = []

    def _copy_rest(self, drops_staging: bool) -> None:
        if self._thread.is_alive():  # a staged file must not land after the removal
            self._thread.join()
        left_out = (*_LEFT_OUT, "staging") if drops_staging else _LEFT_OUT
        names = (
            name
            for name in map(self._name, iter_files(self._folder.path))
            if name.partition("/")[0] not in left_out
            and not name.startswith(ARCHIVE_PREFIX)
            and name not in (*_AT_THE_END, *self._known, LIVE_LEDGER)
            and not (self._is_home and name.startswith(OF_WAVES))
        )
        try:
            if self._is_home and not drops_staging:
                self._copy_waves()
        finally:
            self._copy_all(names)
        self._drops_staging = drops_staging
        if drops_staging and not self._is_home:
            self._remove_staging()

    def _copy_account(self) -> None:
        """A home loses what is staged only once the summary says that nobody needs it."""
        *others, summary = _AT_THE_END
        try:
            self._copy_all(others)
        finally:
            self._copy_all([summary])  # whoever sees it looks no more
        if self._drops_staging and self._is_home and not self._closed.is_set():
            self._check()
            self._remove_staging()

    def _copy_all(self, names: Iterable[str]) -> None:
        """Copies what it can, and what failed some times more."""
        failed = self._copy_each(names)
        for pause in _RETRY_SECONDS:
            if not failed:
                return
            time.sleep(pause)
            failed = self._copy_each(failed)
        if failed:
            raise next(iter(failed.values()))

    def _copy_each(self, names: Iterable[str]) -> dict[str, Exception]:
        """Copies some at a time, of any number; what failed, and why."""
        failed: dict[str, Exception] = {}
        left = iter(names)
        with ThreadPoolExecutor(_THREADS) as pool:
            while some := list(islice(left, _NAMES_AT_ONCE)):
                found = zip(some, pool.map(self._find_failure, some), strict=True)
                failed.update((name, error) for name, error in found if error is not None)
        return failed

    def _find_failure(self, name: str) -> Exception | None:
        try:
            self._copy(name)
        except Exception as error:
            return error
        return None

    def _copy(self, name: str) -> None:
        """Copy a file unless its copy is as new; one that has vanished here is fine."""
        file = self._folder.path / name
        try:
            status = (file.parent if is_archive(name) else file).stat()
        except FileNotFoundError:
            return
        signature = (status.st_mtime_ns, status.st_size)
        if self._copied.get(name) != signature:
            if self._is_home:
                self._check()
            if self._closed.is_set():
                raise StorageError("the copy was given up", condition="STAGING_NOT_WRITABLE")
            store, root = self._open()
            put_copy(store, root, folder=self._folder.path, name=name)
            if not name.startswith(OF_SCRIPTS):  # any number of files, which do not change
                self._copied[name] = signature

    def _is_there(self, name: str) -> bool:
        store, root = self._open()
        return bool(store.exists(child_path(store, root, name)))

    def _remove_staging(self) -> None:
        store, root = self._open()
        remove_below(store, child_path(store, root, "staging"))

    def _open(self) -> tuple[Any, str]:
        if self._store is None:
            assert self._message is not None
            self._store = open_store(self._message.uri, self._message.options)
        return self._store

    def _name(self, file: Path) -> str:
        return file.relative_to(self._folder.path).as_posix()
