"""Describes files of an input that are named already: nothing is looked for. Any process."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from sparkscore.listing.columns import FileColumns
from sparkscore.listing.inputs import Listing
from sparkscore.listing.location import find_local_path, not_readable
from sparkscore.messages.mini_batch import DIRECT, FETCH
from sparkscore.storage import child_path, get_etag, is_web, open_store

GONE = "gone"
"""The etag of a named file that is not there; with one, a worker looks whether it is there."""

_REQUESTS_AT_ONCE = 16
_BLOCK_COUNT = 1024


def list_named(
    root: str,
    paths: Iterable[str],
    *,
    options: Mapping[str, str] | None = None,
    check: Callable[[], None] = lambda: None,
) -> Listing:
    """These files below the folder ``root``, each once, in path order, whatever became of them.

    ``options`` are those of ``storage.open_store``. A file that is gone stays in the listing, with
    the etag GONE. ``check`` is called for each file: what it raises ends the listing. Raises
    PlanError (INPUT_NOT_READABLE) or what ``storage.open_store`` raises.
    """
    columns = FileColumns(root, check=check)
    names = sorted(set(paths))
    local = find_local_path(root)
    if local is None:
        found = _iter_in_store(root, names, options or {})
    else:
        found = (_describe_local(local, name) for name in names)
    for name, (size, etag) in zip(names, found, strict=True):
        columns.append(name, size, etag)
    return Listing(
        root=root if local is None else local,
        files=columns.to_table(),
        skipped_hidden_count=0,
        transport=FETCH if local is None else DIRECT,
    )


def _describe_local(root: str, name: str) -> tuple[int, str]:
    """Size and etag, as ``listing.local`` has them."""
    path = os.path.join(root, name)
    try:
        status = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return 0, "" if os.path.islink(path) else GONE
    except OSError as error:
        raise not_readable(root, error, path=path) from error
    if not stat.S_ISREG(status.st_mode):
        return 0, GONE
    return status.st_size, f"{status.st_size}-{status.st_mtime_ns}"


def _iter_in_store(
    root: str, names: list[str], options: Mapping[str, str]
) -> Iterator[tuple[int, str]]:
    store, folder = open_store(root, options)
    store.invalidate_cache()
    with ThreadPoolExecutor(_REQUESTS_AT_ONCE) as pool:
        for start in range(0, len(names), _BLOCK_COUNT):
            block = names[start : start + _BLOCK_COUNT]
            yield from pool.map(lambda name: _describe_stored(root, store, folder, name), block)


def _describe_stored(root: str, store: Any, folder: str, name: str) -> tuple[int, str]:
    path = child_path(store, folder, name)
    try:
        info = store.info(path)
    except (FileNotFoundError, NotADirectoryError):
        return 0, GONE
    except Exception as error:
        if is_web(store):
            return 0, ""  # as in a listing: it fails, by name, when it is scored
        # The cause's text may hold credentials.
        raise not_readable(root, error, path=path) from None
    if info.get("type") == "directory" or str(info.get("url") or "").endswith("/"):
        return 0, GONE
    return int(info.get("size") or 0), get_etag(info)
