"""Files of this machine by content: what an upload or a registered model consists of.

Control plane.
"""

from __future__ import annotations

import glob
import hashlib
import os
import platform
import secrets
import shutil
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sparkscore.errors import UnresolvedReferenceError

_CHUNK_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True)
class ContentFile:
    """A file: its path below the root with forward slashes, or the name of a root that is one."""

    path: str
    size: int
    modified_ns: int


@dataclass(frozen=True)
class LocalContent:
    """The files of a folder, or the one file that ``root`` is, sorted by path.

    ``digest`` (SHA-256, hexadecimal) covers paths and bytes, not times, nor a folder's own name.
    """

    root: Path
    files: tuple[ContentFile, ...]
    digest: str

    @property
    def is_folder(self) -> bool:
        return self.root.is_dir()

    @property
    def byte_count(self) -> int:
        return sum(file.size for file in self.files)

    def locate(self, file: ContentFile) -> Path:
        """Where one of the files is."""
        return self.root / file.path if self.is_folder else self.root

    def check_unchanged(self) -> None:
        """Raise UnresolvedReferenceError if a file was written since it was read."""
        for file in self.files:
            status = self.locate(file).stat()
            if (status.st_size, status.st_mtime_ns) != (file.size, file.modified_ns):
                raise UnresolvedReferenceError(
                    f"{self.locate(file)} changed while it was copied: try again once it is "
                    "complete",
                    condition="CONTENT_CHANGED",
                    path=str(self.locate(file)),
                )


def read_content(root: Path, *, names: Iterable[str] | None = None) -> LocalContent:
    """The content of a file or folder, links followed; reads every byte.

    ``names`` limits it to some files below a folder. Raises UnresolvedReferenceError
    (CONTENT_NOT_READABLE) for what cannot be read.
    """
    digest = hashlib.sha256()
    files = []
    try:
        for name in sorted(_iter_names(root) if names is None else names):
            path = root / name if root.is_dir() else root
            status = path.stat()
            if not stat.S_ISREG(status.st_mode):
                continue
            files.append(ContentFile(name, status.st_size, status.st_mtime_ns))
            digest.update(f"{name}\0{status.st_size}\0{hash_file(path)}\n".encode())
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        place = getattr(error, "filename", None) or root
        raise UnresolvedReferenceError(
            f"{place} cannot be read: {reason}",
            condition="CONTENT_NOT_READABLE",
            path=os.fspath(place),
        ) from error
    return LocalContent(root, tuple(files), digest.hexdigest())


def _iter_names(root: Path) -> Iterator[str]:
    if not root.is_dir():
        yield root.name
        return
    start = os.path.realpath(root)
    for folder, folders, names in os.walk(start, followlinks=True, onerror=_raise):
        real = os.path.realpath(folder)
        if real != folder and (folder + os.sep).startswith(real + os.sep):
            folders.clear()  # a link to a folder that it is in
            continue
        for name in names:
            yield Path(folder, name).relative_to(start).as_posix()


def _raise(error: OSError) -> None:
    raise error


def hash_file(path: Path) -> str:
    """The SHA-256 of a file's bytes, hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def hash_text(*parts: str) -> str:
    """The SHA-256 of texts, hexadecimal; where one ends and the next begins counts."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


@contextmanager
def unfinished_folder(parent: Path) -> Iterator[Path]:
    """A new folder in ``parent`` to fill; afterwards it is gone, unless it was renamed.

    What killed processes of this machine left there is removed.
    """
    parent.mkdir(parents=True, exist_ok=True)
    prefix = f".unfinished-{platform.node()}-"
    for stale in parent.glob(f"{glob.escape(prefix)}*"):
        if not _is_running(stale.name.removeprefix(prefix).partition("-")[0]):
            shutil.rmtree(stale, ignore_errors=True)
    folder = parent / f"{prefix}{os.getpid()}-{secrets.token_hex(4)}"
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def rename_once(source: Path, destination: Path) -> None:
    """Rename a complete folder; if somebody else was first, theirs stays."""
    try:
        os.rename(source, destination)
    except OSError:
        if not destination.exists():
            raise


def _is_running(process_id: str) -> bool:
    try:
        os.kill(int(process_id), 0)
    except (ValueError, OverflowError, ProcessLookupError):
        return False
    except PermissionError:
        return True
    return True
