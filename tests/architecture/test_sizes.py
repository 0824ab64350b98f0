"""Short modules, short functions, and syntax that the oldest Python understands."""

from __future__ import annotations

import ast
import builtins
import statistics
from collections.abc import Iterator
from pathlib import Path
from typing import TypeGuard

import pytest

from tests.architecture.sources import PACKAGE, ROOT, module_paths, package_of, parse, relative_name

MODULE_LINES = 400
FUNCTION_LINES = 60
MEDIAN_FUNCTION_LINES = 10

SOURCES = [
    path
    for folder in ("sparkscore", "jobs", "conf", "benchmarks")
    for path in module_paths(ROOT / folder)
]
OLD_PYTHON = [
    path
    for path in module_paths()
    if package_of(path) in {"errors", "messages", "executor", "storage"}
]
EACH_SOURCE = pytest.mark.parametrize("path", SOURCES, ids=relative_name)
EACH_OLD_PYTHON_SOURCE = pytest.mark.parametrize("path", OLD_PYTHON, ids=relative_name)

Function = ast.FunctionDef | ast.AsyncFunctionDef


def iter_functions(path: Path) -> Iterator[Function]:
    for node in ast.walk(parse(path)):
        if isinstance(node, Function):
            yield node


def code_lines(function: Function) -> int:
    """Lines of a function without its decorators and docstring."""
    lines = (function.end_lineno or 0) - function.lineno + 1
    if ast.get_docstring(function) is not None:
        docstring = function.body[0]
        lines -= (docstring.end_lineno or 0) - docstring.lineno + 1
    return lines


@EACH_SOURCE
def test_module__is_short(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MODULE_LINES


@EACH_SOURCE
def test_functions__are_short(path: Path) -> None:
    long = {
        f"{relative_name(path)}:{function.lineno} {function.name}": code_lines(function)
        for function in iter_functions(path)
        if code_lines(function) > FUNCTION_LINES
    }
    assert long == {}


def test_functions__are_very_short_as_a_rule() -> None:
    sizes = [code_lines(function) for path in module_paths() for function in iter_functions(path)]
    assert statistics.median(sizes) <= MEDIAN_FUNCTION_LINES


@EACH_OLD_PYTHON_SOURCE
def test_old_python__understands_the_syntax(path: Path) -> None:
    ast.parse(path.read_text(encoding="utf-8"), filename=str(path), feature_version=(3, 9))


@EACH_OLD_PYTHON_SOURCE
def test_old_python__does_not_evaluate_annotations(path: Path) -> None:
    tree = parse(path)
    annotated = [
        node
        for node in ast.walk(tree)
        if isinstance(node, (ast.AnnAssign, Function)) or getattr(node, "annotation", None)
    ]
    future = [
        node
        for node in tree.body
        if isinstance(node, ast.ImportFrom) and node.module == "__future__"
    ]
    assert not annotated or future


@EACH_OLD_PYTHON_SOURCE
def test_old_python__has_what_is_called(path: Path) -> None:
    newer = [f"{relative_name(path)}:{line} {what}" for line, what in iter_newer(parse(path))]
    assert newer == []


def iter_newer(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """What parses on Python 3.9 but fails there when it runs."""
    in_annotations = {id(part) for node in ast.walk(tree) for part in annotation_parts(node)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            keywords = {keyword.arg for keyword in node.keywords}
            if ast.unparse(node.func) == "zip" and "strict" in keywords:
                yield node.lineno, "zip(strict=...)"
            if ast.unparse(node.func).endswith("dataclass") and keywords & {"slots", "kw_only"}:
                yield node.lineno, "dataclass(slots=..., kw_only=...)"
        if id(node) not in in_annotations and is_union(node):
            yield node.lineno, "X | Y of types"


def is_union(node: ast.AST) -> TypeGuard[ast.BinOp]:
    if not (isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr)):
        return False
    return is_type(node.left) or is_type(node.right)


def annotation_parts(node: ast.AST) -> Iterator[ast.AST]:
    for name in ("annotation", "returns"):
        annotation = getattr(node, name, None)
        if isinstance(annotation, ast.AST):
            yield from ast.walk(annotation)


def is_type(node: ast.expr) -> bool:
    if isinstance(node, ast.Constant):
        return node.value is None
    if isinstance(node, ast.Subscript):
        return is_type(node.value)
    return isinstance(node, ast.Name) and isinstance(getattr(builtins, node.id, None), type)


@pytest.mark.parametrize(
    ("code", "count"),
    [
        ("zip(a, b, strict=True)", 1),
        ("@dataclass(frozen=True, slots=True)\nclass A: ...", 1),
        ("Path = str | bytes", 1),
        ("isinstance(a, int | None)", 1),
        ("def f(a: int | None) -> str | None: ...", 0),
        ("a: int | None = 1 | 2", 0),
    ],
)
def test_iter_newer__examples(code: str, count: int) -> None:
    assert len(list(iter_newer(ast.parse(code)))) == count


def test_old_python__covers_what_a_script_host_imports() -> None:
    assert PACKAGE / "errors.py" in OLD_PYTHON
    packages = {package_of(path) for path in OLD_PYTHON}
    assert packages == {"errors", "messages", "executor", "storage"}
