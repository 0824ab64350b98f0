"""A job's folder in the store that control plane and platform share. Control plane.

``{staging}/{job}/`` gets the files of the local job folder before a run is submitted; its driver
keeps the copy of what it does there. The local folder follows that copy, so that whoever looks at
the job finds there what a local driver would have written.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sparkscore.errors import AlreadyExistsError, SparkscoreError, StorageError
from sparkscore.messages.codec import to_json
from sparkscore.messages.launch import ARCHIVE_PREFIX, CANCEL_FILE, LAUNCH_FILE, CancelMessage
from sparkscore.messages.status import COMPLETED, TERMINAL
from sparkscore.storage import child_path, describe_error, fetch_file, is_below, open_store

RUN_FILE = "run.json"
SUMMARY_FILE = "summary.json"
_STATUS_FILE = "status.json"
FILE_TIMEOUT_SECONDS = 3600.0

_AT_ONCE = 8
_LOOK_SECONDS = 0.5
_OWN = ("logs/launcher.log", "logs/driver.log")
_NOT_UPLOADED = (
    *("logs", "scratch", "staging", "plan", "ledger", "lease"),
    *("publish.json", "events.jsonl"),
)
_NOT_FOLLOWED = ("code", "model", "staging", "lease", "runs", "scratch", "score")
_LIVE = (_STATUS_FILE, "events.jsonl")
_SIGNS = (CANCEL_FILE, RUN_FILE, LAUNCH_FILE, "score.py", "sparkscore.zip")
"""What this machine has itself."""


class RemoteStore:
    """The folder ``uri`` of one job. Methods raise StorageError (STAGING_NOT_REACHABLE)."""

    def __init__(self, uri: str, options: dict[str, str]) -> None:
        self.uri, self._options = uri.rstrip("/"), options
        self._seen: dict[str, tuple[Any, ...]] = {}
        self._end: tuple[tuple[Any, ...], _End] | None = None

    def check_free(self) -> None:
        """Raise AlreadyExistsError (JOB_EXISTS) if the folder holds files of a job."""
        with self._using("read") as (store, root):
            store.invalidate_cache()
            if any(store.exists(child_path(store, root, name)) for name in (RUN_FILE, LAUNCH_FILE)):
                raise self._taken()

    def prepare(self, folder: Path, *, token: str, run: int, on_wait: Callable[[], None]) -> None:
        """Upload what the ``run``-th run (from 0) needs; nothing if that was done before.

        Drivers of earlier runs are asked to stop: one may start only now, if nobody knew whether it
        was submitted. What they said of their end stays: it may come at any moment that the job has
        completed. ``token`` tells the job from others of its name; raises AlreadyExistsError
        (JOB_EXISTS) if the folder is that of another one.
        ``on_wait`` is called twice a second; what it raises ends the upload.
        """
        with self._using("written") as (store, root):
            found = _find_run(store, root)
            if found is not None and found.get("token") != token:
                raise self._taken()
            if found is not None and found.get("run") == run:
                return
            has_content = found is not None and found.get("run") is not None
            _put_json(store, child_path(store, root, RUN_FILE), {"token": token, "run": None})
            _stop_earlier(store, root, run)
            _remove(store, root, _STATUS_FILE)
            names = [name for name in _iter_uploads(folder) if name != LAUNCH_FILE]
            if has_content:
                names = [name for name in names if not _is_content(name)]
            with ThreadPoolExecutor(_AT_ONCE) as pool:
                uploads = [
                    pool.submit(store.put_file, str(folder / name), child_path(store, root, name))
                    for name in names
                ]
                try:
                    for upload in uploads:
                        while not wait([upload], timeout=_LOOK_SECONDS).done:
                            on_wait()
                        upload.result()
                        on_wait()
                except BaseException:
                    pool.shutdown(cancel_futures=True)
                    raise
            store.put_file(str(folder / LAUNCH_FILE), child_path(store, root, LAUNCH_FILE))
            _put_json(store, child_path(store, root, RUN_FILE), {"token": token, "run": run})

    def ask_cancel(self, run: int) -> None:
        """Have the driver of the ``run``-th run cancel the job."""
        with self._using("written") as (store, root):
            _put_cancel(store, root, run)

    def has_completed(self, *, token: str) -> bool:
        """Whether a run of the job that ``token`` tells has completed it."""
        with self._using("read") as (store, root):
            found = _find_run(store, root)
            if found is None or found.get("token") != token:
                return False
            try:
                content = store.cat_file(child_path(store, root, SUMMARY_FILE))
            except FileNotFoundError:
                return False
            end = _read_end(content)
            return end is not None and end.is_completed

    def pull_live(self, folder: Path, *, run: int) -> bool:
        """Bring what changes while the job runs; whether a summary says how it ended."""
        with self._using("read") as (store, root):
            store.invalidate_cache()
            found = _list_files(store, root, below="")
            logs = _list_files(store, root, below="logs")
            live = {name: info for name, info in found.items() if name in _LIVE}
            has_summary = self._is_told(store, root, found.get(SUMMARY_FILE), run)
            self._fetch_changed(store, root, {**live, **logs}, folder, is_over=has_summary)
            return has_summary

    def pull_all(self, folder: Path, *, run: int) -> None:
        """Bring all that is for others, the summary at last if it says how the job ended."""
        with self._using("read") as (store, root):
            store.invalidate_cache()
            found = {
                name: info
                for name, info in _walk(store, root)
                if name.partition("/")[0] not in _NOT_FOLLOWED
                and name not in _SIGNS
                and not name.startswith(ARCHIVE_PREFIX)
            }
            summary = found.pop(SUMMARY_FILE, None)
            is_told = self._is_told(store, root, summary, run)
            self._fetch_changed(store, root, found, folder, is_over=is_told)
            if summary is not None and is_told:
                self._fetch_changed(store, root, {SUMMARY_FILE: summary}, folder, is_over=True)

    def _is_told(self, store: Any, root: str, info: dict[str, Any] | None, run: int) -> bool:
        """Whether the summary there is of the ``run``-th run, or of one that completed the job.

        That an earlier run failed or was canceled may be written late, and says nothing any more.
        """
        if info is None:
            return False
        signature = _sign(info)
        if self._end is None or self._end[0] != signature:
            end = _read_end(store.cat_file(child_path(store, root, SUMMARY_FILE)))
            if end is None:
                return False  # only a part of it is there yet
            self._end = signature, end
        end = self._end[1]
        return end.is_completed or end.run >= run

    def _fetch_changed(
        self,
        store: Any,
        root: str,
        found: dict[str, dict[str, Any]],
        folder: Path,
        *,
        is_over: bool,
    ) -> None:
        """Bring files that have changed; a status that says of an end only if it ``is_over``."""
        changed = {
            name: signature
            for name, info in found.items()
            if name not in _OWN and self._seen.get(name) != (signature := _sign(info))
        }

        def fetch(name: str) -> None:
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            partial = target.with_name(f".{target.name}.partial")
            path = child_path(store, root, name)
            try:
                fetch_file(store, path, os.fspath(partial), timeout_seconds=FILE_TIMEOUT_SECONDS)
                if name == _STATUS_FILE and not is_over and _is_of_an_end(partial):
                    del changed[name]
                    return
                os.replace(partial, target)
            except FileNotFoundError:
                return  # replaced or removed since it was listed
            finally:
                partial.unlink(missing_ok=True)

        with ThreadPoolExecutor(_AT_ONCE) as pool:
            list(pool.map(fetch, list(changed)))
        self._seen.update(changed)

    def _taken(self) -> AlreadyExistsError:
        return AlreadyExistsError(
            f"{self.uri} holds the files of another job of that name: give another --job-name, or "
            "the compute another staging folder",
            condition="JOB_EXISTS",
            uri=self.uri,
        )

    @contextmanager
    def _using(self, doing: str) -> Iterator[tuple[Any, str]]:
        try:
            yield open_store(self.uri, self._options)
        except SparkscoreError:
            raise
        except Exception as error:
            raise StorageError(
                f"the job's folder {self.uri} cannot be {doing}: {describe_error(error)}; check "
                "staging of the compute, and the credentials in this machine's environment",
                condition="STAGING_NOT_REACHABLE",
                uri=self.uri,
            ) from error


def _find_run(store: Any, root: str) -> dict[str, Any] | None:
    """The job's token, and which run its folder is ready for (None: for none); None if empty."""
    store.invalidate_cache()
    try:
        content = json.loads(store.cat_file(child_path(store, root, RUN_FILE)))
    except FileNotFoundError:
        return None
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}


def _stop_earlier(store: Any, root: str, run: int) -> None:
    if run:
        _put_cancel(store, root, run - 1)
    else:
        _remove(store, root, CANCEL_FILE)


def _put_cancel(store: Any, root: str, run: int) -> None:
    store.pipe_file(child_path(store, root, CANCEL_FILE), to_json(CancelMessage(run)).encode())


def _remove(store: Any, root: str, name: str) -> None:
    with suppress(FileNotFoundError):
        store.rm_file(child_path(store, root, name))


@dataclass(frozen=True)
class _End:
    """What a summary says of an end."""

    is_completed: bool
    run: int


def _read_end(content: bytes) -> _End | None:
    """None if it is no summary, or not a whole one."""
    try:
        summary = json.loads(content)
        return _End(summary["status"] == COMPLETED, int(summary.get("run", 0)))
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _is_of_an_end(file: Path) -> bool:
    try:
        return json.loads(file.read_bytes()).get("status") in TERMINAL
    except (ValueError, AttributeError):
        return False


def _put_json(store: Any, path: str, content: dict[str, Any]) -> None:
    store.pipe_file(path, json.dumps(content).encode())


def _iter_uploads(folder: Path) -> Iterable[str]:
    """Files of a job folder that its driver needs; links to files and folders are followed."""
    for parent, folders, names in os.walk(folder, followlinks=True):
        if Path(parent) == folder:
            folders[:] = [name for name in folders if name not in _NOT_UPLOADED]
        for name in sorted(names):
            if Path(parent) != folder or not name.startswith("."):
                yield Path(parent, name).relative_to(folder).as_posix()


def _is_content(name: str) -> bool:
    """Whether a file is the same for all runs of a job."""
    return name.startswith(("code/", "model/", ARCHIVE_PREFIX))


def _list_files(store: Any, root: str, *, below: str) -> dict[str, dict[str, Any]]:
    """Relative path -> what the store says of it."""
    if below:
        return dict(_walk(store, root, below=below))
    try:
        entries = store.ls(root, detail=True)
    except FileNotFoundError:
        return {}
    files = (entry for entry in entries if entry.get("type") == "file" and not entry.get("islink"))
    return {str(entry["name"]).rpartition("/")[2]: entry for entry in files}


def _walk(store: Any, root: str, *, below: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    start = f"{child_path(store, root, below) if below else root.rstrip('/')}/"
    try:
        found = store.find(start.rstrip("/"), detail=True)
    except FileNotFoundError:
        return
    prefix = f"{below}/" if below else ""
    for path, info in found.items():
        name = str(path)[len(start) :]
        is_file = info.get("type") == "file" and not info.get("islink")
        if str(path).startswith(start) and is_below(name) and is_file:
            yield prefix + name, info


def _sign(info: dict[str, Any]) -> tuple[Any, ...]:
    """What changes with the content."""
    keys = ("size", "ETag", "etag", "mtime", "LastModified", "last_modified", "updated", "created")
    return tuple(str(info[key]) for key in keys if key in info)
