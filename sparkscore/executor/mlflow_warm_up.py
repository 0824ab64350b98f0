"""What loading any MLflow model costs once in a process, done ahead of hosts. Guard process."""

from __future__ import annotations

import importlib


def warm_up() -> None:
    """Import MLflow and what the built-in script uses; read which packages are installed.

    MLflow compares them with a model's requirements: reading them takes longer than most models.
    """
    from mlflow.utils.requirements_utils import warn_dependency_requirement_mismatches

    importlib.import_module("mlflow.pyfunc")
    importlib.import_module("sparkscore.executor.mlflow_script")
    warn_dependency_requirement_mismatches(["mlflow"])
