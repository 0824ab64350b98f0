"""Endpoints, in the words of the reference. Control plane."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Response

from sparkscore.control.access.roles import Role
from sparkscore.control.endpoints.precondition import Precondition
from sparkscore.errors import NotFoundError, PreconditionFailedError
from sparkscore.rest.access import require
from sparkscore.rest.bodies import Body
from sparkscore.rest.context import Here, Served
from sparkscore.rest.envelope import OPERATIONS, render_endpoint
from sparkscore.rest.etags import ConditionOf, is_known, set_etag
from sparkscore.rest.openapi import DELETED, MADE, TOLERANT_BODY, UNCHANGED
from sparkscore.rest.paging import Paging, read_paging
from sparkscore.rest.resource_bodies import read_endpoint
from sparkscore.rest.started import StartedAt

router = APIRouter(tags=["batchEndpoints"])

UPDATE_ATTEMPTS = 20
"""How often a PATCH starts anew because somebody else changed the endpoint meanwhile."""

_CHANGES = [Depends(require(Role.CONTRIBUTOR))]
_READS = [Depends(require(Role.READER))]


@router.put(
    "/batchEndpoints/{endpoint}",
    dependencies=_CHANGES,
    responses=MADE,
    openapi_extra=TOLERANT_BODY,
)
def put_endpoint(
    endpoint: str,
    body: Body,
    response: Response,
    workspace: Served,
    place: Here,
    precondition: ConditionOf,
    started: StartedAt,
) -> dict[str, Any]:
    """Make an endpoint, or change what is given of it."""
    document = read_endpoint(body, name=endpoint)
    found = workspace.batch_endpoints.create(document, precondition=precondition)
    started.set_status(response, found.record.created_at)
    response.headers["Azure-AsyncOperation"] = place.url(OPERATIONS, "batchEndpoints", found.name)
    set_etag(response, found)
    return render_endpoint(found.to_dict(), place)


@router.get(
    "/batchEndpoints/{endpoint}", dependencies=_READS, response_model=None, responses=UNCHANGED
)
def get_endpoint(
    endpoint: str,
    response: Response,
    workspace: Served,
    place: Here,
    if_none_match: Annotated[str | None, Header()] = None,
) -> dict[str, Any] | Response:
    """Show an endpoint."""
    found = workspace.batch_endpoints.get(endpoint)
    if is_known(found, if_none_match):
        return Response(status_code=304, headers={"ETag": f'"{found.etag}"'})
    set_etag(response, found)
    return render_endpoint(found.to_dict(), place)


@router.patch("/batchEndpoints/{endpoint}", dependencies=_CHANGES, openapi_extra=TOLERANT_BODY)
def patch_endpoint(
    endpoint: str,
    body: Body,
    response: Response,
    workspace: Served,
    place: Here,
    precondition: ConditionOf,
) -> dict[str, Any]:
    """Change what is given; null removes description, a tag or the default deployment."""
    changes = read_endpoint(body, name=endpoint)
    nulls = list(_iter_nulls(body))
    for attempt in range(UPDATE_ATTEMPTS):
        current = workspace.batch_endpoints.get(endpoint)
        read = precondition if precondition.etags else Precondition(frozenset({current.etag}))
        try:
            found = workspace.batch_endpoints.update(
                endpoint,
                source=_merge(current.to_dict(), changes),
                removals=[key for key in nulls if _has(current.to_dict(), key)],
                precondition=read,
            )
            break
        except PreconditionFailedError:
            if precondition.etags or attempt == UPDATE_ATTEMPTS - 1:
                raise
    set_etag(response, found)
    return render_endpoint(found.to_dict(), place)


@router.delete(
    "/batchEndpoints/{endpoint}",
    dependencies=_CHANGES,
    response_model=None,
    response_class=Response,
    responses=DELETED,
)
def delete_endpoint(endpoint: str, workspace: Served, precondition: ConditionOf) -> Response:
    """Delete an endpoint and its deployments; its jobs stay. 204: there was none."""
    try:
        workspace.batch_endpoints.delete(endpoint, precondition=precondition)
    except NotFoundError:
        return Response(status_code=204)
    return Response(status_code=200)


@router.get("/batchEndpoints", dependencies=_READS)
def list_endpoints(
    workspace: Served, place: Here, paging: Annotated[Paging, Depends(read_paging)]
) -> dict[str, Any]:
    """List endpoints."""
    found = workspace.batch_endpoints.list()
    return paging.cut(found, lambda each: render_endpoint(each.to_dict(), place))


def _merge(shown: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """The changes, with maps as they are after them: a null removes its key."""
    merged = {key: value for key, value in changes.items() if key != "name"}
    for key in ("tags", "properties"):
        if key in changes:
            both = {**shown[key], **changes[key]}
            merged[key] = {name: value for name, value in both.items() if value is not None}
    return merged


def _iter_nulls(body: Mapping[str, Any]) -> Iterator[str]:
    """Keys of an endpoint that the body sets to null."""
    properties = body.get("properties") or {}
    if "description" in properties and properties["description"] is None:
        yield "description"
    defaults = properties.get("defaults", {})
    if defaults is None or defaults.get("deploymentName", "") is None:
        yield "defaults.deployment_name"


def _has(shown: Mapping[str, Any], key: str) -> bool:
    first, _, second = key.partition(".")
    found = shown.get(first)
    return (found or {}).get(second) is not None if second else found is not None
