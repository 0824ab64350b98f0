"""The list of endpoints. Control plane."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from sparkscore.rest.context import Served
from sparkscore.studio.pages import render_page

router = APIRouter()


@router.get("/endpoints")
def list_endpoints(request: Request, workspace: Served) -> Response:
    """All endpoints by name."""
    endpoints = workspace.batch_endpoints.list()
    return render_page(request, "endpoints.html", endpoints=endpoints)
