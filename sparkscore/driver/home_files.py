"""Brings files of a job folder to their copy in a store. Spark driver, threads of the mirror.

Scripts that run on this machine can put links into the job folder, and into a copy that is a folder
here too: what such a link leads to is neither read nor written.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from sparkscore.driver.script_archive import is_archive, put_archive
from sparkscore.errors import StorageError
from sparkscore.storage import child_path

OF_SCRIPTS = ("files/", "staging/files/")
OF_WAVES = ("staging/wave-", "staging/files/")
"""What a home has of waves that were committed, and of no others."""


def put_copy(store: Any, root: str, *, folder: Path, name: str) -> None:
    """Copy the file ``name`` of the job folder ``folder`` below ``root``; not one that a link
    leads out of the folder to. The archive of a wave's script files is made on the way.

    Raises StorageError (MIRROR_PLACE_REFUSED) for a place that links lead away from, or whatever
    the store does.
    """
    path = child_path(store, root, name)
    if _is_on_this_machine(store):
        _check_place(path, root)
    file = folder / name
    if is_archive(name):
        put_archive(store, path, file.parent)
        return
    real = os.path.realpath(file)
    if Path(real).is_relative_to(os.path.realpath(folder)):
        store.put_file(real, path)


def iter_files(folder: Path, *, below: str = "") -> Iterator[Path]:
    """Files below ``folder``, as they are found: a script may have written a million.

    Hidden ones are temporary, but for those of scripts, which ``below`` tells: the folder's name in
    the job folder. Links to folders are left.
    """
    try:
        with os.scandir(folder) as found:
            entries = sorted(found, key=lambda entry: entry.name)
    except FileNotFoundError:
        return
    for entry in entries:
        name = f"{below}{entry.name}"
        if entry.is_dir(follow_symlinks=False):
            yield from iter_files(Path(entry.path), below=f"{name}/")
        elif entry.is_file() and (not entry.name.startswith(".") or name.startswith(OF_SCRIPTS)):
            yield Path(entry.path)


def _is_on_this_machine(store: Any) -> bool:
    protocols = store.protocol
    return "file" in ((protocols,) if isinstance(protocols, str) else protocols)


def _check_place(path: str, root: str) -> None:
    parent, real_root = os.path.realpath(os.path.dirname(path)), os.path.realpath(root)
    if not Path(parent).is_relative_to(real_root):
        raise StorageError(
            f"{path} leads out of {root}, through a link: nothing was written there; remove the "
            "link",
            condition="MIRROR_PLACE_REFUSED",
            path=path,
        )
    if os.path.islink(path):
        with suppress(FileNotFoundError):
            os.unlink(path)
