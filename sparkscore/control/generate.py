"""Writes the built-in scoring script out, for its user to change. Control plane."""

from __future__ import annotations

import importlib.resources
import os
from pathlib import Path

from sparkscore.errors import AlreadyExistsError, OutputNotWritableError


def generate_script(output: Path) -> Path:
    """Write the script that scores MLflow models into ``output``, a new file; returns its path.

    Raises AlreadyExistsError if it exists, OutputNotWritableError if it cannot be written.
    """
    source = importlib.resources.files("sparkscore") / "executor" / "mlflow_script.py"
    file = Path(os.path.abspath(output))
    try:
        with file.open("x", encoding="utf-8") as script:
            script.write(source.read_text(encoding="utf-8"))
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
