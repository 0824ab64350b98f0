"""Where Studio begins. Control plane."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from sparkscore.studio.pages import redirect

router = APIRouter()


@router.get("/")
def show_home(request: Request) -> Response:
    """Endpoints are what people come for."""
    return redirect(request, "/endpoints")
