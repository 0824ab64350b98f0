"""What an MLflow model says about its own environment. Control plane."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from sparkscore.control.environments.documents import to_plain
from sparkscore.control.model import LocalModel
from sparkscore.errors import UnresolvedReferenceError
from sparkscore.spec.document import read_document

if TYPE_CHECKING:
    from sparkscore.control.model import Model

OF_MODEL = "model"
"""What ``environment`` says to mean the model's own."""


def read_model_environment(model: Model) -> dict[str, Any]:
    """The document of the environment that an MLflow model was logged with.

    Raises UnresolvedReferenceError (MODEL_WITHOUT_ENVIRONMENT).
    """
    folder = model.path if isinstance(model, LocalModel) else None
    if folder is None:
        raise _without(model, "is fetched when the job is made: register it first")
    requirements = folder / "requirements.txt"
    if requirements.is_file():
        lines = requirements.read_text(encoding="utf-8").splitlines()
        kept = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
        return {"requirements": kept, "python_version": _read_python(folder)}
    if (folder / "conda.yaml").is_file():
        return {"conda_file": to_plain(read_document(folder / "conda.yaml", kind="conda"))}
    raise _without(model, "has neither requirements.txt nor conda.yaml")


def read_mlflow_version(model: Model) -> str | None:
    """The MLflow that wrote the model, None if that is not known."""
    description = model.path / "MLmodel" if isinstance(model, LocalModel) else None
    if description is None or not description.is_file():
        return None
    found = read_document(description).members.get("mlflow_version")
    return None if found is None else str(found.content)


def _read_python(folder: Path) -> str | None:
    file = folder / "python_env.yaml"
    if not file.is_file():
        return None
    found = read_document(file).members.get("python")
    return None if found is None else str(found.content)


def _without(model: Model, reason: str) -> UnresolvedReferenceError:
    named = model.path if isinstance(model, LocalModel) else model.reference
    return UnresolvedReferenceError(
        f"environment: model means the environment that an MLflow model was logged with, but "
        f"model {named} {reason}",
        condition="MODEL_WITHOUT_ENVIRONMENT",
        model=str(named),
    )
