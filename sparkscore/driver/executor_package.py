"""The zip with what runs on executors: they need nothing of ours installed. Spark driver."""

from __future__ import annotations

import importlib.resources
import zipfile
from pathlib import Path
from typing import Any

_PARTS = ("executor", "messages", "storage")
_MODULES = ("__init__.py", "errors.py")


def write_executor_package(folder: Path) -> Path:
    """Write the zip into ``folder``; the same bytes for the same modules."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "sparkscore-executor.zip"
    package = importlib.resources.files("sparkscore")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in _MODULES:
            _add(archive, package / name, f"sparkscore/{name}")
        for part in _PARTS:
            for file in sorted((package / part).iterdir(), key=lambda file: file.name):
                if file.name.endswith(".py"):
                    _add(archive, file, f"sparkscore/{part}/{file.name}")
    return path


def _add(archive: zipfile.ZipFile, file: Any, name: str) -> None:
    archive.writestr(zipfile.ZipInfo(name), file.read_bytes())
