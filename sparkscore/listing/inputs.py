"""Lists an input, wherever it is. Any process."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

from sparkscore.errors import EmptyInputError, InputNotFoundError, InvalidFieldError
from sparkscore.listing.columns import FileColumns
from sparkscore.listing.local import LocalInput
from sparkscore.listing.location import find_local_path
from sparkscore.listing.store import StoreInput
from sparkscore.messages.mini_batch import DIRECT, FETCH


@dataclass(frozen=True)
class Listing:
    """The files of an input, sorted by path (by the bytes of its UTF-8 form).

    ``files`` has the columns path (relative to ``root``, forward slashes), size and etag.
    ``transport`` is direct where workers can open ``root`` as a local path, fetch otherwise.
    ``skipped_hidden_count`` counts files and folders whose name starts with ``.`` or ``_``; what
    such a folder holds is not counted, nor what lies behind the last file of a limited listing.
    """

    root: str
    files: pa.Table
    skipped_hidden_count: int
    transport: str


def list_inputs(uri: str, *, limit: int | None = None) -> Listing:
    """The files at ``uri``: one file, a local folder or any fsspec URI, folders with all below.

    ``limit`` keeps the first files by path. Raises InputNotFoundError, EmptyInputError,
    MissingDependencyError, or PlanError with the condition INPUT_NOT_READABLE,
    INPUT_NAME_NOT_UTF8 or INPUT_NOT_SUPPORTED.
    """
    if limit is not None and limit < 1:
        raise InvalidFieldError(f"limit is {limit}: it must be at least 1", field="limit")
    source = _open_input(uri)
    columns = FileColumns(uri)
    skipped_hidden_count = source.list_files(columns, limit=limit)
    files = columns.to_table()
    if files.num_rows == 0:
        raise _empty_input(uri, skipped_hidden_count=skipped_hidden_count)
    transport = DIRECT if isinstance(source, LocalInput) else FETCH
    return Listing(source.root, files, skipped_hidden_count, transport)


def check_input(uri: str) -> None:
    """Raises what ``list_inputs`` would for an input that is missing, unreadable or empty.

    Looks no further than the first file.
    """
    source = _open_input(uri)
    skipped_hidden_count = source.skip_to_file()
    if skipped_hidden_count is not None:
        raise _empty_input(uri, skipped_hidden_count=skipped_hidden_count)


def _open_input(uri: str) -> LocalInput | StoreInput:
    if not uri.strip():
        raise InputNotFoundError("the input is an empty path: name a file, a folder or a URI")
    path = find_local_path(uri)
    return StoreInput(uri) if path is None else LocalInput(path)


def _empty_input(uri: str, *, skipped_hidden_count: int) -> EmptyInputError:
    hidden = (
        f" ({skipped_hidden_count} hidden names, starting with '.' or '_', were skipped)"
        if skipped_hidden_count
        else ""
    )
    return EmptyInputError(
        f"input {uri} holds no files{hidden}: nothing to score",
        uri=uri,
        skipped_hidden=skipped_hidden_count,
    )
