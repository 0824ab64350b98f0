"""Checks a scoring script without running it. Control plane."""

from __future__ import annotations

import ast
import os
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

from sparkscore.errors import UnresolvedReferenceError

ENTRY_FUNCTIONS = (("init", "SCRIPT_WITHOUT_INIT"), ("run", "SCRIPT_WITHOUT_RUN"))


def check_scoring_script(code_folder: Path, *, scoring_script: str, parses: bool = True) -> None:
    """Raise UnresolvedReferenceError unless the script stands in the folder and can be called.

    It must be UTF-8 Python and have ``init`` and ``run`` at its top level, defined or imported;
    that is not looked at without ``parses``.
    """
    if not os.path.isdir(code_folder):
        raise UnresolvedReferenceError(
            f"code folder {code_folder} does not exist or is no folder: correct "
            "code_configuration.code, it is relative to the deployment file",
            condition="CODE_NOT_FOUND",
            path=str(code_folder),
        )
    script = find_in_folder(code_folder, name=scoring_script)
    if script is None:
        raise UnresolvedReferenceError(
            f"scoring script {scoring_script} is not a file in code folder {code_folder}: "
            "correct code_configuration.scoring_script",
            condition="SCRIPT_NOT_FOUND",
            path=str(code_folder / scoring_script),
        )
    if parses:
        _check_functions(_parse(script), script=script)


def find_in_folder(folder: Path, *, name: str) -> Path | None:
    """The file ``name`` of ``folder``, unless it lies outside, also by way of links."""
    file = (folder / name).resolve()
    return file if os.path.isfile(file) and file.is_relative_to(folder.resolve()) else None


def _parse(script: Path) -> ast.Module:
    try:
        source = script.read_bytes().decode("utf-8-sig")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(source, filename=str(script))
    except OSError as error:
        raise _error(script, f"cannot be read: {error.strerror}", "SCRIPT_UNREADABLE") from error
    except UnicodeDecodeError as error:
        raise _error(script, f"is not UTF-8 at byte {error.start}", "SCRIPT_NOT_UTF8") from error
    except SyntaxError as error:
        raise UnresolvedReferenceError(
            f"{script}, line {error.lineno}: {error.msg}",
            condition="SCRIPT_SYNTAX_ERROR",
            file=str(script),
            line=error.lineno,
        ) from error
    except ValueError as error:
        raise _error(script, f"is not Python: {error}", "SCRIPT_SYNTAX_ERROR") from error
    except (RecursionError, MemoryError) as error:
        raise _error(script, "has code nested too deeply", "SCRIPT_SYNTAX_ERROR") from error


def _error(script: Path, what: str, condition: str) -> UnresolvedReferenceError:
    return UnresolvedReferenceError(
        f"scoring script {script} {what}", condition=condition, file=str(script)
    )


def _check_functions(module: ast.Module, *, script: Path) -> None:
    names = set(_iter_top_level_names(module.body))
    for function, condition in ENTRY_FUNCTIONS:
        if function not in names and "*" not in names:
            raise UnresolvedReferenceError(
                f"scoring script {script} has no function {function}(): it needs init() and "
                "run(mini_batch) at its top level",
                condition=condition,
                file=str(script),
                function=function,
            )


def _iter_top_level_names(statements: Sequence[ast.stmt]) -> Iterator[str]:
    """Names that the module binds, also within ``if``, ``try``, ``with`` and loops."""
    for statement in statements:
        yield from _iter_bound_names(statement)
        for block in ("body", "orelse", "finalbody"):
            if not isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
                yield from _iter_top_level_names(getattr(statement, block, ()))
        for handler in getattr(statement, "handlers", ()):
            yield from _iter_top_level_names(handler.body)


def _iter_bound_names(statement: ast.stmt) -> Iterator[str]:
    if isinstance(statement, (ast.FunctionDef, ast.ClassDef)):
        yield statement.name
    elif isinstance(statement, (ast.Import, ast.ImportFrom)):
        for alias in statement.names:
            yield alias.asname or alias.name
    elif isinstance(statement, (ast.Assign, ast.AnnAssign)):
        targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
        for target in targets:
            yield from (node.id for node in ast.walk(target) if isinstance(node, ast.Name))
