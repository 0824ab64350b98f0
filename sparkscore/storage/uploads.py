"""Uploads of one file that end when they are to stop. Any process."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from contextlib import suppress
from typing import Any

_LOOK_SECONDS = 0.1
_END_SECONDS = 5.0


def put_file(
    filesystem: Any,
    local: str,
    path: str,
    *,
    check: Callable[[], None] = lambda: None,
    confirm: Callable[[], None] = lambda: None,
    **arguments: Any,
) -> None:
    """Copies ``local`` to ``path`` in a store; ``check`` is asked ten times a second.

    What it raises is raised within seconds. The clients of S3, Azure and GCS drop the upload then:
    nothing of it appears, and S3 is told to forget its parts unless ``confirm`` raises. One that
    the store had taken whole has ended all the same, and nothing is raised. Other clients cannot
    be interrupted: theirs may go on in the background.
    """
    upload: Future[Any]
    if getattr(filesystem, "async_impl", False):
        upload = _start_on_loop(filesystem, local, path, arguments)
    else:
        upload = in_background(lambda: filesystem.put_file(local, path, **arguments))
    try:
        while not wait([upload], timeout=_LOOK_SECONDS).done:
            check()
    except BaseException as error:
        upload.cancel()
        looked = in_background(lambda: _settle(filesystem, local, path, upload, confirm))
        wait([looked], timeout=_END_SECONDS)
        if isinstance(error, Exception) and looked.done() and looked.result():
            return
        raise
    upload.result()


def raises(confirm: Callable[[], None]) -> bool:
    """Whether it does."""
    try:
        confirm()
    except Exception:
        return True
    return False


def in_background(work: Callable[[], Any]) -> Future[Any]:
    """Runs ``work`` in a thread that nobody has to wait for."""
    future: Future[Any] = Future()
    future.set_running_or_notify_cancel()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=run, name="store", daemon=True).start()
    return future


class _Upload(Future[Any]):
    """An upload on a client's event loop; it is over once its coroutine has ended."""

    def __init__(self) -> None:
        super().__init__()
        self._task: Any = None
        self._is_dropped = False

    async def run(self, upload: Callable[[], Any]) -> None:
        """Await what ``upload`` gives; runs on the loop."""
        import asyncio

        self._task = asyncio.current_task()
        try:
            if self._is_dropped:
                raise asyncio.CancelledError
            self.set_result(await upload())
        except BaseException as error:
            self.set_exception(error)

    def cancel(self) -> bool:
        """Ask the client to drop it."""
        self._is_dropped = True
        if self._task is not None:
            self._task.get_loop().call_soon_threadsafe(self._task.cancel)
        return True


def _start_on_loop(filesystem: Any, local: str, path: str, arguments: dict[str, Any]) -> _Upload:
    import asyncio

    upload = _Upload()
    asyncio.run_coroutine_threadsafe(
        upload.run(lambda: filesystem._put_file(local, path, **arguments)), filesystem.loop
    )
    return upload


def _settle(
    filesystem: Any, local: str, path: str, upload: Future[Any], confirm: Callable[[], None]
) -> bool:
    """Once the upload has ended: whether the store has the whole file; frees what it has of it.

    Asks the store only about an upload that was dropped: another end tells itself.
    """
    if not wait([upload], timeout=_END_SECONDS).done:
        return False
    error = upload.exception()
    if error is None or isinstance(error, Exception):
        return error is None
    try:
        filesystem.invalidate_cache()
        return bool(filesystem.info(path)["size"] == os.path.getsize(local))
    except FileNotFoundError:
        if not raises(confirm):
            _free_parts(filesystem, path)
    except Exception:
        return False
    return False


def _free_parts(filesystem: Any, path: str) -> None:
    """S3 keeps the parts of a dropped upload until it is told."""
    if not hasattr(filesystem, "list_multipart_uploads"):
        return
    with suppress(Exception):
        bucket, key, _ = filesystem.split_path(path)
        for upload in filesystem.list_multipart_uploads(bucket):
            if upload["Key"] == key:
                filesystem.abort_mpu(bucket, key, upload["UploadId"])
