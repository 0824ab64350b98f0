"""How changes came out, for clients that poll; here they are done when PUT answers.

Control plane. An operation is named by what it made: its address goes on saying how that is.
"""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Depends

from sparkscore.control.access.roles import Role
from sparkscore.rest.access import require
from sparkscore.rest.context import Here, Served
from sparkscore.rest.envelope import OPERATIONS
from sparkscore.rest.ids import Place

router = APIRouter(
    prefix=f"/{OPERATIONS}", tags=["operations"], dependencies=[Depends(require(Role.READER))]
)


@router.get("/batchEndpoints/{endpoint}")
def get_endpoint_operation(endpoint: str, workspace: Served, place: Here) -> dict[str, Any]:
    """How the last change of an endpoint came out."""
    shown = workspace.batch_endpoints.get(endpoint).to_dict()
    return _render(shown, place, "batchEndpoints", shown["name"])


@router.get("/batchEndpoints/{endpoint}/deployments/{deployment}")
def get_deployment_operation(
    endpoint: str, deployment: str, workspace: Served, place: Here
) -> dict[str, Any]:
    """How the last change of a deployment came out."""
    shown = workspace.batch_deployments.get(deployment, endpoint).to_dict()
    path = ("batchEndpoints", shown["endpoint_name"], "deployments", shown["name"])
    return _render(shown, place, *path)


@router.get("/computes/{compute}")
def get_compute_operation(compute: str, workspace: Served, place: Here) -> dict[str, Any]:
    """How the last change of a compute came out."""
    shown = workspace.computes.get(compute).to_dict()
    return _render(shown, place, "computes", shown["name"])


def _render(shown: dict[str, Any], place: Place, *path: str) -> dict[str, Any]:
    context = shown.get("creation_context") or {}
    return {
        "id": place.id(OPERATIONS, *path),
        "name": path[-1],
        "status": shown["provisioning_state"],
        "startTime": context.get("created_at"),
        "endTime": context.get("last_modified_at") or context.get("created_at"),
        "percentComplete": 100.0,
        "properties": {"resourceId": place.id(*path)},
    }
