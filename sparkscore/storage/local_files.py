"""New files in folders that are stores to somebody: mounted volumes among them. Any process."""

from __future__ import annotations

import errno
import os
import shutil
import uuid
from contextlib import suppress

_NO_LINKS = (errno.EPERM, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL, errno.EMLINK)


def put_new_here(local: str, path: str) -> None:
    """Copy a file to ``path``, where nothing may be yet: one of several processes does it.

    It appears whole; on a mounted store, which knows no links, readers may see it grow. Raises
    FileExistsError, or OSError.
    """
    beside = os.path.join(os.path.dirname(path), f".{uuid.uuid4().hex}.new")
    try:
        shutil.copyfile(local, beside)
        os.link(beside, path)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        _copy_exclusively(local, path)
    finally:
        with suppress(FileNotFoundError):
            os.unlink(beside)


def _copy_exclusively(local: str, path: str) -> None:
    with open(local, "rb") as source, open(path, "xb") as target:
        try:
            shutil.copyfileobj(source, target)
        except BaseException:
            os.unlink(path)
            raise
