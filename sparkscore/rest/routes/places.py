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
from sparkscore.rest.etags import ConditionOf, KnownTag, find_unchanged, set_etag
from sparkscore.rest.openapi import DELETED, MADE, TOLERANT_BODY, UNCHANGED
from sparkscore.rest.paging import Paging, read_paging
from sparkscore.rest.resource_bodies import read_compute, read_datastore
from sparkscore.rest.started import StartedAt

router = APIRouter(tags=["computes and datastores"])

_CHANGES = [Depends(require(Role.CONTRIBUTOR))]
_OWNS = [Depends(require(Role.OWNER))]
_READS = [Depends(require(Role.READER))]


@router.put(
    "/computes/{compute}",
    dependencies=_CHANGES,
    responses=MADE,
    openapi_extra=TOLERANT_BODY,
)
def put_compute(
    compute: str,
    body: Body,
    response: Response,
    workspace: Served,
    place: Here,
    started: StartedAt,
    precondition: ConditionOf,
) -> dict[str, Any]:
    """Make a compute, or replace it."""
    document = read_compute(body, name=compute)
    found = workspace.computes.create(document, precondition=precondition)
    started.set_status(response, found.created_at)
    set_etag(response, found)
    response.headers["Azure-AsyncOperation"] = place.url(OPERATIONS, "computes", found.name)
    return render_compute(found.to_dict(), place)


@router.get("/computes/{compute}", dependencies=_READS, response_model=None, responses=UNCHANGED)
def get_compute(
    compute: str,
    response: Response,
    workspace: Served,
    place: Here,
    if_none_match: KnownTag = None,
) -> dict[str, Any] | Response:
    """Show a compute."""
    found = workspace.computes.get(compute)
    unchanged = find_unchanged(response, found, if_none_match)
    return unchanged or render_compute(found.to_dict(), place)


@router.get("/computes", dependencies=_READS)
def list_computes(
    workspace: Served, place: Here, paging: Annotated[Paging, Depends(read_paging)]
) -> dict[str, Any]:
    """List computes."""
    found = workspace.computes.list()
    return paging.cut(found, lambda each: render_compute(each.to_dict(), place))


@router.delete(
    "/computes/{compute}",
    dependencies=_CHANGES,
    response_model=None,
    response_class=Response,
    responses=DELETED,
)
def delete_compute(compute: str, workspace: Served, precondition: ConditionOf) -> Response:
    """Delete a compute; jobs that run on it go on. 204: there was none."""
    try:
        workspace.computes.delete(compute, precondition=precondition)
    except NotFoundError:
        return Response(status_code=204)
    return Response(status_code=200)


@router.put(
    "/datastores/{datastore}",
    dependencies=_OWNS,
    responses=MADE,
    openapi_extra=TOLERANT_BODY,
)
def put_datastore(
    datastore: str,
    body: Body,
    response: Response,
    workspace: Served,
    place: Here,
    started: StartedAt,
    precondition: ConditionOf,
) -> dict[str, Any]:
    """Make a datastore, or replace it. Credentials are refused."""
    document = read_datastore(body, name=datastore)
    found = workspace.datastores.create(document, precondition=precondition)
    started.set_status(response, found.created_at)
    set_etag(response, found)
    return render_datastore(found.to_dict(), place)


@router.get(
    "/datastores/{datastore}", dependencies=_READS, response_model=None, responses=UNCHANGED
)
def get_datastore(
    datastore: str,
    response: Response,
    workspace: Served,
    place: Here,
    if_none_match: KnownTag = None,
) -> dict[str, Any] | Response:
    """Show a datastore."""
    found = workspace.datastores.get(datastore)
    unchanged = find_unchanged(response, found, if_none_match)
    return unchanged or render_datastore(found.to_dict(), place)


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


@router.delete(
    "/datastores/{datastore}",
    dependencies=_OWNS,
    response_model=None,
    response_class=Response,
    responses=DELETED,
)
def delete_datastore(datastore: str, workspace: Served, precondition: ConditionOf) -> Response:
    """Forget a datastore; what lies there stays. 204: there was none."""
    try:
        workspace.datastores.delete(datastore, precondition=precondition)
    except NotFoundError:
        return Response(status_code=204)
    return Response(status_code=200)
