"""Downloads a file or a whole folder from a store, hidden names included. Any process."""

from __future__ import annotations

import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

from sparkscore.errors import PlanError
from sparkscore.listing.columns import FileColumns
from sparkscore.listing.filters import NameFilter
from sparkscore.listing.location import not_readable
from sparkscore.listing.store import StoreInput
from sparkscore.listing.web import WebInput
from sparkscore.storage import child_path, fetch_file, is_web, open_store

FILE_TIMEOUT_SECONDS = 3600.0
_FETCHES_AT_ONCE = 8


def fetch_tree(uri: str, destination: str, *, options: Mapping[str, str] | None = None) -> None:
    """Downloads the file ``uri`` to the path ``destination``, or what a folder holds below it.

    Raises what ``list_inputs`` raises, and PlanError (UNSAFE_NAME) for a name that would leave
    the folder.
    """
    store, path = open_store(uri, options)
    kind = WebInput if is_web(store) else StoreInput
    source = kind(uri, store, path, NameFilter(skips_hidden=False))
    columns = FileColumns(uri)
    source.list_files(columns, limit=None)
    names: list[str] = columns.to_table()["path"].to_pylist()
    targets = [os.path.join(destination, name) for name in map(_checked, names)]
    if not source.is_folder:
        targets = [destination]
    root = open_store(source.root, options)[1]

    def fetch(name: str, target: str) -> None:
        os.makedirs(os.path.dirname(target), exist_ok=True)
        path = child_path(store, root, name)
        try:
            fetch_file(store, path, target, timeout_seconds=FILE_TIMEOUT_SECONDS)
        except Exception as error:
            # The cause's text may hold credentials.
            raise not_readable(uri, error, path=path) from None

    with ThreadPoolExecutor(_FETCHES_AT_ONCE) as pool:
        list(pool.map(fetch, names, targets))


def _checked(name: str) -> str:
    if any(part in ("", ".", "..") for part in name.split("/")):
        raise PlanError(
            f"the store's name {name!r} is no relative path: rename it",
            condition="UNSAFE_NAME",
            path=name,
        )
    return name
