"""Packs sparkscore itself for Pythons that do not have it. Control plane."""

from __future__ import annotations

import importlib.resources
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from importlib.abc import Traversable

_EARLIEST = (1980, 1, 1, 0, 0, 0)
"""The oldest date that a zip can hold: equal sources give equal bytes."""


def write_packages(file: Path) -> None:
    """Write a zip with the sources of sparkscore, to be put on a Python path."""
    root = importlib.resources.files("sparkscore")
    with zipfile.ZipFile(file, "w") as packages:
        for name, source in _iter_sources(root, name="sparkscore"):
            info = zipfile.ZipInfo(name, date_time=_EARLIEST)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = 0o644 << 16
            packages.writestr(info, source.read_bytes())


def _iter_sources(folder: Traversable, *, name: str) -> Iterator[tuple[str, Traversable]]:
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        path = f"{name}/{entry.name}"
        if entry.is_dir() and entry.name != "__pycache__":
            yield from _iter_sources(entry, name=path)
        elif entry.is_file() and not entry.name.endswith(".pyc"):
            yield path, entry
