"""What a deployment's form offers to choose from. Control plane."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sparkscore.control import Workspace
from sparkscore.studio.code_choice import list_scripts
from sparkscore.studio.deployment_form import MLFLOW

MAX_CHOICES = 500
"""How many versions a list offers, the newest; others have a page of their own with a button."""

ALL_STEPS = "all"


def list_choices(workspace: Workspace, step: str, values: Mapping[str, str]) -> dict[str, Any]:
    """The lists of one step of the wizard, or of ALL_STEPS; the others are empty."""

    def is_asked(name: str) -> bool:
        return step in (name, ALL_STEPS)

    return {
        "models": _list_models(workspace, values["model"]) if is_asked("model") else [],
        "codes": _list_codes(workspace, values["code"]) if is_asked("script") else [],
        "scripts": list_scripts(workspace, values["code"]) if is_asked("script") else [],
        "environments": _list_environments(workspace, values) if is_asked("script") else [],
        "computes": workspace.computes.list() if is_asked("compute") else [],
    }


def _list_models(workspace: Workspace, chosen: str) -> list[tuple[str, str]]:
    kinds = {True: "MLflow model", False: "needs a scoring script"}
    found = (
        (model.reference, f"{model.name}:{model.version} ({kinds[model.type == MLFLOW]})")
        for model in workspace.models.list()
    )
    return _cut(found, chosen)


def _list_codes(workspace: Workspace, chosen: str) -> list[tuple[str, str]]:
    found = ((code.reference, f"{code.name}:{code.version}") for code in workspace.code.list())
    return _cut(found, chosen)


def _list_environments(workspace: Workspace, values: Mapping[str, str]) -> list[tuple[str, str]]:
    listed = workspace.environments.list()
    found = ((one.reference, f"{one.name}:{one.version}") for one in listed)
    return _cut(found, values["environment"])


def _cut(found: Iterable[tuple[str, str]], chosen: str) -> list[tuple[str, str]]:
    """The newest, and the one that is chosen wherever it is, archived ones too."""
    offered = list(found)[:MAX_CHOICES]
    if chosen and all(reference != chosen for reference, _ in offered):
        offered.append((chosen, chosen.removeprefix("azureml:")))
    return offered
