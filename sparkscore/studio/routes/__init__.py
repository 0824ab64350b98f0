"""One module for each kind of page. Control plane."""

from __future__ import annotations

from fastapi import APIRouter


def load_routers() -> list[APIRouter]:
    """The pages that need a session, in the order in which paths are matched."""
    from sparkscore.studio.routes import endpoints, home

    return [home.router, endpoints.router]
