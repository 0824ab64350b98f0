"""Writes the built-in scoring script out, for its user to change. Control plane."""

from __future__ import annotations

import ast
import importlib.resources
import os
from pathlib import Path

from sparkscore.errors import AlreadyExistsError, OutputNotWritableError

_MODULES = ("mlflow_files", "mlflow_results", "mlflow_script")


def generate_script(output: Path) -> Path:
    """Write the script that scores MLflow models into ``output``, a new file; returns its path.

    Raises AlreadyExistsError if it exists, OutputNotWritableError if it cannot be written.
    """
    file = Path(os.path.abspath(output))
    try:
        with file.open("x", encoding="utf-8") as script:
            script.write(join_script())
    except FileExistsError as error:
        raise AlreadyExistsError(
            f"{file} already exists: give another -o, or move it away",
            condition="OUTPUT_EXISTS",
            path=str(file),
        ) from error
    except OSError as error:
        raise OutputNotWritableError(
            f"{file} cannot be written: {error.strerror}", path=str(file)
        ) from error
    return file


def join_script() -> str:
    """The built-in script as one file: its docstring, all imports once, then the code in order."""
    folder = importlib.resources.files("sparkscore") / "executor"
    docstring, bodies = "", []
    imports: dict[str, None] = {}
    for name in _MODULES:
        source = (folder / f"{name}.py").read_text(encoding="utf-8")
        first, *statements = ast.parse(source).body
        docstring = ast.get_source_segment(source, first) or ""
        code = next(
            node for node in statements if not isinstance(node, ast.Import | ast.ImportFrom)
        )
        for node in statements[: statements.index(code)]:
            if "sparkscore" not in ast.unparse(node):
                imports[ast.unparse(node)] = None
        bodies.append("\n".join(source.splitlines()[code.lineno - 1 :]))
    return "\n\n".join([docstring, "\n".join(imports), *bodies]) + "\n"
