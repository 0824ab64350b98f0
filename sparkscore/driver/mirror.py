"""Copies a job folder to a store while the job runs. Spark driver, in a thread of its own.

Scoring never waits for the copy and never fails with it. What could not be copied is tried again
later, and told of in the summary at last. ``model/``, ``scratch/`` and ``lease/`` are not copied.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from sparkscore.driver.job_folder import JobFolder, read_json
from sparkscore.driver.staged_waves import COMMIT_NAME
from sparkscore.messages.launch import MirrorMessage
from sparkscore.messages.live_ledger import LIVE_LEDGER
from sparkscore.storage import child_path, describe_error, open_store, remove_below

STATUS_SECONDS = 5.0
"""How old the copy of ``status.json`` may get while nothing changes but numbers."""

END_SECONDS = 600.0
"""How long the end of a job may wait for the rest of the copy."""

ACCOUNT_SECONDS = 10.0
"""How long it may wait for the copy of the account, which comes last."""

CANCEL_SECONDS = 5.0
"""Each of these for a job that was canceled."""

_LOOK_SECONDS = 0.5
_RETRY_SECONDS = (0.5, 1.0, 2.0)
_REST_SECONDS = 5.0
_THREADS = 4
_LEFT_OUT = ("model", "scratch", "lease")
_AT_THE_END = ("status.json", "events.jsonl", "summary.json")


class JobMirror:
    """The copy of one job folder; without a message it does nothing."""

    def __init__(self, folder: JobFolder, message: MirrorMessage | None) -> None:
        self._folder, self._message = folder, message
        self._copied: dict[str, tuple[int, int]] = {}
        self._store: tuple[Any, str] | None = None
        self._status_at, self._status = 0.0, ""
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="mirror", daemon=True)

    def start(self) -> None:
        """Copy what the control plane wrote, then status and committed waves as they come."""
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

    def abandon(self) -> None:
        """Copy nothing more."""
        self._stopped.set()

    def finish_account(
        self,
        *,
        timeout_seconds: float = ACCOUNT_SECONDS,
        is_canceled: Callable[[], bool] = lambda: False,
    ) -> tuple[str, ...]:
        """Copy the summary and the last status; returns the warning if that failed."""
        return self._in_time(lambda: self._copy_all(_AT_THE_END), timeout_seconds, is_canceled)

    def _in_time(
        self,
        work: Callable[[], None],
        timeout_seconds: float,
        is_canceled: Callable[[], bool] = lambda: False,
    ) -> tuple[str, ...]:
        """Runs ``work`` in another thread, which is left alone when time is up."""
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
        deadline = time.monotonic() + timeout_seconds
        while thread.is_alive() and time.monotonic() < deadline:
            thread.join(_LOOK_SECONDS)
            if is_canceled():
                deadline = min(deadline, time.monotonic() + CANCEL_SECONDS)
                thread.join(CANCEL_SECONDS)
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
        yield from self._names_at_the_start()
        for wave in sorted(self._folder.staging.glob(f"wave-*/{COMMIT_NAME}")):
            yield from map(self._name, sorted(wave.parent.glob("part-*.parquet")))
            yield self._name(wave)
        if self._is_status_due():
            yield "status.json"

    def _names_at_the_start(self) -> Iterator[str]:
        for file in sorted(self._folder.path.iterdir()):
            name = file.name
            if file.is_file() and name not in _AT_THE_END and not name.startswith("."):
                yield name
        yield from map(self._name, _iter_files(self._folder.path / "code"))

    def _is_status_due(self) -> bool:
        status = str(read_json(self._folder.status).get("status", ""))
        is_due = status != self._status or time.monotonic() - self._status_at > STATUS_SECONDS
        if is_due:
            self._status, self._status_at = status, time.monotonic()
        return is_due

    def _copy_rest(self, drops_staging: bool) -> None:
        if self._thread.is_alive():  # a staged file must not land after the removal
            self._thread.join()
        left_out = (*_LEFT_OUT, "staging") if drops_staging else _LEFT_OUT
        names = [
            name
            for name in map(self._name, _iter_files(self._folder.path))
            if name.partition("/")[0] not in left_out and name not in (*_AT_THE_END, LIVE_LEDGER)
        ]
        self._copy_all(names)
        if drops_staging:
            self._remove_staging()

    def _copy_all(self, names: Iterable[str]) -> None:
        """Copies what it can, and what failed some times more."""
        left = list(names)
        for pause in _RETRY_SECONDS:
            left = [name for name, error in self._copy_each(left) if error is not None]
            if not left:
                return
            time.sleep(pause)
        for _, error in self._copy_each(left):
            if error is not None:
                raise error

    def _copy_each(self, names: Sequence[str]) -> list[tuple[str, Exception | None]]:
        with ThreadPoolExecutor(_THREADS) as pool:
            return list(zip(names, pool.map(self._find_failure, names), strict=True))

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
            status = file.stat()
        except FileNotFoundError:
            return
        signature = (status.st_mtime_ns, status.st_size)
        if self._copied.get(name) != signature:
            store, root = self._open()
            store.put_file(str(file), child_path(store, root, name))
            self._copied[name] = signature

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


def _iter_files(folder: Path) -> Iterator[Path]:
    """Files below ``folder`` but hidden ones, which are temporary; links to folders are left."""
    for file in sorted(folder.rglob("*")):
        if file.is_file() and not file.name.startswith("."):
            yield file
