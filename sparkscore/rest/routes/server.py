"""The server itself: health, metrics, who I am, the workspace. Control plane."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response

from sparkscore.control.access.roles import Role
from sparkscore.rest.access import Principal, require
from sparkscore.rest.context import Served
from sparkscore.rest.metrics import CONTENT_TYPE, Metrics

open_router = APIRouter(tags=["server"])
"""What needs no token."""

router = APIRouter(tags=["server"])

workspace_router = APIRouter(tags=["server"])
"""The workspace itself: what stands behind its prefix alone."""


@open_router.get("/healthz")
def check_health(workspace: Served) -> dict[str, str]:
    """Whether the server answers and its store can be read."""
    with workspace.store.reading() as reader:
        reader.find_default_datastore()
    return {"status": "ok"}


@router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
def show_metrics(request: Request, workspace: Served) -> Response:
    """Requests by route and jobs by status, for Prometheus."""
    metrics: Metrics = request.app.state.metrics
    return Response(metrics.render(workspace.jobs.count_by_status()), media_type=CONTENT_TYPE)


@router.get("/api/v1/me")
def show_caller(
    principal: Annotated[Principal, Depends(require(Role.READER))],
) -> dict[str, str]:
    """Who the token belongs to, and what role that is."""
    return {"name": principal.name, "role": principal.role.value, "kind": principal.kind}


@workspace_router.get("")
def show_workspace(workspace: Served) -> dict[str, Any]:
    """The workspace, without where on the server's machine it lies."""
    shown = workspace.to_dict()
    if not is_web_address(shown["mlflow_tracking_uri"]):
        shown["mlflow_tracking_uri"] = None
    return {key: value for key, value in shown.items() if key != "folder"}


def is_web_address(uri: str) -> bool:
    """Whether somebody else can use it, unlike a file of the server's machine."""
    return uri.startswith(("http://", "https://"))
