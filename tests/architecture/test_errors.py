"""The error tree: as drawn, and fit to cross processes."""

from __future__ import annotations

import ast
import inspect
import pickle
import re

import pytest

from sparkscore import errors
from sparkscore.errors import SparkscoreError
from tests.architecture.sources import ROOT, module_paths, parse, relative_name

CLASSES = [
    value
    for value in vars(errors).values()
    if isinstance(value, type) and issubclass(value, SparkscoreError)
]
EXIT_CODES = {1, 2, 3, 4, 5, 6}


def drawn_tree() -> dict[str, str]:
    """Class name -> base class name, as the docstring of errors.py draws it."""
    branches: list[str] = []
    tree = {}
    for line in (errors.__doc__ or "").splitlines():
        match = re.match(r"^((?:│   |    )*(?:[├└]── )?)(\w+Error)\b", line)
        if match is None:
            continue
        depth = len(match[1]) // 4
        branches[depth:] = [match[2]]
        if depth:
            tree[match[2]] = branches[depth - 1]
    return tree


def drawn_exit_codes() -> dict[str, int]:
    lines = re.findall(r"^[├└]── (\w+Error)\b.*?\s(\d)(?:\s|$)", errors.__doc__ or "", re.MULTILINE)
    return {name: int(code) for name, code in lines}


def test_tree__is_drawn_as_it_is() -> None:
    declared = {kind.__name__: kind.__bases__[0].__name__ for kind in CLASSES}
    assert declared.pop("SparkscoreError") == "Exception"
    assert drawn_tree() == declared


def test_tree__shows_the_exit_codes() -> None:
    first_level = [kind for kind in CLASSES if kind.__bases__[0] is SparkscoreError]
    assert drawn_exit_codes() == {kind.__name__: kind.exit_code for kind in first_level}


def test_exit_codes__stand_in_the_readme() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    documented = {int(code) for code in re.findall(r"^\| (\d+) \|", readme, re.MULTILINE)}
    assert {kind.exit_code for kind in CLASSES} == EXIT_CODES
    assert documented == EXIT_CODES | {0, 130}


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_error__survives_pickle(kind: type[SparkscoreError]) -> None:
    error = kind("what, where", condition="SOME_CONDITION", file="a.yml", line=3, keys=["a"])
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is kind
    assert (str(copy), copy.message) == ("what, where", "what, where")
    assert copy.condition == "SOME_CONDITION"
    assert copy.attributes == {"file": "a.yml", "line": 3, "keys": ["a"]}
    assert copy.exit_code == kind.exit_code


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_error__has_its_own_condition(kind: type[SparkscoreError]) -> None:
    assert kind("what").condition == kind.condition
    assert [other for other in CLASSES if other.condition == kind.condition] == [kind]
    assert issubclass(kind, ValueError) == (kind.exit_code == 2)
    assert inspect.signature(kind).parameters["condition"].kind is inspect.Parameter.KEYWORD_ONLY


def test_conditions__are_upper_case_words() -> None:
    found = [(f"errors.py {kind.__name__}", kind.condition) for kind in CLASSES]
    for path in module_paths():
        found += [
            (f"{relative_name(path)}:{part.lineno}", part.value)
            for node in ast.walk(parse(path))
            if isinstance(node, ast.keyword) and node.arg == "condition"
            for part in (node.value, getattr(node.value, "body", None))
            if isinstance(part, ast.Constant) and isinstance(part.value, str)
        ]
    wrong = [where for where, value in found if not re.fullmatch(r"[A-Z]+(_[A-Z0-9]+)*", value)]
    assert wrong == []
