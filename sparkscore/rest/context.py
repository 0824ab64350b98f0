"""What handlers can ask for: the workspace, and where the request came in. Control plane."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request

from sparkscore.control.workspace import Workspace
from sparkscore.rest.ids import SHORT_PREFIX, Place


async def get_workspace(request: Request) -> Workspace:
    """The one workspace that this server serves; shared by all threads."""
    workspace: Workspace = request.app.state.workspace
    return workspace


async def get_place(request: Request) -> Place:
    """The server's address as the client wrote it, and the prefix of the path it used."""
    workspace: Workspace = request.app.state.workspace
    base = request.base_url
    prefix = getattr(request.state, "prefix", "") or SHORT_PREFIX.format(workspace=workspace.name)
    is_long = prefix.lower().startswith("/subscriptions/")
    return Place(server=f"{base.scheme}://{base.netloc}", prefix=prefix, is_long=is_long)


Served = Annotated[Workspace, Depends(get_workspace)]
Here = Annotated[Place, Depends(get_place)]
