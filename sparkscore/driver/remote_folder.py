"""The folder of a job in a store, from which its driver starts on a platform. Spark driver process.

The control plane wrote ``launch.json``, ``code/`` and ``model/`` there; the driver keeps the copy
of its own job folder beside them (see ``mirror``). A driver that is started again, on whichever
machine, finds there what the one before had done.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from sparkscore.driver.script_archive import unpack_archives
from sparkscore.driver.staged_waves import COMMIT_NAME
from sparkscore.errors import MessageError, SparkscoreError, StorageError
from sparkscore.messages.codec import from_json
from sparkscore.messages.launch import CANCEL_FILE, LAUNCH_FILE, CancelMessage, LaunchMessage
from sparkscore.plan.scoring_plan import HEADER_NAME
from sparkscore.storage import (
    child_path,
    describe_error,
    fetch_file,
    is_below,
    join_uri,
    open_store,
)

FILE_TIMEOUT_SECONDS = 1800.0
_FETCHES_AT_ONCE = 8
_STATE_FILES = ("status.json", "events.jsonl", "publish.json", "summary.json")
_PLAN, _STAGING = "plan/", "staging/"


class RemoteFolder:
    """A folder in a store (a local path is one too), with the options of the store."""

    def __init__(self, uri: str, options: dict[str, str]) -> None:
        self.uri, self.options = uri.rstrip("/"), options
        self._opened: tuple[Any, str] | None = None

    def read_launch(self) -> LaunchMessage:
        """The launch message; raises StorageError (STAGING_NOT_READABLE) or MessageError."""
        text = self._try(lambda store, root: store.cat_file(child_path(store, root, LAUNCH_FILE)))
        return from_json(LaunchMessage, text, where=join_uri(self.uri, LAUNCH_FILE))

    def fetch_content(self, target: Path) -> None:
        """Copy ``code/`` and ``model/`` below ``target``. Raises StorageError."""
        for name in ("code", "model"):
            (target / name).mkdir(parents=True)
            self._fetch([f"{name}/{below}" for below in self._list(name)], target)

    def fetch_files(self, names: Iterable[str], target: Path) -> None:
        """Copy files below ``target``. Raises StorageError."""
        self._fetch(names, target)

    def restore(self, folder: Path) -> None:
        """Copy what an earlier driver has kept into the job folder ``folder``.

        The plan counts if its header is there, a wave if its commit mark is. Raises StorageError.
        """
        found = [*self._find_present(_STATE_FILES)]
        plan = self._list("plan")
        if HEADER_NAME.removeprefix(_PLAN) in plan:
            found += [_PLAN + name for name in plan]
            found += _find_committed(self._list("staging"))
        self._fetch(found, folder)
        unpack_archives(folder / "staging")

    def is_cancel_asked(self, run: int) -> bool:
        """Whether the control plane asks for the end of the ``run``-th run.

        A file that does not say of which run is meant for all. Raises whatever the store does.
        """
        store, root = self.open()
        try:
            content = store.cat_file(child_path(store, root, CANCEL_FILE))
        except FileNotFoundError:
            return False
        try:
            return run <= from_json(CancelMessage, content, where=CANCEL_FILE).run
        except MessageError:
            return True

    def open(self) -> tuple[Any, str]:
        """The store and the path in it. Raises what ``open_store`` does."""
        if self._opened is None:
            self._opened = open_store(self.uri, self.options)
        return self._opened

    def _find_present(self, names: Iterable[str]) -> list[str]:
        present = set(self._try(_list_names))
        return [name for name in names if name in present]

    def _list(self, below: str) -> list[str]:
        """Files below a folder by relative path; none if it is not there."""

        def find(store: Any, root: str) -> list[str]:
            store.invalidate_cache()
            start = f"{child_path(store, root, below)}/"
            try:
                paths = [str(path) for path in store.find(start.rstrip("/"))]
            except FileNotFoundError:
                return []
            names = [path[len(start) :] for path in paths if path.startswith(start)]
            return [name for name in names if is_below(name)]

        found: list[str] = self._try(find)
        return found

    def _fetch(self, names: Iterable[str], target: Path) -> None:
        def fetch(store: Any, root: str) -> None:
            def fetch_one(name: str) -> None:
                place = target / name
                place.parent.mkdir(parents=True, exist_ok=True)
                path = child_path(store, root, name)
                fetch_file(store, path, os.fspath(place), timeout_seconds=FILE_TIMEOUT_SECONDS)

            with ThreadPoolExecutor(_FETCHES_AT_ONCE) as pool:
                list(pool.map(fetch_one, names))

        self._try(fetch)

    def _try(self, work: Any) -> Any:
        try:
            return work(*self.open())
        except SparkscoreError:
            raise
        except Exception as error:
            raise StorageError(
                f"the job's folder {self.uri} cannot be read: {describe_error(error)}; check "
                "the URI, and the credentials in the driver's environment",
                condition="STAGING_NOT_READABLE",
                uri=self.uri,
            ) from error


def _list_names(store: Any, root: str) -> list[str]:
    store.invalidate_cache()
    return [str(path).rstrip("/").rpartition("/")[2] for path in store.ls(root, detail=False)]


def _find_committed(names: list[str]) -> list[str]:
    """The files of committed waves, and the lists of what drivers took over."""
    waves = {name.partition("/")[0] for name in names if name.endswith(f"/{COMMIT_NAME}")}
    return [
        _STAGING + name
        for name in names
        if name.partition("/")[0] in waves or ("/" not in name and name.startswith("inherited."))
    ]
