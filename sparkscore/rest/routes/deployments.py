"""Deployments, in the words of the reference. Control plane."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Query, Response

from sparkscore.control import Workspace
from sparkscore.control.access.roles import Role
from sparkscore.control.endpoints.precondition import Precondition
from sparkscore.errors import NotFoundError, PreconditionFailedError
from sparkscore.rest.access import require
from sparkscore.rest.bodies import Body
from sparkscore.rest.context import Here, Served
from sparkscore.rest.datastore_paths import settle_deployment
from sparkscore.rest.envelope import OPERATIONS, render_deployment
from sparkscore.rest.etags import ConditionOf, is_known, set_etag
from sparkscore.rest.openapi import DELETED, MADE, TOLERANT_BODY, UNCHANGED
from sparkscore.rest.paging import Paging, read_paging
from sparkscore.rest.resource_bodies import read_deployment
from sparkscore.rest.routes.batch_endpoints import UPDATE_ATTEMPTS
from sparkscore.rest.started import StartedAt

router = APIRouter(tags=["deployments"])

_PATH = "/batchEndpoints/{endpoint}/deployments"
_CHANGES = [Depends(require(Role.CONTRIBUTOR))]
_READS = [Depends(require(Role.READER))]


@router.put(
    _PATH + "/{deployment}",
    dependencies=_CHANGES,
    responses=MADE,
    openapi_extra=TOLERANT_BODY,
)
def put_deployment(
    endpoint: str,
    deployment: str,
    body: Body,
    response: Response,
    workspace: Served,
    place: Here,
    precondition: ConditionOf,
    started: StartedAt,
) -> dict[str, Any]:
    """Make a deployment, or replace it."""
    document = read_deployment(body, name=deployment, endpoint_name=endpoint)
    settle_deployment(workspace, document)
    found = workspace.batch_deployments.create(document, precondition=precondition)
    started.set_status(response, found.record.created_at)
    operation = place.url(
        OPERATIONS, "batchEndpoints", found.endpoint_name, "deployments", found.name
    )
    response.headers["Azure-AsyncOperation"] = operation
    set_etag(response, found)
    return render_deployment(found.to_dict(), place)


@router.get(_PATH + "/{deployment}", dependencies=_READS, response_model=None, responses=UNCHANGED)
def get_deployment(
    endpoint: str,
    deployment: str,
    response: Response,
    workspace: Served,
    place: Here,
    if_none_match: Annotated[str | None, Header()] = None,
) -> dict[str, Any] | Response:
    """Show a deployment."""
    found = workspace.batch_deployments.get(deployment, endpoint)
    if is_known(found, if_none_match):
        return Response(status_code=304, headers={"ETag": f'"{found.etag}"'})
    set_etag(response, found)
    return render_deployment(found.to_dict(), place)


@router.patch(_PATH + "/{deployment}", dependencies=_CHANGES, openapi_extra=TOLERANT_BODY)
def patch_deployment(
    endpoint: str,
    deployment: str,
    body: Body,
    response: Response,
    workspace: Served,
    place: Here,
    precondition: ConditionOf,
) -> dict[str, Any]:
    """Change what is given of a deployment; jobs keep what they ran."""
    changes = read_deployment(body, name=deployment, endpoint_name=endpoint)
    settle_deployment(workspace, changes)
    for attempt in range(UPDATE_ATTEMPTS):
        current = workspace.batch_deployments.get(deployment, endpoint)
        read = precondition if precondition.etags else Precondition(frozenset({current.etag}))
        try:
            found = workspace.batch_deployments.update(
                deployment,
                endpoint,
                source=_merge(current.record.document, changes),
                precondition=read,
            )
            break
        except PreconditionFailedError:
            if precondition.etags or attempt == UPDATE_ATTEMPTS - 1:
                raise
    set_etag(response, found)
    return render_deployment(found.to_dict(), place)


@router.delete(
    _PATH + "/{deployment}",
    dependencies=_CHANGES,
    response_model=None,
    response_class=Response,
    responses=DELETED,
)
def delete_deployment(
    endpoint: str,
    deployment: str,
    workspace: Served,
    precondition: ConditionOf,
    new_default: Annotated[
        str | None, Query(alias="newDefault", description="What takes the default's place.")
    ] = None,
) -> Response:
    """Delete a deployment; its jobs stay. 204: there was none."""
    if not _exists(workspace, endpoint, deployment):
        return Response(status_code=204)
    workspace.batch_deployments.delete(
        deployment, endpoint, new_default=new_default, precondition=precondition
    )
    return Response(status_code=200)


@router.get(_PATH, dependencies=_READS)
def list_deployments(
    endpoint: str,
    workspace: Served,
    place: Here,
    paging: Annotated[Paging, Depends(read_paging)],
) -> dict[str, Any]:
    """List the deployments of an endpoint."""
    found = workspace.batch_deployments.list(endpoint)
    return paging.cut(found, lambda each: render_deployment(each.to_dict(), place))


def _exists(workspace: Workspace, endpoint: str, deployment: str) -> bool:
    try:
        workspace.batch_deployments.get(deployment, endpoint)
    except NotFoundError:
        return False
    return True


def _merge(document: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """The document with the changes over it, sections member by member."""
    merged = dict(document)
    for key, value in changes.items():
        before = merged.get(key)
        if isinstance(value, Mapping) and isinstance(before, Mapping):
            merged[key] = _merge(before, value)
        else:
            merged[key] = value
    return merged
