"""The files of an attempt as they travel to a driver that cannot see them. Python worker process.

Files, and links to files of the same folder, which travel as files. Links that lead elsewhere or
nowhere, pipes and sockets are left out: they are not the script's to send, or nothing to read.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import IO, NoReturn

from sparkscore.errors import StorageError
from sparkscore.executor.log_file import open_plain

ENTRY_BYTES = 1024
"""What a file takes on its way besides its content: an empty one is not free."""


def iter_written(folder: str) -> Iterator[tuple[str, IO[bytes]]]:
    """Relative name and open content of each file below ``folder``, in order.

    What has gone meanwhile is left out. Raises StorageError (SCRIPT_FILE_NOT_READABLE) for a file
    or folder that cannot be read.
    """
    if os.path.islink(folder):
        return
    root = os.path.realpath(folder) + os.sep

    def refuse(error: OSError) -> None:
        if not isinstance(error, FileNotFoundError):
            raise_unreadable(os.path.relpath(error.filename or folder, folder), error)

    for parent, folders, names in os.walk(folder, onerror=refuse):
        folders.sort()
        for name in sorted(names):
            path = os.path.join(parent, name)
            real = os.path.realpath(path)
            if not real.startswith(root) or not os.path.isfile(real):
                continue
            relative = os.path.relpath(path, folder)
            try:
                content = open(real, "rb", opener=open_plain)  # noqa: SIM115
            except FileNotFoundError:
                continue
            except OSError as error:
                raise_unreadable(relative, error)
            with content:
                yield relative, content


def raise_unreadable(name: str, error: OSError) -> NoReturn:
    """Raise StorageError (SCRIPT_FILE_NOT_READABLE) for a file that a script wrote."""
    raise StorageError(
        f"{name!r}, which the script wrote to AZUREML_BI_OUTPUT_PATH, cannot be read "
        f"({error.strerror or error}): it must be readable by the account that runs the script",
        condition="SCRIPT_FILE_NOT_READABLE",
        path=name,
    ) from error
