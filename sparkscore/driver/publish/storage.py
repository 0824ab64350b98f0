"""Files that appear whole or not at all, and what storage says when it fails. Spark driver."""

from __future__ import annotations

import ctypes
import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from sparkscore.errors import (
    AlreadyExistsError,
    OutputNotWritableError,
    SparkscoreError,
    StorageError,
)

_NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_NOT_WRITABLE = frozenset(
    {
        *(errno.EROFS, errno.EACCES, errno.EPERM),
        *(errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG),
    }
)
_NO_HARD_LINKS = frozenset({errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK, errno.EXDEV})
_AT_FDCWD = -100
_RENAME_NOREPLACE = 1


@contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """Gives an OSError inside its condition; ``path`` is the output that it is about."""
    try:
        yield
    except OSError as error:
        raise storage_error(error, path) from error


def storage_error(error: OSError, path: Path) -> SparkscoreError:
    """The error of ours that an OSError at the output ``path`` stands for."""
    reason = error.strerror or str(error)
    if error.errno in _NO_SPACE:
        return StorageError(
            f"no space left for the output {path} ({reason}): nothing was published; free space "
            "or choose another output path, then run the job again",
            condition="NO_SPACE_LEFT",
            path=str(path),
        )
    if error.errno in _NOT_WRITABLE:
        return OutputNotWritableError(
            f"the output {path} cannot be written ({reason}): nothing was published; choose an "
            "output path that this account may write to",
            condition="OUTPUT_NOT_WRITABLE",
            path=str(path),
        )
    return StorageError(
        f"writing the output {path} failed ({reason}): nothing was published; run the job again",
        condition="STORAGE_FAILED",
        path=str(path),
    )


def output_exists(path: Path) -> AlreadyExistsError:
    """The error for an output that is there already."""
    return AlreadyExistsError(
        f"the output {path} exists already and was not changed: remove it or choose another "
        "output path or output_file_name",
        condition="OUTPUT_EXISTS",
        path=str(path),
    )


@contextmanager
def new_folders(folder: Path) -> Iterator[None]:
    """Makes a folder and its parents, and removes those that it made if the body fails."""
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    try:
        yield
    except BaseException:
        for path in missing:
            with suppress(OSError):
                path.rmdir()
        raise


def sync_folder(path: Path) -> None:
    """Waits until a folder's entries stand on the disk, where its file system can say so."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        with suppress(OSError):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def move_without_overwriting(source: Path, target: Path) -> None:
    """Gives a file its final name in one step; FileExistsError if that name is taken."""
    try:
        os.link(source, target, follow_symlinks=False)
    except FileExistsError:
        raise
    except OSError as error:
        if error.errno not in _NO_HARD_LINKS:
            raise
        if not _rename_exclusively(source, target):
            _rename_over_placeholder(source, target)
    else:
        source.unlink()


def _rename_exclusively(source: Path, target: Path) -> bool:
    """Linux's renameat2 without replacing; False where it is not supported."""
    if not sys.platform.startswith("linux"):
        return False
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if rename is None:
        return False
    old, new = os.fsencode(source), os.fsencode(target)
    if rename(_AT_FDCWD, old, _AT_FDCWD, new, _RENAME_NOREPLACE) == 0:
        return True
    code = ctypes.get_errno()
    if code in (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP):
        return False
    raise OSError(code, os.strerror(code), str(target))


def _rename_over_placeholder(source: Path, target: Path) -> None:
    """For file systems with neither: an empty file of ours keeps others off the name."""
    os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
    source.replace(target)
