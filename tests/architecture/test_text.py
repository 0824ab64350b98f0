"""What must not stand in any file of the repository."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.architecture.sources import ROOT, iter_repository_files, relative_name

# Each pattern is written so that it does not match itself.
FORBIDDEN = {
    "a path of one machine": r"(?<![\w.}/$-])/(?:wor[k]|roo[t]|tmp/w)/",
    "the host of a package registry": (
        r"pypi\.org|pythonhosted\.org|crates\.io|registry\.npmjs|maven\.(?:org|apache)"
        r"|deb\.debian\.org|proxy\.golang\.org"
    ),
    "a note to self": r"\b(?:TO[D]O|FIX[M]E|XX[X])\b",
    "an unfinished function": r"raise NotImplemented[E]rror",
    "a test that may not run": r"pytest\.(?:ski[p]|importorski[p])|mark\.ski[p]",
    "a mock": r"unittest\.moc[k]|MagicMoc[k]|\bmocke[r]\b",
}


def read_text(path: Path) -> str | None:
    """The file's text, or None if it is not UTF-8 text."""
    content = path.read_bytes()
    if b"\0" in content:
        return None
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return None


@pytest.mark.parametrize("what", FORBIDDEN)
def test_text__is_free_of(what: str) -> None:
    found = [
        f"{relative_name(path)}:{number}: {line.strip()[:100]}"
        for path in iter_repository_files()
        for number, line in enumerate((read_text(path) or "").splitlines(), start=1)
        if re.search(FORBIDDEN[what], line)
    ]
    assert found == []


@pytest.mark.parametrize(
    ("what", "line", "matches"),
    [
        ("a path of one machine", "see " + "/wor" + "k/main", True),
        ("a path of one machine", "$SPARK_HOME/wor" + "k/app-1", False),
        ("a note to self", "# TO" + "DO later", True),
        ("the host of a package registry", "https://py" + "pi.org/simple", True),
        ("the host of a package registry", "from PyPI", False),
    ],
)
def test_forbidden__examples(what: str, line: str, matches: bool) -> None:
    assert bool(re.search(FORBIDDEN[what], line)) == matches


def test_scripts__are_executable_and_strict() -> None:
    golden = ROOT / "tests" / "golden"
    files = [path for path in iter_repository_files() if golden not in path.parents]
    scripts = [path for path in files if path.read_bytes()[:2] == b"#!"]
    shell = [path for path in scripts if b"bash" in path.read_bytes().partition(b"\n")[0]]
    assert ROOT / ".ci" / "run" in shell
    assert [relative_name(path) for path in scripts if not path.stat().st_mode & 0o100] == []
    assert [
        relative_name(path) for path in shell if "set -euo pipefail" not in (read_text(path) or "")
    ] == []


def test_make__without_target_explains_every_target() -> None:
    make = shutil.which("make")
    assert make is not None
    done = subprocess.run([make], cwd=ROOT, capture_output=True, text=True, check=True)
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = re.findall(r"^\.PHONY: (\S+)$", makefile, re.MULTILINE)
    assert [line.split()[0] for line in done.stdout.splitlines()] == targets
    assert all(len(line.split()) > 1 for line in done.stdout.splitlines())
