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
    what: str = "model"

    @property
    def base_name(self) -> str:
        return self.uri.rstrip("/").rpartition("/")[2]


def read_listing(uri: str, options: Mapping[str, str], *, what: str = "model") -> RemoteContent:
    """What stands at a URI; ``what`` it is to be, model or code, is said in errors.

    Raises UnresolvedReferenceError (MODEL_NOT_FOUND, MODEL_NOT_FETCHED, and so on).
    """
    with _reading(uri, what=what):
        store, path = open_store(uri, options)
        store.invalidate_cache()
        info = store.info(path)
        is_folder = info["type"] == "directory"
        found = store.find(path, detail=True) if is_folder else {path: info}
    files = {_below(name, path, is_folder=is_folder): info for name, info in found.items()}
    lines = [
        f"{name}\0{info.get('size')}\0{get_etag(info)}" for name, info in sorted(files.items())
    ]
    digest = hash_text(*lines)
    return RemoteContent(uri, is_folder, tuple(sorted(files)), digest, dict(options), what)


def read_text(content: RemoteContent, path: str) -> str:
    """One small file of a folder as text."""
    with _reading(content.uri, what=content.what):
        store, root = open_store(content.uri, content.options)
        raw: bytes = store.cat_file(f"{root}/{path}")
        return raw.decode("utf-8", errors="replace")


def fetch(content: RemoteContent, folder: Path) -> Path:
    """Download the files below ``folder``; returns the path of the file or folder there."""
    target = folder / content.base_name
    with _reading(content.uri, what=content.what):
        store, root = open_store(content.uri, content.options)
        for path in content.paths:
            _refuse_outside(path, content)
            local = target / path if content.is_folder else target
            local.parent.mkdir(parents=True, exist_ok=True)
            store.get_file(f"{root}/{path}" if content.is_folder else root, str(local))
    return target


def _below(name: str, root: str, *, is_folder: bool) -> str:
    return name.removeprefix(f"{root}/") if is_folder else root.rpartition("/")[2]


def _refuse_outside(path: str, content: RemoteContent) -> None:
    """Stores may hold names that no folder of this machine should get."""
    if ".." in path.split("/"):
        raise UnresolvedReferenceError(
            f"{content.what} {content.uri} holds the name {path!r}, which leaves its folder: "
            "rename it",
            condition=f"{content.what.upper()}_NOT_FETCHED",
            reference=content.uri,
        )


@contextmanager
def _reading(uri: str, *, what: str) -> Iterator[Any]:
    try:
        yield
    except SparkscoreError:
        raise
    except FileNotFoundError as error:
        raise UnresolvedReferenceError(
            f"{what} {uri} does not exist: check the URI",
            condition=f"{what.upper()}_NOT_FOUND",
            reference=uri,
        ) from error
    except Exception as error:
        raise UnresolvedReferenceError(
            f"{what} {uri} cannot be fetched: {describe_error(error)}; check the URI and the "
            "credentials",
            condition=f"{what.upper()}_NOT_FETCHED",
            reference=uri,
        ) from error
