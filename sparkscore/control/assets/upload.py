"""Uploads local files to a store: by content, in parallel, and resumed where it stopped.

Control plane.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from sparkscore.control.assets.content import ContentFile, LocalContent
from sparkscore.errors import SparkscoreError, StorageError
from sparkscore.storage import describe_error, open_store

UPLOADS_AT_ONCE = 8


@dataclass(frozen=True)
class UploadProgress:
    """How far an upload is; what an earlier one left there counts as done."""

    file_count: int
    files_done: int
    byte_count: int
    bytes_done: int


OnProgress = Callable[[UploadProgress], None]


def upload_content(
    content: LocalContent,
    uri: str,
    options: Mapping[str, str],
    *,
    on_progress: OnProgress | None = None,
) -> int:
    """Upload a folder's files below ``uri``, or one file to it; returns how many were sent.

    ``uri`` must be named by the content's digest: a file of the right size that is there already
    is taken for uploaded, as stores show files only once they are complete. Raises StorageError
    (UPLOAD_FAILED); the same call again goes on from there.
    """
    try:
        filesystem, root = open_store(uri, options)
        there = _find_sizes(filesystem, root)
        upload = _Upload(filesystem, root.rstrip("/"), content, on_progress or _ignore)
        return upload.run(there)
    except SparkscoreError:
        raise
    except Exception as error:
        raise StorageError(
            f"{content.root} cannot be uploaded to {uri}: {describe_error(error)}; what has "
            "arrived stays, so the same command again goes on from there",
            condition="UPLOAD_FAILED",
            path=str(content.root),
            uri=uri,
        ) from error


def _ignore(progress: UploadProgress) -> None:
    del progress


def _find_sizes(filesystem: Any, root: str) -> dict[str, int]:
    """Size by path of every file that is there."""
    filesystem.invalidate_cache()
    with suppress(FileNotFoundError):
        found = filesystem.find(root, detail=True)
        return {path: int(info.get("size") or 0) for path, info in found.items()}
    return {}


class _Upload:
    def __init__(
        self, filesystem: Any, root: str, content: LocalContent, on_progress: OnProgress
    ) -> None:
        self._filesystem = filesystem
        self._root = root
        self._content = content
        self._on_progress = on_progress
        self._lock = threading.Lock()
        self._files_done = 0
        self._bytes_done = 0

    def run(self, there: Mapping[str, int]) -> int:
        missing = []
        for file in self._content.files:
            if there.get(self._path(file)) == file.size:
                self._add(file, shows=False)
            else:
                missing.append(file)
        self._show()
        with ThreadPoolExecutor(UPLOADS_AT_ONCE, thread_name_prefix="upload") as pool:
            running = [pool.submit(self._send, file, there) for file in missing]
            try:
                done, _ = wait(running, return_when=FIRST_EXCEPTION)
            except BaseException:
                _cancel(running)
                raise
            if any(future.exception() for future in done):
                _cancel(running)
        for future in running:
            if not future.cancelled():
                future.result()
        self._content.check_unchanged()
        return len(missing)

    def _path(self, file: ContentFile) -> str:
        return f"{self._root}/{file.path}" if self._content.is_folder else self._root

    def _send(self, file: ContentFile, there: Mapping[str, int]) -> None:
        path = self._path(file)
        if path in there:
            self._filesystem.rm_file(path)
        self._filesystem.put_file(str(self._content.locate(file)), path)
        self._add(file, shows=True)

    def _add(self, file: ContentFile, *, shows: bool) -> None:
        with self._lock:
            self._files_done += 1
            self._bytes_done += file.size
            if shows:
                self._show()

    def _show(self) -> None:
        self._on_progress(
            UploadProgress(
                file_count=len(self._content.files),
                files_done=self._files_done,
                byte_count=self._content.byte_count,
                bytes_done=self._bytes_done,
            )
        )


def _cancel(futures: list[Future[None]]) -> None:
    for future in futures:
        future.cancel()
