"""The files of registered code, one by one, for people who look at them. Control plane."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sparkscore.control.assets.entities import CodeAsset
from sparkscore.control.scoring_script import check_scoring_script, find_in_folder
from sparkscore.errors import NotFoundError, UnresolvedReferenceError

MAX_FILES = 2_000
"""How many files are looked at; code folders have a few dozen."""

SHOWN_BYTES = 200_000
_MOST_SCRIPT_BYTES = 4 * 1024**2
"""Longer files are no scripts of people: they are not read to find that out."""
_SUFFIX = ".py"


@dataclass(frozen=True)
class CodeFile:
    """A file; ``path`` is below the code folder, with forward slashes."""

    path: str
    byte_count: int


@dataclass(frozen=True)
class CodeText:
    """What a file says; ``is_cut`` if it goes on. ``text`` is None for what is no UTF-8 text."""

    path: str
    byte_count: int
    text: str | None
    is_cut: bool


def list_code_files(code: CodeAsset) -> list[CodeFile]:
    """At most MAX_FILES of its files by path; none where the copy is not on this machine."""
    found = []
    for path in _iter_paths(code.path):
        found.append(CodeFile(path.relative_to(code.path).as_posix(), path.stat().st_size))
        if len(found) == MAX_FILES:
            break
    return sorted(found, key=lambda file: file.path)


def list_scripts(code: CodeAsset) -> list[str]:
    """Paths of its Python files: first those that have ``init`` and ``run``, then the others."""
    names = [file.path for file in list_code_files(code) if file.path.endswith(_SUFFIX)]
    return sorted(names, key=lambda name: (not _can_score(code.path, name), name.count("/"), name))


def find_script(code: CodeAsset) -> str | None:
    """The one Python file that can be its scoring script; None if there are several, or none."""
    fitting = [name for name in list_scripts(code) if _can_score(code.path, name)]
    return fitting[0] if len(fitting) == 1 else None


def read_code_file(code: CodeAsset, name: str, *, max_bytes: int = SHOWN_BYTES) -> CodeText:
    """The first ``max_bytes`` of a file as text.

    Raises NotFoundError (CODE_FILE_NOT_FOUND) for what is no file of the code.
    """
    file = None if "\0" in name else find_in_folder(code.path, name=name)
    if file is None:
        raise NotFoundError(
            f"code {code.name} version {code.version} has no file {name!r}",
            condition="CODE_FILE_NOT_FOUND",
            name=name,
        )
    with file.open("rb") as stream:
        content = stream.read(max_bytes)
    size = file.stat().st_size
    return CodeText(name, size, _decode(content, is_cut=size > max_bytes), size > max_bytes)


def _iter_paths(folder: Path) -> Iterator[Path]:
    for root, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            path = Path(root, name)
            if path.is_file():
                yield path


def _can_score(folder: Path, name: str) -> bool:
    try:
        if os.path.getsize(folder / name) > _MOST_SCRIPT_BYTES:
            return False
        check_scoring_script(folder, scoring_script=name)
    except (UnresolvedReferenceError, OSError):
        return False
    return True


def _decode(content: bytes, *, is_cut: bool) -> str | None:
    """A letter that the cut went through is left out."""
    if b"\0" in content:
        return None
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        cut_letter = is_cut and error.end == len(content) and len(content) - error.start < 4
        return content[: error.start].decode("utf-8-sig") if cut_letter else None
