"""Fetches models from an MLflow tracking store or registry. Control plane.

The only module of the control plane that imports mlflow, and only when it is called.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from sparkscore.errors import MissingDependencyError, UnresolvedReferenceError

SCHEMES = ("models:/", "runs:/")

_STORE_VARIABLES = ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI", "DATABRICKS_RUNTIME_VERSION")
_LOCAL_STORES = ("mlflow.db", "mlruns")


def check_store(reference: str, *, environment: Mapping[str, str], folder: Path) -> None:
    """Raise UnresolvedReferenceError if no MLflow store is configured.

    MLflow itself would make an empty one in the current ``folder`` and look there.
    """
    configured = any(environment.get(name) for name in _STORE_VARIABLES)
    if not configured and not any((folder / name).exists() for name in _LOCAL_STORES):
        raise UnresolvedReferenceError(
            f"model {reference} cannot be looked up: set MLFLOW_TRACKING_URI to the MLflow "
            "server or store that has it",
            condition="NO_MLFLOW_STORE",
            reference=reference,
        )


def fetch_model(reference: str, *, folder: Path) -> Path:
    """Download ``models:/...`` or ``runs:/...`` below ``folder``; returns the model's folder."""
    check_store(reference, environment=os.environ, folder=Path.cwd())
    try:
        from mlflow.artifacts import download_artifacts
    except ImportError as error:
        raise MissingDependencyError(
            f"model {reference} needs mlflow, which is not installed; run: pip install mlflow",
            condition="MLFLOW_NOT_FOUND",
        ) from error
    destination = folder / get_model_name(reference)
    destination.mkdir(parents=True)
    try:
        path = Path(download_artifacts(artifact_uri=reference, dst_path=str(destination)))
    except Exception as error:
        raise UnresolvedReferenceError(
            f"model {reference} cannot be fetched: {_first_line(error)}; check the reference and "
            "MLFLOW_TRACKING_URI",
            condition="MODEL_NOT_FETCHED",
            reference=reference,
        ) from error
    return _lift(path, destination)


def get_model_name(reference: str) -> str:
    """The folder name a fetched model gets: the registered name, else the artifact's last part."""
    parts = [part for part in reference.partition(":/")[2].split("/") if part]
    if not parts:
        return "model"
    name = parts[0] if reference.startswith("models:/") else parts[-1]
    return name.partition("@")[0] or "model"


def _lift(path: Path, destination: Path) -> Path:
    """Artifacts of a run land in a folder of their own name below ``destination``."""
    if path.resolve() == destination.resolve():
        return destination
    lifted = destination.with_name(destination.name + ".fetched")
    path.rename(lifted)
    destination.rmdir()
    return lifted.rename(destination)


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
