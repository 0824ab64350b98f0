"""Local paths for the inputs of a mini-batch. Python worker process.

``direct``: the files are visible here. ``fetch``: they are downloaded from their store into the
worker's scratch folder, the next mini-batch while the current one runs, and removed afterwards. A
download that takes longer than FETCH_TIMEOUT_SECONDS fails its attempt.

An input that is gone, or is not the file that was planned, is never handed to the script: one
``stat`` tells for a local file, one question to the store for a file with an etag.
"""

from __future__ import annotations

import errno
import os
import shutil
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from sparkscore.executor.arrow_store import ArrowStore, open_input_store
from sparkscore.executor.attempt_folders import remove_tree
from sparkscore.messages.mini_batch import FETCH
from sparkscore.storage import (
    child_path,
    describe_error,
    fetch_file,
    is_same_file,
)

FETCH_TIMEOUT_SECONDS = 1800.0
"""How long the download of one input may take."""

_FETCH_THREADS = 8
_NO_SPACE = (errno.ENOSPC, errno.EDQUOT)


class InputError(Exception):
    """An input that cannot be made available; ``condition`` names why."""

    def __init__(self, message: str, *, condition: str = "INPUT_NOT_READABLE") -> None:
        super().__init__(message)
        self.condition = condition


class InputGoneError(InputError):
    """An input that is not there any more, or was replaced: no retry brings it back."""


class InputStage:
    """Where the inputs of a plan with this root and transport stand on this machine."""

    def __init__(
        self,
        root: str,
        transport: str,
        *,
        scratch: str,
        options: Mapping[str, str] | None = None,
        timeout_seconds: float = FETCH_TIMEOUT_SECONDS,
    ) -> None:
        self._source = root.rstrip("/") or "/"
        self._fetches = transport == FETCH
        self._options, self._timeout_seconds = dict(options or {}), timeout_seconds
        self._store: tuple[Any, str] | None = None
        self._lock = threading.Lock()
        self.root = os.path.join(scratch, "inputs") if self._fetches else self._source
        self._pool = ThreadPoolExecutor(_FETCH_THREADS) if self._fetches else None
        self._pending: dict[str, Future[None]] = {}
        self._etags: dict[str, str] = {}

    def prefetch(self, paths: Sequence[str], etags: Sequence[str] = ()) -> None:
        """Start to fetch what ``local_paths`` will be asked for next.

        ``etags`` are those that were planned; without them nobody asks whether a file has changed.
        """
        if self._pool is not None:
            self._etags.update(zip(paths, etags))
            for path in paths:
                if path not in self._pending:
                    self._pending[path] = self._pool.submit(self._fetch, path)

    def find_gone(self, paths: Sequence[str], etags: Sequence[str]) -> dict[str, InputGoneError]:
        """Which of these inputs are not what was planned, with INPUT_CHANGED or INPUT_NOT_FOUND."""
        self.prefetch(paths, etags)
        found = self._find_gone_in_store if self._fetches else self._find_gone_here
        gone = {path: found(path, etag) for path, etag in zip(paths, etags)}
        return {path: error for path, error in gone.items() if error is not None}

    def _find_gone_here(self, path: str, etag: str) -> InputGoneError | None:
        if not etag:
            return None
        try:
            status = os.stat(os.path.join(self.root, path))
        except (FileNotFoundError, NotADirectoryError):
            return _not_found(path)
        except OSError:
            return None
        return None if f"{status.st_size}-{status.st_mtime_ns}" == etag else _changed(path)

    def _find_gone_in_store(self, path: str, etag: str) -> InputGoneError | None:
        """What else goes wrong with a download is the business of the attempt, which repeats it."""
        del etag
        error = self._pending[path].exception()
        if isinstance(error, FileNotFoundError):
            return _not_found(path)
        return error if isinstance(error, InputGoneError) else None

    def local_paths(self, paths: Sequence[str]) -> list[str]:
        """The local paths of these inputs; raises InputError if one cannot be fetched.

        A full disk is no fault of an input: the OSError goes on, and ends the task.
        """
        self.prefetch(paths)
        if self._fetches:
            for path in paths:
                self._await(path)
        return [os.path.join(self.root, path) for path in paths]

    def release(self, paths: Sequence[str]) -> None:
        """Remove what was fetched for these inputs."""
        for path in paths if self._fetches else ():
            future = self._pending.pop(path, None)
            self._etags.pop(path, None)
            if future is not None and not future.cancel():
                future.exception()
            if _is_plain(path):
                remove_tree(os.path.join(self.root, path))

    def clear(self) -> None:
        """Remove what was fetched ahead for mini-batches that are left to another task."""
        self.release(tuple(self._pending))

    def close(self) -> None:
        """Remove everything that was fetched."""
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
            shutil.rmtree(self.root, ignore_errors=True)

    def _await(self, path: str) -> None:
        error = self._pending[path].exception()
        if error is not None:
            del self._pending[path]
            if getattr(error, "errno", None) in _NO_SPACE:
                raise error
            raise InputError(
                f"{path} could not be fetched from {self._source}: {describe_error(error)}",
                condition=_condition_of(error),
            )

    def _fetch(self, path: str) -> None:
        if not _is_plain(path):
            raise ValueError("its name is no relative path; rename it")
        target = os.path.join(self.root, path)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        filesystem, folder = self._open()
        source = child_path(filesystem, folder, path)
        etag = self._etags.get(path)
        if etag and not is_same_file(filesystem.info(source), etag):
            raise _changed(path)
        if isinstance(filesystem, ArrowStore):
            filesystem.fetch(source, target, timeout_seconds=self._timeout_seconds)
        else:
            fetch_file(filesystem, source, target, timeout_seconds=self._timeout_seconds)

    def _open(self) -> tuple[Any, str]:
        with self._lock:
            if self._store is None:
                self._store = open_input_store(self._source, self._options)
            return self._store


def _not_found(path: str) -> InputGoneError:
    return InputGoneError(f"{path} is not there any more", condition="INPUT_NOT_FOUND")


def _changed(path: str) -> InputGoneError:
    return InputGoneError(
        f"{path} is not the file that was planned: its size, time or etag has changed",
        condition="INPUT_CHANGED",
    )


def _condition_of(error: BaseException) -> str:
    return "INPUT_FETCH_TIMEOUT" if isinstance(error, TimeoutError) else "INPUT_NOT_READABLE"


def _is_plain(path: str) -> bool:
    """Whether a name in a store (``a//b`` and ``../a`` are some) stays below a local folder."""
    return all(part not in ("", ".", "..") for part in path.split("/"))
