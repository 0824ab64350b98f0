"""Computes and datastores, in the words of the reference. Control plane."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Response

from sparkscore.control.access.roles import Role
from sparkscore.errors import NotFoundError
from sparkscore.rest.access import require
from sparkscore.rest.bodies import Body
from sparkscore.rest.context import Here, Served
from sparkscore.rest.envelope import OPERATIONS, render_compute, render_datastore
from sparkscore.rest.paging import Paging, read_paging
from sparkscore.rest.resource_bodies import read_compute, read_datastore
from sparkscore.rest.started import StartedAt

router = APIRouter(tags=["computes and datastores"])

_CHANGES = [Depends(require(Role.CONTRIBUTOR))]
_OWNS = [Depends(require(Role.OWNER))]
_READS = [Depends(require(Role.READER))]


@router.put("/computes/{compute}", dependencies=_CHANGES)
def put_compute(
    compute: str,
    body: Body,
    response: Response,
    workspace: Served,
    place: Here,
    started: StartedAt,
) -> dict[str, Any]:
    """Make a compute, or replace it."""
    found = workspace.computes.create(read_compute(body, name=compute))
    started.set_status(response, found.created_at)
    response.headers["Azure-AsyncOperation"] = place.url(OPERATIONS, "computes", found.name)
    return render_compute(found.to_dict(), place)


@router.get("/computes/{compute}", dependencies=_READS)
def get_compute(compute: str, workspace: Served, place: Here) -> dict[str, Any]:
    """Show a compute."""
    return render_compute(workspace.computes.get(compute).to_dict(), place)


@router.get("/computes", dependencies=_READS)
def list_computes(
    workspace: Served, place: Here, paging: Annotated[Paging, Depends(read_paging)]
) -> dict[str, Any]:
    """List computes."""
    found = workspace.computes.list()
    return paging.cut(found, lambda each: render_compute(each.to_dict(), place))


@router.delete("/computes/{compute}", dependencies=_CHANGES, response_model=None)
def delete_compute(compute: str, workspace: Served) -> Response:
    """Delete a compute; jobs that run on it go on. 204: there was none."""
    try:
        workspace.computes.delete(compute)
    except NotFoundError:
        return Response(status_code=204)
    return Response(status_code=200)


@router.put("/datastores/{datastore}", dependencies=_OWNS)
def put_datastore(
    datastore: str,
    body: Body,
    response: Response,
    workspace: Served,
    place: Here,
    started: StartedAt,
) -> dict[str, Any]:
    """Make a datastore, or replace it. Credentials are refused."""
    found = workspace.datastores.create(read_datastore(body, name=datastore))
    started.set_status(response, found.created_at)
    return render_datastore(found.to_dict(), place)


@router.get("/datastores/{datastore}", dependencies=_READS)
def get_datastore(datastore: str, workspace: Served, place: Here) -> dict[str, Any]:
    """Show a datastore."""
    return render_datastore(workspace.datastores.get(datastore).to_dict(), place)


@router.get("/datastores", dependencies=_READS)
def list_datastores(
    workspace: Served,
    place: Here,
    paging: Annotated[Paging, Depends(read_paging)],
    is_default: Annotated[
        bool | None, Query(alias="isDefault", description="Only the default one, or the others.")
    ] = None,
) -> dict[str, Any]:
    """List datastores."""
    found = [
        each
        for each in workspace.datastores.list()
        if is_default is None or each.is_default == is_default
    ]
    return paging.cut(found, lambda each: render_datastore(each.to_dict(), place))


@router.delete("/datastores/{datastore}", dependencies=_OWNS, response_model=None)
def delete_datastore(datastore: str, workspace: Served) -> Response:
    """Forget a datastore; what lies there stays. 204: there was none."""
    try:
        workspace.datastores.delete(datastore)
    except NotFoundError:
        return Response(status_code=204)
    return Response(status_code=200)
