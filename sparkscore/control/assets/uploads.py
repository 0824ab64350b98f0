"""Copies what callers from elsewhere send into the default datastore. Control plane.

A folder comes as a zip file. It is unpacked with nothing in it that could leave its folder or fill
the disk, and lies then in the datastore by its content: the same folder twice is stored once.
"""

from __future__ import annotations

import os
import shutil
import stat
import zipfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from sparkscore.control.assets.content import (
    LocalContent,
    read_content,
    rename_once,
    unfinished_folder,
)
from sparkscore.control.assets.data import UPLOAD_FOLDER
from sparkscore.control.assets.naming import check_asset_name
from sparkscore.control.assets.upload import upload_content
from sparkscore.errors import EmptyInputError, InvalidFieldError
from sparkscore.storage import is_uri, join_uri

if TYPE_CHECKING:
    from sparkscore.control.workspace import Workspace

MAX_FILES = 1_000_000
MAX_RATIO = 200
"""How many times bigger than the zip file its content may be."""

_SMALL_BYTES = 64 * 1024**2
_CHUNK_BYTES = 1024**2


@dataclass(frozen=True)
class Upload:
    """What was uploaded; ``path`` is how jobs, models, code and data name it."""

    name: str
    path: str
    file_count: int
    byte_count: int

    def to_dict(self) -> dict[str, Any]:
        """What the server answers."""
        return {
            "name": self.name,
            "path": self.path,
            "file_count": self.file_count,
            "byte_count": self.byte_count,
        }


def store_upload(workspace: Workspace, file: Path, *, name: str, is_archive: bool) -> Upload:
    """Put what was received, or the folder that a zip file holds, into the default datastore.

    ``file`` may be a folder of received files.

    Raises InvalidFieldError (INVALID_ASSET_NAME, ARCHIVE_NOT_READABLE, ARCHIVE_REFUSED),
    EmptyInputError (EMPTY_UPLOAD) or StorageError (UPLOAD_FAILED).
    """
    check_asset_name(name, what="name")
    with unfinished_folder(file.parent) as unfinished:
        root = unfinished / name
        if is_archive:
            unpack(file, root)
        else:
            os.rename(file, root)
        content = read_content(root)
        if not content.files:
            raise EmptyInputError(
                f"upload {name} holds no file: send the files of a folder",
                condition="EMPTY_UPLOAD",
                name=name,
            )
        return _store(workspace, content, name=name)


def _store(workspace: Workspace, content: LocalContent, *, name: str) -> Upload:
    datastore = workspace.datastores.get_default()
    kind = "folder" if content.is_folder else "file"
    below = f"{UPLOAD_FOLDER}/{content.digest}-{kind}/{name}"
    if is_uri(datastore.uri):
        upload_content(content, join_uri(datastore.uri, below), datastore.options)
    else:
        target = Path(datastore.uri, below)
        target.parent.parent.mkdir(parents=True, exist_ok=True)
        if not target.exists():
            # Whole or not at all, whoever else sends the same.
            with unfinished_folder(target.parent.parent) as unfinished:
                shutil.move(content.root, unfinished / name)
                target.parent.mkdir(exist_ok=True)
                rename_once(unfinished / name, target)
    return Upload(
        name=name,
        path=f"azureml://datastores/{datastore.name}/paths/{below}",
        file_count=len(content.files),
        byte_count=sum(file.size for file in content.files),
    )


def unpack(file: Path, folder: Path) -> None:
    """Unpack a zip file into a new folder; see ``store_upload`` for what it raises."""
    folder.mkdir()
    try:
        with zipfile.ZipFile(file) as archive:
            members = [member for member in archive.infolist() if not member.is_dir()]
            _check_members(members, file.stat().st_size)
            for member in members:
                _extract(archive, member, folder)
    except (zipfile.BadZipFile, NotImplementedError, EOFError, UnicodeError) as error:
        raise InvalidFieldError(
            f"the upload is no zip file that can be read: {error}",
            condition="ARCHIVE_NOT_READABLE",
        ) from error


def _check_members(members: list[zipfile.ZipInfo], archive_bytes: int) -> None:
    if len(members) > MAX_FILES:
        raise _refused(f"holds more than {MAX_FILES:,} files: send several")
    total = sum(member.file_size for member in members)
    if total > max(archive_bytes * MAX_RATIO, _SMALL_BYTES):
        raise _refused(f"unpacks to {total:,} bytes, more than {MAX_RATIO} times its size")
    names = set()
    for member in members:
        _check_member(member)
        if member.filename in names:
            raise _refused(f"holds {member.filename!r} twice")
        names.add(member.filename)


def _check_member(member: zipfile.ZipInfo) -> None:
    name = member.filename
    path = PurePosixPath(name)
    parts = name.split("/")
    if path.is_absolute() or "\\" in name or "\0" in name or {"", ".", ".."} & set(parts):
        raise _refused(f"holds the name {name!r}, which leaves its folder")
    mode = member.external_attr >> 16
    if mode and not stat.S_ISREG(mode) and stat.S_IFMT(mode):
        raise _refused(f"holds {name!r}, which is a link or a device: send files only")
    if member.flag_bits & 0x1:
        raise _refused(f"holds {name!r}, which is encrypted")


def _extract(archive: zipfile.ZipFile, member: zipfile.ZipInfo, folder: Path) -> None:
    """Write one file; no more than it said, whatever it holds."""
    target = folder.joinpath(*member.filename.split("/"))
    left = member.file_size
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with archive.open(member) as source, target.open("xb") as sink:
            while chunk := source.read(_CHUNK_BYTES):
                left -= len(chunk)
                if left < 0:
                    raise _refused(f"holds {member.filename!r}, which is bigger than it says")
                sink.write(chunk)
    except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
        raise _refused(f"holds {member.filename!r} as a file and as a folder") from error


def _refused(problem: str) -> InvalidFieldError:
    return InvalidFieldError(f"the upload {problem}", condition="ARCHIVE_REFUSED")
