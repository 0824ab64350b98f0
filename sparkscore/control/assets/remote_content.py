"""Files in a store by their listing, and their copies on this machine. Control plane."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sparkscore.control.assets.content import hash_text
from sparkscore.errors import SparkscoreError, UnresolvedReferenceError
from sparkscore.storage import describe_error, get_etag, open_store


@dataclass(frozen=True)
class RemoteContent:
    """The files at a URI, by path below it (the name of the one file that it is).

    ``digest`` covers paths, sizes and etags: it changes when a file is replaced.
    """

    uri: str
    is_folder: bool
    paths: tuple[str, ...]
    digest: str
    options: dict[str, str] = field(default_factory=dict)

    @property
    def base_name(self) -> str:
        return self.uri.rstrip("/").rpartition("/")[2]


def read_listing(uri: str, options: Mapping[str, str]) -> RemoteContent:
    """What stands at a URI; raises UnresolvedReferenceError (MODEL_NOT_FOUND, ..._NOT_FETCHED)."""
    with _reading(uri):
        store, path = open_store(uri, options)
        store.invalidate_cache()
        info = store.info(path)
        is_folder = info["type"] == "directory"
        found = store.find(path, detail=True) if is_folder else {path: info}
    files = {_below(name, path, is_folder=is_folder): info for name, info in found.items()}
    lines = [
        f"{name}\0{info.get('size')}\0{get_etag(info)}" for name, info in sorted(files.items())
    ]
    return RemoteContent(uri, is_folder, tuple(sorted(files)), hash_text(*lines), dict(options))


def read_text(content: RemoteContent, path: str) -> str:
    """One small file of a folder as text."""
    with _reading(content.uri):
        store, root = open_store(content.uri, content.options)
        raw: bytes = store.cat_file(f"{root}/{path}")
        return raw.decode("utf-8", errors="replace")


def fetch(content: RemoteContent, folder: Path) -> Path:
    """Download the files below ``folder``; returns the path of the file or folder there."""
    target = folder / content.base_name
    with _reading(content.uri):
        store, root = open_store(content.uri, content.options)
        for path in content.paths:
            local = target / path if content.is_folder else target
            local.parent.mkdir(parents=True, exist_ok=True)
            store.get_file(f"{root}/{path}" if content.is_folder else root, str(local))
    return target


def _below(name: str, root: str, *, is_folder: bool) -> str:
    return name.removeprefix(f"{root}/") if is_folder else root.rpartition("/")[2]


@contextmanager
def _reading(uri: str) -> Iterator[Any]:
    try:
        yield
    except SparkscoreError:
        raise
    except FileNotFoundError as error:
        raise UnresolvedReferenceError(
            f"model {uri} does not exist: check the URI",
            condition="MODEL_NOT_FOUND",
            reference=uri,
        ) from error
    except Exception as error:
        raise UnresolvedReferenceError(
            f"model {uri} cannot be fetched: {describe_error(error)}; check the URI and the "
            "credentials",
            condition="MODEL_NOT_FETCHED",
            reference=uri,
        ) from error
