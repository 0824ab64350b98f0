"""Deployments and requests of a workspace made by the fixtures here."""

from __future__ import annotations

from typing import Any

from sparkscore.control.workspace import Workspace


def deployment(name: str, **fields: Any) -> dict[str, Any]:
    """A deployment whose references all resolve in the fixtures' workspace."""
    content = {
        "name": name,
        "endpoint_name": "mood",
        "model": "azureml:weights:1",
        "code_configuration": {"code": "code", "scoring_script": "score.py"},
        "compute": "azureml:cpu-cluster",
        **fields,
    }
    return {key: value for key, value in content.items() if value is not None}


def make_endpoint(workspace: Workspace, *deployments: str) -> None:
    """The endpoint ``mood`` with these deployments, the first one its default."""
    workspace.batch_endpoints.create(name="mood")
    for position, name in enumerate(deployments):
        workspace.batch_deployments.create(deployment(name), set_default=position == 0)
