"""Receives the files of an upload and writes them to disk as they come. Control plane.

Nothing is kept in memory but names: a folder may have many files, and each may be big.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Literal

from python_multipart import MultipartParser
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import parse_options_header

from sparkscore.errors import EmptyInputError, InvalidFieldError, RequestError

Kind = Literal["folder", "file", "zip"]

_MAX_NAME_BYTES = 2048
_MAX_PART_BYTES = 255
_ESCAPES = {"%22": '"', "%0D": "\r", "%0A": "\n"}
"""How browsers write these letters in the name of a file."""

_OUTSIDE = re.compile(r"[^A-Za-z0-9._-]+")
_NAMELESS = "upload"


@dataclass(frozen=True)
class Received:
    """What arrived: ``path`` is a folder or a file, ``name`` what it shall be called."""

    path: Path
    name: str


@dataclass
class _Part:
    headers: dict[bytes, bytes] = field(default_factory=dict)
    header_name: bytes = b""
    header_value: bytes = b""
    sink: BinaryIO | None = None


class Receiver:
    """Takes the body of a form with files piece by piece: ``write`` for each, then ``finish``.

    Use it as a context: files are closed at its end. ``folder`` is an empty folder. Raises
    RequestError (MALFORMED_BODY, TOO_MANY_FILES) and InvalidFieldError (INVALID_FILE_NAME).
    """

    def __init__(self, content_type: str, folder: Path, *, kind: Kind, max_files: int) -> None:
        media_type, options = parse_options_header(content_type)
        if media_type != b"multipart/form-data" or not options.get(b"boundary"):
            raise _malformed("it is no form with files")
        self._root = folder / "received"
        self._root.mkdir()
        self._kind, self._max_files = kind, max_files
        self._names: list[str] = []
        self._part = _Part()
        self._is_complete = False
        callbacks = {
            "on_part_begin": self._begin_part,
            "on_header_field": self._add_header_name,
            "on_header_value": self._add_header_value,
            "on_header_end": self._end_header,
            "on_headers_finished": self._open_file,
            "on_part_data": self._write_data,
            "on_part_end": self._end_part,
            "on_end": self._end,
        }
        try:
            self._parser = MultipartParser(options[b"boundary"], callbacks)  # type: ignore[arg-type]
        except FormParserError as error:
            raise _malformed(str(error)) from error

    def __enter__(self) -> Receiver:
        return self

    def __exit__(self, *reason: object) -> None:
        self._end_part()

    def write(self, piece: bytes) -> None:
        """Take the next bytes of the body."""
        try:
            self._parser.write(piece)
        except FormParserError as error:
            raise _malformed(str(error)) from error

    def finish(self) -> Received:
        """What has arrived. Raises EmptyInputError (EMPTY_UPLOAD) if that is no file."""
        if not self._is_complete:
            raise _malformed("it ends in the middle")
        if not self._names:
            raise EmptyInputError(
                "no file was chosen: choose one, or a folder that holds some",
                condition="EMPTY_UPLOAD",
            )
        if self._kind != "folder":
            name = self._names[0]
            return Received(self._root / name, _make_name(name.removesuffix(self._get_suffix())))
        tops = {name.partition("/")[0] for name in self._names}
        is_one = len(tops) == 1 and all("/" in name for name in self._names)
        top = tops.pop() if is_one else ""
        return Received(self._root / top, _make_name(top))

    def _get_suffix(self) -> str:
        return ".zip" if self._kind == "zip" else ""

    def _begin_part(self) -> None:
        self._part = _Part()

    def _add_header_name(self, data: bytes, start: int, end: int) -> None:
        self._part.header_name += data[start:end]

    def _add_header_value(self, data: bytes, start: int, end: int) -> None:
        self._part.header_value += data[start:end]

    def _end_header(self) -> None:
        part = self._part
        part.headers[part.header_name.lower()] = part.header_value
        part.header_name = part.header_value = b""

    def _open_file(self) -> None:
        """Fields that are no files are passed over: the choice of none is one with no name."""
        _, options = parse_options_header(self._part.headers.get(b"content-disposition", b""))
        if not options.get(b"filename"):
            return
        name = check_file_name(options[b"filename"])
        if self._kind != "folder":
            name = name.rpartition("/")[2]
        limit = self._max_files if self._kind == "folder" else 1
        if len(self._names) >= limit:
            raise RequestError(
                f"the upload has more than {limit:,} file{'' if limit == 1 else 's'}: "
                + ("send several, or a zip file" if limit > 1 else "choose one, or a folder"),
                condition="TOO_MANY_FILES",
                limit=limit,
            )
        self._names.append(name)
        self._part.sink = _create(self._root, name)

    def _write_data(self, data: bytes, start: int, end: int) -> None:
        if self._part.sink is not None:
            self._part.sink.write(memoryview(data)[start:end])

    def _end_part(self) -> None:
        if self._part.sink is not None:
            self._part.sink.close()
            self._part.sink = None

    def _end(self) -> None:
        self._is_complete = True


def check_file_name(raw: bytes) -> str:
    """The name of a file below its folder, with forward slashes.

    Raises InvalidFieldError (INVALID_FILE_NAME) for one that leaves its folder or is no text.
    """
    try:
        name = raw.decode()
    except UnicodeDecodeError as error:
        raise _refuse_name(repr(raw), "is not UTF-8") from error
    for written, letter in _ESCAPES.items():
        name = name.replace(written, letter)
    parts = name.split("/")
    if "\\" in name or "\0" in name or {"", ".", ".."} & set(parts):
        raise _refuse_name(repr(name), "leaves its folder")
    too_long = any(len(part.encode()) > _MAX_PART_BYTES for part in parts)
    if too_long or len(raw) > _MAX_NAME_BYTES:
        raise _refuse_name(repr(f"{name[:60]}..."), "is too long")
    return name


def _create(root: Path, name: str) -> BinaryIO:
    target = root.joinpath(*name.split("/"))
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        return target.open("xb")
    except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
        raise _refuse_name(repr(name), "is there twice, or as a file and as a folder") from error


def _make_name(text: str) -> str:
    """What text says as the name of an asset may be written."""
    return _OUTSIDE.sub("-", text).strip("-._")[:100] or _NAMELESS


def _refuse_name(name: str, problem: str) -> InvalidFieldError:
    return InvalidFieldError(
        f"the file name {name} {problem}: rename the file",
        condition="INVALID_FILE_NAME",
        value=name,
    )


def _malformed(reason: str) -> RequestError:
    return RequestError(f"the upload cannot be read: {reason}", condition="MALFORMED_BODY")
