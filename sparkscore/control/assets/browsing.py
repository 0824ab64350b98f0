"""The first files of a folder, wherever it is, and how they begin. Control plane.

For pages that show a few of them: it never lists more than it is asked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import PurePosixPath
from typing import Any

from sparkscore.storage import child_path, open_store

_HIDDEN = (".", "_")
_IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".gif", ".bmp", ".webp"})


@dataclass(frozen=True)
class FoundFile:
    """A file; ``path`` is below the folder, or the name of the one file."""

    path: str
    byte_count: int

    @property
    def is_image(self) -> bool:
        """Whether its name says so."""
        return PurePosixPath(self.path.lower()).suffix in _IMAGE_SUFFIXES


class Browser:
    """The files below ``uri``, or the one that it is. Its calls raise what the store raises."""

    def __init__(
        self, uri: str, options: Mapping[str, str], *, is_file: bool, shows_hidden: bool = False
    ) -> None:
        self._is_file, self._shows_hidden = is_file, shows_hidden
        self._filesystem, self._root = open_store(uri, options)

    def list_files(self, count: int) -> list[FoundFile]:
        """At most ``count`` files, folder by folder, by name."""
        return list(islice(self._iter_files(), count))

    def open(self, path: str) -> Any:
        """A file's bytes, as a stream to read and close."""
        is_root = self._is_file
        place = self._root if is_root else child_path(self._filesystem, self._root, path)
        return self._filesystem.open(place, "rb")

    def read_head(self, path: str, count: int) -> bytes:
        """The first bytes of a file."""
        with self.open(path) as stream:
            head: bytes = stream.read(count)
            return head

    def _iter_files(self) -> Iterator[FoundFile]:
        if self._is_file:
            info = self._filesystem.info(self._root)
            yield FoundFile(PurePosixPath(self._root).name, int(info.get("size") or 0))
            return
        root = self._root.rstrip("/")
        for folder, folders, files in self._filesystem.walk(root, detail=True, on_error="raise"):
            for name in [name for name in folders if self._skips(name)]:
                del folders[name]
            below = str(folder).rstrip("/")[len(root) :].strip("/")
            for name in sorted(files):
                if name and not self._skips(name):
                    path = f"{below}/{name}" if below else name
                    yield FoundFile(path, int(files[name].get("size") or 0))

    def _skips(self, name: str) -> bool:
        return not self._shows_hidden and has_hidden_part(name)


def has_hidden_part(path: str) -> bool:
    """Whether jobs skip this path, because a part of it begins with a dot or an underscore."""
    return any(part.startswith(_HIDDEN) for part in path.split("/"))
