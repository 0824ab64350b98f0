"""What scripts wrote themselves, kept in a home with the wave that it belongs to. Spark driver.

A home is a store: files by the thousand, with names of any kind, make one archive a wave there. It
is written before the wave's commit mark, so that a wave which counts has its files too.
"""

from __future__ import annotations

import errno
import os
import shutil
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pyarrow as pa

from sparkscore.driver.job_folder import name_script_folder
from sparkscore.driver.staging import read_outcomes, wave_files
from sparkscore.errors import MessageError, PublishError, StorageError
from sparkscore.executor.archives import extract_archive
from sparkscore.executor.log_file import open_plain

ARCHIVE_NAME = "files.tar.zst"
"""Name of the archive in the folder of its wave."""

_BUFFER_BYTES = 1024 * 1024
_DISK_FAILED = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)


def is_archive(name: str) -> bool:
    """Whether a name in the job folder is that of such an archive."""
    return name.startswith("staging/wave-") and name.endswith(f"/{ARCHIVE_NAME}")


def put_archive(store: Any, path: str, wave: Path) -> None:
    """Write the archive of the staged ``wave`` to ``path``, if its outcomes name any files.

    Streamed: nothing is held or written here. Raises whatever the store does, and OSError.
    """
    folders = list(_iter_folders(wave))
    if not folders:
        return
    with (
        store.open(path, "wb") as target,
        pa.CompressedOutputStream(target, "zstd") as compressed,
        tarfile.open(
            fileobj=compressed, mode="w|", bufsize=_BUFFER_BYTES, format=tarfile.PAX_FORMAT
        ) as archive,
    ):
        for folder in folders:
            _add_folder(archive, wave.parent / "files", folder)


def unpack_archives(staging: Path) -> None:
    """Put back what the archives of the waves below ``staging`` hold; they go.

    Of an archive that cannot be read nothing comes: its mini-batches are found to be lost later.
    Raises OSError if the disk fails.
    """
    for archive in sorted(staging.glob(f"wave-*/{ARCHIVE_NAME}")):
        unpacked = tempfile.mkdtemp(prefix=".files.", suffix=".tmp", dir=staging)
        try:
            extract_archive(str(archive), unpacked)
            for attempt in Path(unpacked).glob("*/*"):
                place = staging / "files" / attempt.relative_to(unpacked)
                place.parent.mkdir(parents=True, exist_ok=True)
                attempt.rename(place)
        except (StorageError, tarfile.TarError, EOFError):
            pass
        except OSError as error:
            if error.errno in _DISK_FAILED:
                raise
        finally:
            shutil.rmtree(unpacked, ignore_errors=True)
        archive.unlink(missing_ok=True)


def _iter_folders(wave: Path) -> Iterator[str]:
    """The attempts' folders that a wave's outcomes name, relative to that of all."""
    for file in wave_files(wave):
        with suppress(PublishError, MessageError):  # a damaged file: what it holds is scored again
            for outcome in read_outcomes([file]):
                yield from map(name_script_folder, outcome.folders)


def _add_folder(archive: tarfile.TarFile, root: Path, name: str) -> None:
    if not (root / name).is_dir():
        return  # what is lost here is found to be lost there too

    def refuse(error: OSError) -> None:
        raise error

    _add(archive, name, tarfile.DIRTYPE)
    for parent, folders, names in os.walk(root / name, onerror=refuse):
        folders.sort()
        for entry in sorted(names):
            path = Path(parent, entry)
            if path.is_symlink() or not path.is_file():
                continue
            with open(path, "rb", opener=open_plain) as content:
                member = path.relative_to(root).as_posix()
                _add(archive, member, tarfile.REGTYPE, content)


def _add(archive: tarfile.TarFile, name: str, kind: bytes, content: Any = None) -> None:
    member = tarfile.TarInfo(name)
    member.type, member.mode = kind, 0o755 if content is None else 0o644
    if content is not None:
        status = os.fstat(content.fileno())
        member.size, member.mtime = status.st_size, status.st_mtime
    archive.addfile(member, content)
