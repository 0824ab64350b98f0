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
from pathlib import Path
from typing import Any

from sparkscore.errors import AlreadyExistsError, SparkscoreError, StorageError
from sparkscore.messages.launch import ARCHIVE_PREFIX, LAUNCH_FILE
from sparkscore.storage import child_path, describe_error, fetch_file, is_below, open_store

CANCEL_FILE = "cancel"
RUN_FILE = "run.json"
SUMMARY_FILE = "summary.json"
FILE_TIMEOUT_SECONDS = 3600.0

_AT_ONCE = 8
_LOOK_SECONDS = 0.5
_OWN = ("logs/launcher.log", "logs/driver.log")
_NOT_UPLOADED = (
    *("logs", "scratch", "staging", "plan", "ledger", "lease"),
    *("publish.json", "events.jsonl"),
)
_NOT_FOLLOWED = ("code", "model", "staging", "lease", "runs", "scratch", "score")
_LIVE = ("status.json", "events.jsonl")
_SIGNS = (CANCEL_FILE, RUN_FILE, LAUNCH_FILE, "score.py", "sparkscore.zip")
"""What this machine has itself."""
_OF_A_RUN = (SUMMARY_FILE, "status.json", CANCEL_FILE)


class RemoteStore:
    """The folder ``uri`` of one job. Methods raise StorageError (STAGING_NOT_REACHABLE)."""

    def __init__(self, uri: str, options: dict[str, str]) -> None:
        self.uri, self._options = uri.rstrip("/"), options
        self._seen: dict[str, tuple[Any, ...]] = {}

    def check_free(self) -> None:
        """Raise AlreadyExistsError (JOB_EXISTS) if the folder holds files of a job."""
        with self._using("read") as (store, root):
            store.invalidate_cache()
            if any(store.exists(child_path(store, root, name)) for name in (RUN_FILE, LAUNCH_FILE)):
                raise self._taken()

    def prepare(self, folder: Path, *, token: str, run: int, on_wait: Callable[[], None]) -> None:
        """Upload what the ``run``-th run (from 0) needs; nothing if that was done before.

        What an earlier run said of its end is removed. ``token`` tells the job from others of its
        name; raises AlreadyExistsError (JOB_EXISTS) if the folder is that of another one.
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
            for name in _OF_A_RUN:
                with suppress(FileNotFoundError):
                    store.rm_file(child_path(store, root, name))
            names = [name for name in _iter_uploads(folder) if name != LAUNCH_FILE]
            if has_content:
                names = [name for name in names if name.partition("/")[0] not in ("code", "model")]
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

    def ask_cancel(self) -> None:
        """Have the driver cancel the job."""
        with self._using("written") as (store, root):
            store.pipe_file(child_path(store, root, CANCEL_FILE), b"1")

    def pull_live(self, folder: Path) -> bool:
        """Bring what changes while the job runs; whether the job has ended with a summary."""
        with self._using("read") as (store, root):
            store.invalidate_cache()
            found = _list_files(store, root, below="")
            logs = _list_files(store, root, below="logs")
            live = {name: info for name, info in found.items() if name in _LIVE}
            self._fetch_changed(store, root, {**live, **logs}, folder)
            return SUMMARY_FILE in found

    def pull_all(self, folder: Path) -> None:
        """Bring all that is for others, the summary at last."""
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
            self._fetch_changed(store, root, found, folder)
            if summary is not None:
                self._fetch_changed(store, root, {SUMMARY_FILE: summary}, folder)

    def _fetch_changed(
        self, store: Any, root: str, found: dict[str, dict[str, Any]], folder: Path
    ) -> None:
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
                os.replace(partial, target)
            except FileNotFoundError:
                return  # replaced or removed since it was listed
            finally:
                partial.unlink(missing_ok=True)

        with ThreadPoolExecutor(_AT_ONCE) as pool:
            list(pool.map(fetch, changed))
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
