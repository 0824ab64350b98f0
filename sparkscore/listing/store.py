"""Lists files of object stores and other fsspec file systems. Any process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sparkscore.listing.filters import NameFilter, Skipped
from sparkscore.listing.location import not_found, not_readable
from sparkscore.storage import get_etag

if TYPE_CHECKING:
    from sparkscore.listing.columns import FileColumns


class StoreInput:
    """A file or folder behind an fsspec URI; ``root`` is the folder's URI."""

    def __init__(self, uri: str, store: Any, path: str, names: NameFilter) -> None:
        self._uri, self._store, self._path, self._names = uri, store, path, names
        self.is_folder = self._find_kind() == "directory"
        self.root = uri.rstrip("/") if self.is_folder else uri.rpartition("/")[0]

    def list_files(self, columns: FileColumns, *, limit: int | None) -> Skipped:
        """Appends the first ``limit`` files by path; returns how many names it skipped."""
        hidden, filtered, taken = set(), 0, {}
        for path, info in self._find_files().items():
            hidden_name = self._names.find_hidden(path) if self.is_folder else None
            if not self._names.enters(_folder_of(hidden_name or path)):
                continue
            if hidden_name is not None:
                hidden.add(hidden_name)
            elif self._names.takes(path):
                taken[path] = info
            else:
                filtered += 1
        for path in sorted(taken)[:limit]:
            columns.append(path, int(taken[path].get("size") or 0), get_etag(taken[path]))
        return Skipped(len(hidden), filtered)

    def skip_to_file(self) -> Skipped | None:
        """None if there is a file to score, else how many names were skipped."""
        if not self.is_folder:
            is_taken = self._names.takes(self._path.rpartition("/")[2])
            return None if is_taken else Skipped(filtered=1)
        skipped = Skipped()
        with self._reading():
            for folder, folders, files in self._store.walk(self._path, on_error="raise"):
                prefix = f"{folder.strip('/')}/".removeprefix(f"{self._path.strip('/')}/")
                if self._skip(prefix, folders, files, skipped):
                    return None
        return skipped

    def _skip(self, prefix: str, folders: list[str], files: list[str], skipped: Skipped) -> bool:
        """Whether a folder has a file to score; takes out what is not to be walked."""
        visible = [name for name in files if not self._names.hides(name)]
        if any(self._names.takes(prefix + name) for name in visible):
            return True
        entered = [name for name in folders if not self._names.hides(name)]
        skipped.filtered += len(visible)
        skipped.hidden += len(files) - len(visible) + len(folders) - len(entered)
        folders[:] = [name for name in entered if self._names.enters(f"{prefix}{name}/")]
        return False

    def _find_files(self) -> dict[str, dict[str, Any]]:
        if not self.is_folder:
            return {self._path.rpartition("/")[2]: self._info}
        prefix = f"{self._path.rstrip('/')}/"
        with self._reading():
            found = self._store.find(self._path, detail=True)
        return {
            path.removeprefix(prefix): info
            for path, info in found.items()
            if info.get("type") == "file" and not path.endswith("/")
        }

    def _find_kind(self) -> str:
        """``file`` or ``directory``; what an earlier listing of this process saw is forgotten."""
        self._store.invalidate_cache()
        with self._reading():
            self._info = self._store.info(self._path)
        return str(self._info["type"])

    def _find_parent(self) -> str | None:
        path = self._path
        while "/" in path.strip("/"):
            path = path.rpartition("/")[0]
            if self._store.exists(path):
                return str(self._store.unstrip_protocol(path))
        return None

    @contextmanager
    def _reading(self) -> Iterator[None]:
        """Every store has errors of its own; what is not "missing" is unreadable."""
        try:
            yield
        except (FileNotFoundError, NotADirectoryError) as error:
            raise not_found(self._uri, nearest=self._find_parent()) from error
        except Exception as error:
            # The cause's text may hold credentials.
            raise not_readable(self._uri, error, path=self._path) from None


def _folder_of(path: str) -> str:
    """``a/b/`` for ``a/b/c``, nothing for a name at the top."""
    return path[: path.rfind("/") + 1]
