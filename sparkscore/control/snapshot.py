"""Copies of a deployment's code and model that a job keeps, and their digest. Control plane."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

JOBS_FOLDER = "sparkscore-jobs"
"""Where one-shot runs keep their job folders; never part of a code folder."""

LARGE_FILE_BYTES = 16 * 1024 * 1024
"""From here on size and modification time stand for a model file's content in the digest."""

_SKIPPED_NAMES = frozenset({"__pycache__", JOBS_FOLDER})


def copy_code(source: Path, destination: Path, *, excluded: tuple[Path, ...] = ()) -> None:
    """Copy a code folder, links followed; hidden names and ``excluded`` folders are left out."""
    skipped = {os.path.realpath(path) for path in excluded}

    def ignore(folder: str, names: list[str]) -> list[str]:
        return [name for name in names if _is_skipped(os.path.join(folder, name), skipped)]

    shutil.copytree(source, destination, ignore=ignore, ignore_dangling_symlinks=True)


def _is_skipped(path: str, skipped: set[str]) -> bool:
    name = os.path.basename(path)
    if name.startswith(".") or name in _SKIPPED_NAMES:
        return True
    real = os.path.realpath(path)
    if real in skipped:
        return True
    if os.path.islink(path) and (os.path.dirname(path) + os.sep).startswith(real + os.sep):
        return True
    try:
        mode = os.stat(path).st_mode
    except OSError:
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def link_model(source: Path, destination: Path) -> None:
    """Hard-link a model's file or folder, or copy what cannot be linked."""
    if source.is_dir():
        shutil.copytree(source, destination, copy_function=_link_or_copy)
    else:
        _link_or_copy(str(source), str(destination))


def copy_model(source: Path, destination: Path) -> None:
    """Copy a model's file or folder."""
    copy: Callable[..., object] = shutil.copytree if source.is_dir() else shutil.copy2
    copy(source, destination)


def _link_or_copy(source: str, destination: str) -> None:
    try:
        os.link(os.path.realpath(source), destination)
    except OSError:
        shutil.copy2(source, destination)


def get_digest(*, model: Path, code: Path | None, settings: str) -> str:
    """A digest of what decides how a job scores; script hosts are cached by it."""
    digest = hashlib.sha256(settings.encode())
    for root in (model, code):
        if root is not None:
            for file in _iter_files(root):
                digest.update(_describe(file, root=root))
    return digest.hexdigest()


def _iter_files(root: Path) -> Iterator[Path]:
    if root.is_dir():
        yield from sorted(
            path
            for path in root.rglob("*")
            if path.is_file() and "__pycache__" not in path.relative_to(root).parts
        )
    else:
        yield root


def _describe(file: Path, *, root: Path) -> bytes:
    status = file.stat()
    name = file.relative_to(root.parent).as_posix()
    if status.st_size >= LARGE_FILE_BYTES:
        return f"\0{name}\0{status.st_size}\0{status.st_mtime_ns}".encode()
    content = hashlib.sha256(file.read_bytes()).hexdigest()
    return f"\0{name}\0{status.st_size}\0{content}".encode()
