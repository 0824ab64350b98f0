"""Lists local files in path order without holding the tree in memory. Any process."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice

from sparkscore.errors import PlanError
from sparkscore.listing.columns import FileColumns
from sparkscore.listing.filters import NameFilter, Skipped
from sparkscore.listing.location import not_found, not_readable


class LocalInput:
    """A local file or folder; ``root`` is the folder that all paths are relative to."""

    def __init__(self, path: str, names: NameFilter) -> None:
        self._path, self._names = path, names
        self._is_folder = stat.S_ISDIR(_get_mode(path))
        self.root = path if self._is_folder else os.path.dirname(path)

    def list_files(self, columns: FileColumns, *, limit: int | None) -> Skipped:
        """Appends the first ``limit`` files by path; returns how many names it skipped."""
        tree = _Tree(self.root, self._names)
        found = tree.iter_files() if self._is_folder else tree.iter_file(self._path)
        paths = (path for path in found if _append_file(columns, self.root, path))
        for _ in islice(paths, limit):
            pass
        return tree.skipped

    def skip_to_file(self) -> Skipped | None:
        """None if there is a file to score, else how many names were skipped."""
        tree = _Tree(self.root, self._names, is_sorted=False)
        found = tree.iter_files() if self._is_folder else tree.iter_file(self._path)
        for path in found:
            if _find_stat(os.path.join(self.root, path)) is not None:
                return None
        return tree.skipped


@dataclass
class _Folder:
    prefix: str
    identity: tuple[int, int]
    names: Iterator[str]


@dataclass
class _Tree:
    """A folder with all below, walked depth first. Folder names end with a slash.

    Names sorted with that slash are in the order of the whole paths. A link to a folder is
    followed unless it leads back to a folder that it lies in.
    """

    root: str
    names: NameFilter
    is_sorted: bool = True
    skipped: Skipped = field(default_factory=Skipped)
    _open_folders: list[_Folder] = field(default_factory=list)

    def iter_file(self, path: str) -> Iterator[str]:
        """The one file that the input is, unless a pattern leaves it out."""
        return self._filtered(iter([os.path.basename(path)]))

    def iter_files(self) -> Iterator[str]:
        """The files that are taken, in path order."""
        return self._filtered(self._walk())

    def _filtered(self, paths: Iterator[str]) -> Iterator[str]:
        for path in paths:
            if self.names.takes(path):
                yield path
            else:
                self.skipped.filtered += 1

    def _walk(self) -> Iterator[str]:
        self._enter("")
        while self._open_folders:
            folder = self._open_folders[-1]
            for name in folder.names:
                if name.endswith("/"):
                    if not self.names.enters(folder.prefix + name):
                        continue
                    self._enter(folder.prefix + name)
                    break
                yield folder.prefix + name
            else:
                self._open_folders.pop()

    def _enter(self, prefix: str) -> None:
        path = os.path.join(self.root, prefix)
        with self._reading(path):
            status = os.stat(path)
        identity = (status.st_dev, status.st_ino)
        if any(folder.identity == identity for folder in self._open_folders):
            return
        names = self._iter_names(path)
        self._open_folders.append(
            _Folder(prefix, identity, iter(sorted(names)) if self.is_sorted else names)
        )

    def _iter_names(self, path: str) -> Iterator[str]:
        with self._reading(path), os.scandir(path) as entries:
            for entry in entries:
                name = entry.name
                if self.names.hides(name):
                    self.skipped.hidden += 1
                else:
                    yield f"{name}/" if _is_folder(entry) else name

    @contextmanager
    def _reading(self, path: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise not_readable(self.root, error, path=path) from error


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False  # a link that leads nowhere is a file that cannot be read


def _append_file(columns: FileColumns, root: str, path: str) -> bool:
    status = _find_stat(f"{root}/{path}")
    if status is None:
        return False
    columns.append(path, status[0], status[1])
    return True


def _find_stat(path: str) -> tuple[int, str] | None:
    """Size and etag; None for what is no file (pipes, sockets, devices) or is gone by now.

    A broken link stays an input, without an etag: it fails when it is scored, named and counted.
    """
    try:
        status = os.stat(path)
    except OSError as error:
        if os.path.islink(path):
            return 0, ""
        if isinstance(error, FileNotFoundError):
            return None
        raise not_readable(os.path.dirname(path), error, path=path) from error
    if not stat.S_ISREG(status.st_mode):
        return None
    return status.st_size, f"{status.st_size}-{status.st_mtime_ns}"


def _get_mode(path: str) -> int:
    """The mode of the input itself, which must be a folder or a file that can be read."""
    try:
        mode = os.stat(path).st_mode
    except (FileNotFoundError, NotADirectoryError, ValueError) as error:
        raise not_found(path, nearest=_find_parent(path)) from error
    except OSError as error:
        raise not_readable(path, error, path=path) from error
    if not stat.S_ISDIR(mode) and not stat.S_ISREG(mode):
        raise PlanError(
            f"input {path} is neither a file nor a folder: name one of them",
            condition="INPUT_NOT_SUPPORTED",
            uri=path,
        )
    if not os.access(path, os.R_OK, effective_ids=os.access in os.supports_effective_ids):
        raise not_readable(path, PermissionError("permission denied"), path=path)
    return mode


def _find_parent(path: str) -> str | None:
    parent = os.path.dirname(path)
    while parent != os.path.dirname(parent) and not os.path.exists(parent):
        parent = os.path.dirname(parent)
    return parent
