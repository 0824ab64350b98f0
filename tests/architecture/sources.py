"""Where the repository's own source files are, for the checks of this folder."""

from __future__ import annotations

import ast
import subprocess
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "sparkscore"


def module_paths(folder: Path = PACKAGE) -> list[Path]:
    return sorted(folder.rglob("*.py"))


def relative_name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def package_of(path: Path) -> str:
    """``spec`` for sparkscore/spec/fields.py, ``errors`` for sparkscore/errors.py."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def iter_repository_files() -> Iterator[Path]:
    """Every file that is tracked or would be if it were added now."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True).stdout
    for name in sorted(set(listed.decode().split("\0"))):
        path = ROOT / name
        if name and path.is_file():
            yield path
