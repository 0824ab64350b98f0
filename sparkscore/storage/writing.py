"""Writes new files and folders to stores, all or nothing, and never over another. Any process."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from typing import Any

from sparkscore.errors import (
    AlreadyExistsError,
    OutputNotWritableError,
    SparkscoreError,
    StorageError,
)
from sparkscore.storage.local_files import put_new_here
from sparkscore.storage.redaction import describe_error
from sparkscore.storage.stores import is_web, open_store
from sparkscore.storage.uploads import in_background, put_file, raises
from sparkscore.storage.uri import join_uri

_DENIED = ("AuthorizationFailure", "AuthorizationPermissionMismatch", "AuthenticationFailed")
_DENIED_CODES = (401, 403)
_UPLOADS_AT_ONCE = 8
_CHUNK_BYTES = 1024 * 1024
_TAKE_BACK_SECONDS = 5.0
_LOOK_SECONDS = 0.1


def check_writable_store(uri: str, options: Mapping[str, str], *, name: str = "") -> None:
    """Checks that ``name`` in the folder ``uri`` (or, without one, anything in it) is not there.

    Writes nothing; an account that may not look is told so now. Raises AlreadyExistsError
    (OUTPUT_EXISTS), OutputNotWritableError (OUTPUT_NOT_WRITABLE, STORE_READ_ONLY), or what
    ``open_store`` raises.
    """
    filesystem, folder = _open_for_writing(uri, options)
    with _looking_at(uri):
        path = f"{folder.rstrip('/')}/{name}" if name else folder
        if _holds(filesystem, path, is_file=bool(name)):
            raise output_exists(join_uri(uri, name))
        _check_container(filesystem, folder, uri)


def put_new_file(
    local: str,
    uri: str,
    options: Mapping[str, str],
    *,
    check: Callable[[], None] = lambda: None,
    confirm: Callable[[], None] = lambda: None,
) -> None:
    """Uploads one file to ``uri``, where nothing may be yet; it appears whole or not at all.

    What ``check`` raises ends the upload within seconds; what has arrived is removed unless
    ``confirm`` raises, because somebody else may be uploading there by now. Raises
    AlreadyExistsError (OUTPUT_EXISTS), OutputNotWritableError or StorageError.
    """
    filesystem, path = _open_for_writing(uri, options)
    with _writing(uri):
        _put_new(filesystem, local, path, check=check, confirm=confirm)


def upload_new_folder(
    local: str,
    uri: str,
    options: Mapping[str, str],
    *,
    names: Sequence[str],
    last: Sequence[str] = (),
    check: Callable[[], None] = lambda: None,
    confirm: Callable[[], None] = lambda: None,
) -> None:
    """Uploads files below ``local`` to the folder ``uri``, which must be empty: ``names`` in any
    order, then ``last`` one by one. Removes what it uploaded if ``names`` fail, as far as it can in
    some seconds once ``check`` raises, and unless ``confirm`` raises. After that nothing is
    removed: one of ``last``, which may name the others, can arrive though it seems to fail.

    Raises what ``put_new_file`` raises.
    """
    filesystem, folder = _open_for_writing(uri, options)
    with _writing(uri):
        if _holds(filesystem, folder, is_file=False):
            raise FileExistsError(uri)
    done: list[str] = []

    def upload(name: str) -> None:
        path = f"{folder.rstrip('/')}/{name}"
        with _writing(join_uri(uri, name)):
            is_surely_ours = _put_new(
                filesystem,
                os.path.join(local, name),
                path,
                looks=False,
                check=check,
                confirm=confirm,
            )
        if is_surely_ours:
            done.append(path)

    try:
        _upload_all(names, upload)
        check()
    except BaseException:
        if not raises(confirm):
            _take_back(filesystem, done, check)
        raise
    for name in last:
        upload(name)


def _take_back(filesystem: Any, paths: Sequence[str], check: Callable[[], None]) -> None:
    """Several at once, in threads that nobody has to wait for once ``check`` raises."""
    left = iter(paths)

    def remove() -> None:
        for path in left:
            with suppress(Exception):
                filesystem.rm_file(path)

    removed = [in_background(remove) for _ in range(_UPLOADS_AT_ONCE)]
    while not raises(check):
        if not wait(removed, timeout=_LOOK_SECONDS).not_done:
            return
    wait(removed, timeout=_TAKE_BACK_SECONDS)


def _upload_all(names: Sequence[str], upload: Callable[[str], None]) -> None:
    """Several at once; after an error no other is begun."""
    with ThreadPoolExecutor(_UPLOADS_AT_ONCE) as pool:
        futures = [pool.submit(upload, name) for name in names]
        try:
            for future in futures:
                future.result()
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise


def remove_below(filesystem: Any, folder: str) -> None:
    """Removes a folder of a store with all below; one that is not there is fine."""
    with suppress(FileNotFoundError):
        filesystem.rm(folder, recursive=True)


def output_exists(uri: str) -> AlreadyExistsError:
    """The error for results that are already there."""
    return AlreadyExistsError(
        f"output {uri} already exists: results are never overwritten, give another --output-path "
        "or output_file_name, or move it away",
        condition="OUTPUT_EXISTS",
        path=uri,
    )


def _open_for_writing(uri: str, options: Mapping[str, str]) -> tuple[Any, str]:
    filesystem, path = open_store(uri, options)
    if is_web(filesystem):
        raise OutputNotWritableError(
            f"{uri} cannot be written to: web servers are for reading; write to a folder, "
            "s3://, abfss://, wasbs:// or gs://",
            condition="STORE_READ_ONLY",
            path=uri,
        )
    return filesystem, path


def _holds(filesystem: Any, path: str, *, is_file: bool) -> bool:
    """Whether a file of this name, or a folder with any file below, stands there."""
    try:
        info = filesystem.info(path)
    except FileNotFoundError:
        return False
    if is_file or info["type"] == "file":
        return True
    try:
        return any(any(files) for _, _, files in filesystem.walk(path))
    except FileNotFoundError:
        return False


def _check_container(filesystem: Any, folder: str, uri: str) -> None:
    """Buckets and containers are not made on the way, folders are."""
    protocols = filesystem.protocol
    if not {"s3", "abfs", "gs"} & set((protocols,) if isinstance(protocols, str) else protocols):
        return
    container = folder.strip("/").partition("/")[0]
    try:
        filesystem.ls(container, detail=False)
    except FileNotFoundError as error:
        raise _not_writable(uri, f"{container!r} does not exist there; create it") from error


def _put_new(
    filesystem: Any,
    local: str,
    path: str,
    *,
    looks: bool = True,
    check: Callable[[], None] = lambda: None,
    confirm: Callable[[], None] = lambda: None,
) -> bool:
    """One put that refuses to overwrite where the store can, else right after a look.

    A client that gets no answer asks again, and is refused for the file that it made itself: what
    appeared here since the look and is the same byte by byte counts as that file. Returns whether
    it is for sure; if not, it is not ours to remove.
    """
    if looks and filesystem.exists(path):
        raise FileExistsError(path)
    if getattr(filesystem, "local_file", False):
        filesystem.makedirs(filesystem._parent(path), exist_ok=True)
        check()
        put_new_here(local, path)
        return True
    try:
        put_file(filesystem, local, path, check=check, confirm=confirm, **_exclusively(filesystem))
    except Exception as error:
        is_repeated = _is_taken(error) or isinstance(error, FileNotFoundError)  # of its parts
        if not (is_repeated and _is_same(filesystem, local, path, check)):
            raise
        return False
    return True


def _is_taken(error: Exception) -> bool:
    return isinstance(error, FileExistsError) or "PreconditionFailed" in repr(error)


def _is_same(filesystem: Any, local: str, path: str, check: Callable[[], None]) -> bool:
    """Whether the store's file is ``local``, as far as it lets us look.

    Raises the SparkscoreError of ``check``, which is asked for each chunk.
    """
    try:
        filesystem.invalidate_cache()
        if filesystem.info(path)["size"] != os.path.getsize(local):
            return False
        with open(local, "rb") as ours, filesystem.open(path, "rb") as found:
            while chunk := ours.read(_CHUNK_BYTES):
                check()
                if found.read(len(chunk)) != chunk:
                    return False
    except SparkscoreError:
        raise
    except Exception:
        return False
    return True


def _exclusively(filesystem: Any) -> dict[str, Any]:
    """How this version of the store's client is told to refuse a name that is taken."""
    method = getattr(filesystem, "_put_file", None) or filesystem.put_file
    names = inspect.signature(method).parameters
    if "mode" in names:
        return {"mode": "create"}
    return {"overwrite": False} if "overwrite" in names else {}


@contextmanager
def _looking_at(uri: str) -> Iterator[None]:
    try:
        yield
    except SparkscoreError:
        raise
    except Exception as error:
        raise _not_writable(uri, describe_error(error)) from None


@contextmanager
def _writing(uri: str) -> Iterator[None]:
    try:
        yield
    except SparkscoreError:
        raise
    except Exception as error:
        if _is_taken(error):
            raise output_exists(uri) from None
        if _is_denied(error):
            raise _not_writable(uri, describe_error(error)) from None
        raise StorageError(
            f"writing the output {uri} failed ({describe_error(error)}): nothing was published; "
            "run the job again",
            condition="STORAGE_FAILED",
            path=uri,
        ) from None


def _is_denied(error: Exception) -> bool:
    if isinstance(error, (PermissionError, FileNotFoundError)):
        return True
    code = getattr(error, "status_code", None) or getattr(error, "code", None)
    return code in _DENIED_CODES or any(word in str(error) for word in _DENIED)


def _not_writable(uri: str, reason: str) -> OutputNotWritableError:
    return OutputNotWritableError(
        f"output {uri} cannot be written: {reason}; check the URI and the credentials in the "
        "environment",
        condition="OUTPUT_NOT_WRITABLE",
        path=uri,
    )
