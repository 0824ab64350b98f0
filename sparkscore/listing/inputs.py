"""Lists an input, wherever it is. Any process."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa

from sparkscore.errors import EmptyInputError, InputNotFoundError, InvalidFieldError
from sparkscore.listing.columns import FileColumns
from sparkscore.listing.filters import NameFilter, Skipped, split_glob
from sparkscore.listing.local import LocalInput
from sparkscore.listing.location import find_local_path
from sparkscore.listing.store import StoreInput
from sparkscore.listing.web import WebInput
from sparkscore.messages.mini_batch import DIRECT, FETCH
from sparkscore.storage import get_scheme, is_web, open_store


@dataclass(frozen=True)
class Listing:
    """The files of an input, sorted by path (by the bytes of its UTF-8 form).

    ``files`` has the columns path (relative to ``root``, forward slashes), size and etag.
    ``transport`` is direct where workers can open ``root`` as a local path, fetch otherwise.
    ``skipped_hidden_count`` counts files and folders whose name starts with ``.`` or ``_``,
    ``skipped_filtered_count`` files that a glob, include or exclude pattern left out. What a folder
    holds that was not entered is not counted, nor what lies behind the last file of a limited
    listing.
    """

    root: str
    files: pa.Table
    skipped_hidden_count: int
    transport: str
    skipped_filtered_count: int = 0


def list_inputs(
    uri: str,
    *,
    limit: int | None = None,
    options: Mapping[str, str] | None = None,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    check: Callable[[], None] = lambda: None,
) -> Listing:
    """The files at ``uri``: a file, a folder with all below, or a glob; locally or in a store.

    ``options`` are those of ``storage.open_store``; ``include`` and ``exclude`` are patterns of
    paths relative to the folder (see ``listing.filters``). ``limit`` keeps the first files by
    path. ``check`` is called for each file: what it raises ends the listing.

    Raises InputNotFoundError, EmptyInputError, MissingDependencyError, or PlanError with the
    condition INPUT_NOT_READABLE, INPUT_NAME_NOT_UTF8, INPUT_NOT_SUPPORTED or one of
    ``storage.open_store``.
    """
    if limit is not None and limit < 1:
        raise InvalidFieldError(f"limit is {limit}: it must be at least 1", field="limit")
    source = _open_input(uri, options or {}, include=include, exclude=exclude)
    columns = FileColumns(uri, check=check)
    skipped = source.list_files(columns, limit=limit)
    files = columns.to_table()
    if files.num_rows == 0:
        raise _empty_input(uri, skipped)
    return Listing(
        root=source.root,
        files=files,
        skipped_hidden_count=skipped.hidden,
        transport=DIRECT if isinstance(source, LocalInput) else FETCH,
        skipped_filtered_count=skipped.filtered,
    )


def check_input(
    uri: str,
    *,
    options: Mapping[str, str] | None = None,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
) -> None:
    """Raises what ``list_inputs`` would for an input that is missing, unreadable or empty.

    Looks no further than the first file.
    """
    skipped = _open_input(uri, options or {}, include=include, exclude=exclude).skip_to_file()
    if skipped is not None:
        raise _empty_input(uri, skipped)


def find_input_folder(path: str) -> str:
    """The local folder or file that an input ``path`` starts from: before its first glob."""
    split = None if os.path.lexists(path) else split_glob(path)
    return path if split is None else split[0]


def _open_input(
    uri: str, options: Mapping[str, str], *, include: Sequence[str], exclude: Sequence[str]
) -> LocalInput | StoreInput | WebInput:
    if not uri.strip():
        raise InputNotFoundError("the input is an empty path: name a file, a folder or a URI")
    path = find_local_path(uri)
    if path is None:
        return _open_remote(uri, options, include=include, exclude=exclude)
    split = None if os.path.lexists(path) else split_glob(path)
    folder, glob = split or (path, "")
    return LocalInput(folder, NameFilter(glob=glob, include=include, exclude=exclude))


def _open_remote(
    uri: str, options: Mapping[str, str], *, include: Sequence[str], exclude: Sequence[str]
) -> StoreInput | WebInput:
    """What a store holds under exactly this name wins over its reading as a glob."""
    store, path = open_store(uri, options)
    kind = WebInput if is_web(store) else StoreInput
    host, slash, rest = uri.partition("://")[2].partition("/")
    split = split_glob(f"/{rest}", magic="*" if get_scheme(uri) in ("http", "https") else "*?[")
    if split is not None and (kind is WebInput or not store.exists(path)):
        folder = f"{uri.partition('://')[0]}://{host}{slash}{split[0].lstrip('/')}".rstrip("/")
        store, path = open_store(folder, options)
        names = NameFilter(glob=split[1], include=include, exclude=exclude)
        return kind(f"{folder}/" if kind is WebInput else folder, store, path, names)
    return kind(uri, store, path, NameFilter(include=include, exclude=exclude))


def _empty_input(uri: str, skipped: Skipped) -> EmptyInputError:
    reasons = []
    if skipped.hidden:
        reasons.append(f"{skipped.hidden} hidden names, starting with '.' or '_', were skipped")
    if skipped.filtered:
        reasons.append(f"{skipped.filtered} files were left out by patterns")
    why = f" ({'; '.join(reasons)})" if reasons else ""
    return EmptyInputError(
        f"input {uri} holds no files{why}: nothing to score",
        uri=uri,
        skipped_hidden=skipped.hidden,
        skipped_filtered=skipped.filtered,
    )
