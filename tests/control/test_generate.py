"""The built-in scoring script as a file of the user's own."""

from __future__ import annotations

import ast
from collections.abc import Callable
from pathlib import Path

import pytest

from sparkscore.control.generate import generate_script
from sparkscore.control.scoring_script import check_scoring_script
from sparkscore.errors import AlreadyExistsError, OutputNotWritableError


def test_generate_script__can_be_a_scoring_script(
    tmp_path: Path, in_folder: Callable[[], Path]
) -> None:
    current = in_folder()
    file = generate_script(Path("score.py"))
    assert file == current / "score.py"
    check_scoring_script(current, scoring_script="score.py")


def test_generate_script__imports_what_a_script_host_has(tmp_path: Path) -> None:
    tree = ast.parse(generate_script(tmp_path / "score.py").read_text())
    modules = [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    ours = [module for module in modules if module.startswith("sparkscore")]
    assert [module for module in ours if not module.startswith("sparkscore.executor")] == []


def test_generate_script__never_overwrites(tmp_path: Path) -> None:
    (tmp_path / "score.py").write_text("mine")
    with pytest.raises(AlreadyExistsError):
        generate_script(tmp_path / "score.py")
    assert (tmp_path / "score.py").read_text() == "mine"


def test_generate_script__folder_missing(tmp_path: Path) -> None:
    with pytest.raises(OutputNotWritableError):
        generate_script(tmp_path / "nope" / "score.py")
