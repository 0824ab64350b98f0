"""Lists files of object stores and other fsspec file systems. Any process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import fsspec
from fsspec.registry import known_implementations, registry

from sparkscore.errors import MissingDependencyError, PlanError
from sparkscore.listing.columns import FileColumns
from sparkscore.listing.location import HIDDEN_PREFIXES, get_scheme, not_found, not_readable

_PACKAGES = {
    "abfs": "adlfs",
    "abfss": "adlfs",
    "adl": "adlfs",
    "az": "adlfs",
    "gcs": "gcsfs",
    "gs": "gcsfs",
    "s3": "s3fs",
    "s3a": "s3fs",
}

_ETAG_KEYS = ("ETag", "etag")
_TIME_KEYS = ("mtime", "LastModified", "last_modified", "updated", "modified", "created")


class StoreInput:
    """A file or folder behind an fsspec URI; ``root`` is the folder's URI."""

    def __init__(self, uri: str) -> None:
        self._uri = uri
        self._store, path = _open_store(uri)
        self._path = path.rstrip("/")
        self._is_folder = self._find_kind() == "directory"
        self.root = uri.rstrip("/") if self._is_folder else uri.rpartition("/")[0]

    def list_files(self, columns: FileColumns, *, limit: int | None) -> int:
        """Appends the first ``limit`` files by path; returns how many hidden names it skipped."""
        hidden = set()
        visible = {}
        for path, info in self._find_files().items():
            hidden_name = _find_hidden(path) if self._is_folder else None
            if hidden_name is None:
                visible[path] = info
            else:
                hidden.add(hidden_name)
        for path in sorted(visible)[:limit]:
            columns.append(path, int(visible[path].get("size") or 0), get_etag(visible[path]))
        return len(hidden)

    def skip_to_file(self) -> int | None:
        """None if there is a file to score, else how many hidden names there are."""
        if not self._is_folder:
            return None
        skipped_hidden_count = 0
        with self._reading():
            for _, folders, files in self._store.walk(self._path, on_error="raise"):
                if any(not name.startswith(HIDDEN_PREFIXES) for name in files):
                    return None
                visible = [name for name in folders if not name.startswith(HIDDEN_PREFIXES)]
                skipped_hidden_count += len(files) + len(folders) - len(visible)
                folders[:] = visible
        return skipped_hidden_count

    def _find_files(self) -> dict[str, dict[str, Any]]:
        if not self._is_folder:
            name = self._uri.rpartition("/")[2]
            return {name: self._info}
        prefix = f"{self._path}/"
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
            raise not_readable(self._uri, error, path=self._path) from error


def get_etag(info: dict[str, Any]) -> str:
    """The store's etag of a file, else ``<size>-<mtime>`` as the store tells it."""
    for key in _ETAG_KEYS:
        if info.get(key):
            return str(info[key]).strip('"')
    modified = next((info[key] for key in _TIME_KEYS if info.get(key) is not None), "")
    if isinstance(modified, datetime):
        modified = modified.isoformat()
    return f"{info.get('size') or 0}-{modified}"


def _find_hidden(path: str) -> str | None:
    """The path up to its first hidden name, None if no name in it is hidden."""
    parts = path.split("/")
    for depth, part in enumerate(parts, start=1):
        if part.startswith(HIDDEN_PREFIXES):
            return "/".join(parts[:depth])
    return None


def _open_store(uri: str) -> tuple[Any, str]:
    """The file system of a URI, and the URI's path there."""
    if "::" in uri:
        raise PlanError(
            f"input {uri} chains file systems with '::': name the files where they lie",
            condition="INPUT_NOT_SUPPORTED",
            uri=uri,
        )
    try:
        store, path = fsspec.core.url_to_fs(uri)
    except ImportError as error:
        raise _missing_file_system(uri, error) from error
    except Exception as error:
        if _is_known(get_scheme(uri)):
            raise not_readable(uri, error, path=uri) from error
        raise _missing_file_system(uri, error) from error
    return store, str(path)


def _is_known(scheme: str) -> bool:
    return scheme in known_implementations or scheme in registry


def _missing_file_system(uri: str, error: Exception) -> MissingDependencyError:
    scheme = get_scheme(uri)
    package = _PACKAGES.get(scheme)
    if package is not None:
        problem = (
            f"the scheme {scheme!r} needs a package that is missing; run: pip install {package}"
        )
    elif isinstance(error, ImportError):
        advice = known_implementations.get(scheme, {}).get("err") or error
        problem = f"the scheme {scheme!r} needs a package that is missing; {advice}"
    else:
        problem = (
            f"no installed file system knows the scheme {scheme!r}; use a local path, s3://, "
            "abfss://, gs:// or https://, or install the fsspec package that provides it"
        )
    return MissingDependencyError(
        f"input {uri}: {problem}", uri=uri, scheme=scheme, package=package
    )
