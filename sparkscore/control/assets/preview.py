"""A look at registered data: a few of its files, and how the first one begins. Control plane.

Reads no more than the beginning of files, and lists no more than MAX_LISTED of them, whatever the
asset has. Names that jobs skip are skipped here too.
"""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from sparkscore.control.access.places import admit
from sparkscore.control.assets.browsing import Browser, FoundFile, has_hidden_part
from sparkscore.control.assets.data import FILE
from sparkscore.control.assets.resolve import resolve_uri
from sparkscore.control.jobs.parquet_rows import read_parquet_head
from sparkscore.errors import NotFoundError, SparkscoreError, StorageError
from sparkscore.listing.location import find_local_path
from sparkscore.storage import describe_error

if TYPE_CHECKING:
    from sparkscore.control.assets.entities import DataAsset
    from sparkscore.control.workspace import Workspace

MAX_LISTED = 1000
MAX_ROWS = 20
MAX_COLUMNS = 50
MAX_IMAGE_BYTES = 10 * 1024**2

_HEAD_BYTES = 64 * 1024
_MAX_CELL = 200
_MAX_TEXT = 4000
_IMAGES = {
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"GIF8": "image/gif",
    b"BM": "image/bmp",
}


@dataclass(frozen=True)
class Preview:
    """``files`` are the first ones by path; ``is_whole``: there are no others.

    ``columns`` and ``rows`` are the beginning of the first file where that is a table, ``text`` is
    where it is another text; ``shown`` is that file's path.
    """

    files: tuple[FoundFile, ...]
    is_whole: bool
    shown: str | None = None
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    text: str | None = None

    @property
    def byte_count(self) -> int:
        """Of the files that are listed."""
        return sum(file.byte_count for file in self.files)

    @property
    def images(self) -> list[FoundFile]:
        """Those that look like images."""
        return [file for file in self.files if file.is_image]


@dataclass(frozen=True)
class Image:
    """The bytes of a picture and what kind it is, told from the bytes."""

    content: bytes
    media_type: str


def preview_data(workspace: Workspace, asset: DataAsset) -> Preview:
    """Look at data. Raises StorageError (DATA_NOT_READABLE) and what opening a store does."""
    try:
        place = _open(workspace, asset)
        files = place.list_files(MAX_LISTED + 1)
        return _add_beginning(place, tuple(files[:MAX_LISTED]), is_whole=len(files) <= MAX_LISTED)
    except SparkscoreError:
        raise
    except Exception as error:
        raise _not_readable(asset, error) from error


def read_image(workspace: Workspace, asset: DataAsset, path: str) -> Image:
    """One picture of a data asset, at most MAX_IMAGE_BYTES.

    Raises NotFoundError (IMAGE_NOT_FOUND) if there is none of that path.
    """
    parts = path.split("/")
    is_below = not ({"", ".", ".."} & set(parts) or "\0" in path or "\\" in path)
    is_shown = is_below and not has_hidden_part(path)
    content = b""
    if is_shown:
        try:
            content = _open(workspace, asset).read_head(path, MAX_IMAGE_BYTES + 1)
        except (OSError, ValueError):
            content = b""
        except SparkscoreError:
            raise
        except Exception as error:
            raise _not_readable(asset, error) from error
    media_type = find_media_type(content)
    if media_type is None or len(content) > MAX_IMAGE_BYTES:
        raise NotFoundError(
            f"data {asset.name} has no picture {path!r} of at most {MAX_IMAGE_BYTES:,} bytes",
            condition="IMAGE_NOT_FOUND",
            path=path,
        )
    return Image(content, media_type)


def is_far(workspace: Workspace, asset: DataAsset) -> bool:
    """Whether the data are in a store, so that a look at them may take long.

    Raises NotFoundError for a datastore that is not there.
    """
    found = resolve_uri(workspace, asset.reference, base=workspace.folder)
    return find_local_path(found.uri) is None


def _open(workspace: Workspace, asset: DataAsset) -> Browser:
    found = resolve_uri(workspace, asset.reference, base=workspace.folder)
    options = dict(found.options)
    if find_local_path(found.uri) is None:
        options |= admit(workspace, found.uri)
    return Browser(found.uri, options, is_file=asset.type == FILE)


def find_media_type(content: bytes) -> str | None:
    """What kind of picture bytes are; None for anything else, SVG too, which may hold scripts."""
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "image/webp"
    return next((kind for start, kind in _IMAGES.items() if content.startswith(start)), None)


def _add_beginning(place: Browser, files: tuple[FoundFile, ...], *, is_whole: bool) -> Preview:
    """With the first rows, or letters, of the first file that has some."""
    for file in files[:10]:
        found = _read_beginning(place, file)
        if found is not None:
            columns, rows, text = found
            return Preview(files, is_whole, file.path, columns, rows, text)
    return Preview(files, is_whole)


_Beginning = tuple[tuple[str, ...], tuple[tuple[str, ...], ...], str | None]


def _read_beginning(place: Browser, file: FoundFile) -> _Beginning | None:
    if file.is_image or not file.byte_count:
        return None
    suffix = PurePosixPath(file.path.lower()).suffix
    if suffix in (".parquet", ".pq"):
        return _read_parquet(place, file)
    text = _decode(place.read_head(file.path, _HEAD_BYTES))
    if text is None:
        return None
    if suffix in (".csv", ".tsv"):
        return _read_csv(text, separator="\t" if suffix == ".tsv" else ",")
    if suffix in (".jsonl", ".ndjson"):
        return _read_json_lines(text)
    return (), (), text[:_MAX_TEXT]


def _decode(head: bytes) -> str | None:
    """The text that bytes are; None if they are none. A letter cut in two at the end is left."""
    if b"\0" in head:
        return None
    for cut in range(4):
        try:
            return head[: len(head) - cut].decode("utf-8-sig")
        except UnicodeDecodeError:
            continue
    return None


def _whole_lines(text: str) -> list[str]:
    """The first lines; not the last one where it may have been cut."""
    lines = text.splitlines(keepends=True)
    is_cut = len(text.encode()) >= _HEAD_BYTES - 4 and len(lines) > 1
    return lines[:-1] if is_cut else lines


def _read_csv(text: str, *, separator: str) -> _Beginning:
    try:
        found = []
        for row in csv.reader(_whole_lines(text), delimiter=separator):
            found.append(row)
            if len(found) > MAX_ROWS:
                break
    except csv.Error:
        return (), (), text[:_MAX_TEXT]
    header, *rows = found or [[]]
    return tuple(header[:MAX_COLUMNS]), tuple(_cut(row) for row in rows), None


def _read_json_lines(text: str) -> _Beginning:
    rows = []
    for line in _whole_lines(text)[:MAX_ROWS]:
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            return (), (), text[:_MAX_TEXT]
        rows.append(row if isinstance(row, dict) else {"value": row})
    return _tabulate(rows)


def _read_parquet(place: Browser, file: FoundFile) -> _Beginning | None:
    with place.open(file.path) as stream:
        found = read_parquet_head(stream, count=MAX_ROWS)
    rows = tuple(tuple(_render_cell(cell) for cell in row) for row in found["rows"])
    return tuple(found["columns"]), rows, None


def _tabulate(rows: list[dict[str, Any]]) -> _Beginning:
    names = list(dict.fromkeys(name for row in rows for name in row))[:MAX_COLUMNS]
    return tuple(names), tuple(_cut([row.get(name) for name in names]) for row in rows), None


def _cut(values: list[Any]) -> tuple[str, ...]:
    return tuple(_render_cell(value) for value in values[:MAX_COLUMNS])


def _render_cell(value: Any) -> str:
    if value is None:
        return ""
    text = value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)
    return text if len(text) <= _MAX_CELL else f"{text[:_MAX_CELL]}…"


def _not_readable(asset: DataAsset, error: Exception) -> StorageError:
    return StorageError(
        f"data {asset.name} version {asset.version} cannot be read at {asset.path}: "
        f"{describe_error(error)}",
        condition="DATA_NOT_READABLE",
        name=asset.name,
        version=asset.version,
    )
