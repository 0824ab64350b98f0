"""Every package says where it runs, and modules have names that say something."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.architecture.sources import PACKAGE, module_paths, parse, relative_name

PROCESSES = {
    "errors": "every process",
    "messages": "any process",
    "storage": "any process",
    "executor": "python worker",
    "spec": "any process",
    "listing": "any process",
    "plan": "any process",
    "driver": "spark driver",
    "targets": "control plane",
    "state": "control plane",
    "control": "control plane",
    "rest": "control plane",
    "studio": "control plane",
    "cli": "control plane",
}
EMPTY_NAMES = {"util", "utils", "common", "helper", "helpers", "manager", "misc"}


def first_line(path: Path) -> str:
    docstring = ast.get_docstring(parse(path)) or ""
    return docstring.partition("\n")[0].lower()


def find_packages() -> list[str]:
    folders = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    modules = {path.stem for path in PACKAGE.glob("*.py")} - {"__init__"}
    return sorted(folders | modules)


@pytest.mark.parametrize("package", find_packages())
def test_package__names_its_process_first(package: str) -> None:
    module = PACKAGE / f"{package}.py"
    path = module if module.exists() else PACKAGE / package / "__init__.py"
    assert PROCESSES[package] in first_line(path)


@pytest.mark.parametrize("path", module_paths(), ids=relative_name)
def test_module__has_a_docstring(path: Path) -> None:
    assert first_line(path)


def test_folders__are_packages() -> None:
    folders = {path.parent for path in module_paths()}
    assert [folder for folder in folders if not (folder / "__init__.py").exists()] == []


def test_modules__have_telling_names() -> None:
    names = {relative_name(path): {path.stem, path.parent.name} for path in module_paths()}
    assert [name for name, parts in names.items() if parts & EMPTY_NAMES] == []


def test_package__ships_its_types() -> None:
    assert (PACKAGE / "py.typed").is_file()
