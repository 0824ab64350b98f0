"""The copy of a job folder that is kept in the workspace's store. Control plane.

``[jobs] folder`` of sparkscore.toml says where. It takes the folder's place where that is gone.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sparkscore.errors import NotFoundError, SparkscoreError, StorageError
from sparkscore.listing.location import find_local_path
from sparkscore.messages.launch import MirrorMessage
from sparkscore.storage import child_path, describe_error, fetch_file, is_below, open_store

if TYPE_CHECKING:
    from sparkscore.control.jobs.job import Job
    from sparkscore.control.workspace import Workspace
    from sparkscore.state.records import JobRecord

FILE_TIMEOUT_SECONDS = 600.0
_FETCHES_AT_ONCE = 8

IsWanted = Callable[[str], bool]


def get_mirror(workspace: Workspace, job_name: str) -> MirrorMessage | None:
    """Where the copy of a job of this name is, or will be; None if jobs stay on this machine."""
    root = workspace.config.jobs_folder
    if find_local_path(root) is not None:
        return None
    return MirrorMessage(uri=f"{root.rstrip('/')}/{job_name}")


def find_record_mirror(workspace: Workspace, record: JobRecord) -> MirrorMessage | None:
    """Where the copy of a job's folder is: a platform's job has it where its driver keeps it."""
    if record.remote is not None:
        return MirrorMessage(uri=record.remote["folder"], options=dict(record.remote["options"]))
    return get_mirror(workspace, record.name)


@contextmanager
def reading_job_folder(job: Job, *, is_wanted: IsWanted) -> Iterator[Path]:
    """The job's folder, or a temporary one with the wanted files of its copy.

    ``is_wanted`` is asked for paths relative to the folder. Raises NotFoundError
    (JOB_FOLDER_NOT_FOUND) if the job has ended and neither is there, StorageError
    (MIRROR_NOT_READABLE).
    """
    folder = Path(job.record.folder)
    mirror = find_record_mirror(job.workspace, job.record)
    if folder.is_dir() or (mirror is None and not job.is_ended):
        yield folder
        return
    if mirror is None:
        raise _gone(job.record, "there is no copy of it in a store")
    with tempfile.TemporaryDirectory(prefix="sparkscore-") as place:
        with _using(mirror, doing="read", condition="MIRROR_NOT_READABLE"):
            store, root = open_store(mirror.uri, mirror.options)
            found = _list(store, root)
            if not found and job.is_ended:
                raise _gone(job.record, f"nor is its copy {mirror.uri}")
            names = [name for name in found if is_wanted(name)]
            with ThreadPoolExecutor(_FETCHES_AT_ONCE) as pool:
                list(pool.map(lambda name: _fetch(store, root, name, Path(place, name)), names))
        yield Path(place)


class MirrorFiles:
    """The files of a job's copy but for its results; nothing where there is no copy."""

    def __init__(self, workspace: Workspace, record: JobRecord) -> None:
        self._mirror = find_record_mirror(workspace, record)
        output = ((record.summary or {}).get("output") or {}).get("path")
        self._results = None if output is None else str(output)

    def find_sizes(self) -> dict[str, int]:
        """Path in the store -> bytes. Raises StorageError (MIRROR_NOT_READABLE)."""
        if self._mirror is None:
            return {}
        store, root = open_store(self._mirror.uri, self._mirror.options)
        return {child_path(store, root, name): size for name, size in self.list_names().items()}

    def list_names(self) -> dict[str, int]:
        """Path in the folder -> bytes. Raises StorageError (MIRROR_NOT_READABLE)."""
        if self._mirror is None:
            return {}
        with _using(self._mirror, doing="read", condition="MIRROR_NOT_READABLE"):
            found = _list(*open_store(self._mirror.uri, self._mirror.options))
        return {name: size for name, size in found.items() if not self._is_result(name)}

    def find_size(self, name: str) -> int | None:
        """Bytes of one file; None if it is not there. Raises StorageError (MIRROR_NOT_READABLE)."""
        if self._mirror is None or self._is_result(name):
            return None
        with _using(self._mirror, doing="read", condition="MIRROR_NOT_READABLE"):
            store, root = open_store(self._mirror.uri, self._mirror.options)
            store.invalidate_cache()
            try:
                info = store.info(child_path(store, root, name))
            except FileNotFoundError:
                return None
        return int(info.get("size") or 0) if info.get("type") == "file" else None

    def get_place(self, name: str) -> tuple[str, dict[str, str]]:
        """The URI of a file, and what its store is opened with; there is a copy."""
        assert self._mirror is not None, "a file was found in the copy"
        return f"{self._mirror.uri}/{name}", dict(self._mirror.options)

    def remove(self) -> None:
        """Remove them. Raises StorageError (MIRROR_NOT_REMOVED)."""
        paths = list(self.find_sizes())
        if self._mirror is None or not paths:
            return
        with _using(self._mirror, doing="removed", condition="MIRROR_NOT_REMOVED"):
            store, _ = open_store(self._mirror.uri, self._mirror.options)
            store.rm(paths)

    def _is_result(self, name: str) -> bool:
        results = self._results
        uri = name if self._mirror is None else f"{self._mirror.uri}/{name}"
        return results is not None and (uri == results or uri.startswith(f"{results}/"))


def _list(store: Any, root: str) -> dict[str, int]:
    """Relative path -> bytes of each file below a folder of a store; none if it is not there."""
    store.invalidate_cache()
    try:
        found = store.find(root, detail=True)
    except FileNotFoundError:
        return {}
    start = f"{root.rstrip('/')}/"
    return {
        path.removeprefix(start): int(entry.get("size") or 0)
        for path, entry in found.items()
        if path.startswith(start) and is_below(path.removeprefix(start))
    }


def _fetch(store: Any, root: str, name: str, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    path = child_path(store, root, name)
    fetch_file(store, path, os.fspath(target), timeout_seconds=FILE_TIMEOUT_SECONDS)


@contextmanager
def _using(mirror: MirrorMessage, *, doing: str, condition: str) -> Iterator[None]:
    try:
        yield
    except SparkscoreError:
        raise
    except Exception as error:
        raise StorageError(
            f"the copy {mirror.uri} of a job folder cannot be {doing}: {describe_error(error)}; "
            "check the store's credentials",
            condition=condition,
            uri=mirror.uri,
        ) from error


def _gone(record: JobRecord, why: str) -> NotFoundError:
    return NotFoundError(
        f"the folder {record.folder} of job {record.name} is not on this machine, and {why}: its "
        "account is in job show",
        condition="JOB_FOLDER_NOT_FOUND",
        job=record.name,
        job_folder=record.folder,
    )
