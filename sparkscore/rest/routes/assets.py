"""Models, environments, data and code, in the words of the reference. Control plane.

A version never changes: PUT of what is there already is fine, of anything else a conflict.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Response

from sparkscore.control import Workspace
from sparkscore.control.access.roles import Role
from sparkscore.errors import InvalidFieldError, NotFoundError
from sparkscore.rest import envelope
from sparkscore.rest.access import require
from sparkscore.rest.bodies import Body
from sparkscore.rest.context import Here, Served
from sparkscore.rest.datastore_paths import settle_path, settle_uri
from sparkscore.rest.environment_bodies import read_environment
from sparkscore.rest.etags import ConditionOf, KnownTag, find_unchanged, set_etag
from sparkscore.rest.ids import Place
from sparkscore.rest.openapi import DELETED, MADE, TOLERANT_BODY, UNCHANGED
from sparkscore.rest.paging import Paging, read_paging
from sparkscore.rest.resource_bodies import read_code, read_data, read_model
from sparkscore.rest.started import StartedAt

router = APIRouter(tags=["assets"])

_CHANGES = [Depends(require(Role.CONTRIBUTOR))]
_READS = [Depends(require(Role.READER))]

PagingOf = Annotated[Paging, Depends(read_paging)]
View = Annotated[
    Literal["ActiveOnly", "ArchivedOnly", "All"],
    Query(alias="listViewType", description="Whether archived ones are listed."),
]
_ARCHIVED: dict[str, Literal["exclude", "only", "include"]] = {
    "ActiveOnly": "exclude",
    "ArchivedOnly": "only",
    "All": "include",
}


@dataclass(frozen=True)
class _Handling:
    """How a kind is kept (the part of the workspace), made and shown."""

    part: str
    create: Callable[[Workspace, Mapping[str, Any], str, str], Any]
    render: Callable[[Mapping[str, Any], Place], dict[str, Any]]

    def get_part(self, workspace: Workspace) -> Any:
        return getattr(workspace, self.part)


def _create_code(workspace: Workspace, body: Mapping[str, Any], name: str, version: str) -> Any:
    arguments = read_code(body)
    path = arguments.pop("path", None)
    if path is None:
        key = "properties.codeUri"
        raise InvalidFieldError(f"{key} is missing", condition="MISSING_FIELD", key=key)
    return workspace.code.create(
        settle_uri(workspace, path), name=name, version=version, **arguments
    )


def _create_model(workspace: Workspace, body: Mapping[str, Any], name: str, version: str) -> Any:
    document = read_model(body, name=name, version=version)
    settle_path(workspace, document)
    return workspace.models.create(document)


def _create_environment(
    workspace: Workspace, body: Mapping[str, Any], name: str, version: str
) -> Any:
    document = read_environment(body, name=name, version=version)
    return workspace.environments.create(document)


def _create_data(workspace: Workspace, body: Mapping[str, Any], name: str, version: str) -> Any:
    document = read_data(body, name=name, version=version)
    settle_path(workspace, document)
    return workspace.data.create(document)


def _render_datasets(shown: Mapping[str, Any], place: Place) -> dict[str, Any]:
    return envelope.render_data(shown, place, segment="datasets")


_KINDS = {
    "codes": _Handling("code", _create_code, envelope.render_code),
    "models": _Handling("models", _create_model, envelope.render_model),
    "environments": _Handling("environments", _create_environment, envelope.render_environment),
    "data": _Handling("data", _create_data, envelope.render_data),
    "datasets": _Handling("data", _create_data, _render_datasets),
}


def _add_kind(kind: str, handling: _Handling) -> None:
    """Add the routes of one kind; each kind is told in the OpenAPI document."""
    one, all_ = f"/{kind}/{{name}}/versions/{{version}}", f"/{kind}/{{name}}/versions"

    @router.put(
        one,
        dependencies=_CHANGES,
        responses=MADE,
        openapi_extra=TOLERANT_BODY,
        name=f"put_{kind}",
        summary=f"Register {kind}",
    )
    def put_version(
        name: str,
        version: str,
        body: Body,
        response: Response,
        workspace: Served,
        place: Here,
        started: StartedAt,
    ) -> dict[str, Any]:
        """The same version again with the same content is fine."""
        found = handling.create(workspace, body, name, version)
        started.set_status(response, found.created_at)
        set_etag(response, found)
        return handling.render(found.to_dict(), place)

    @router.get(
        one,
        dependencies=_READS,
        response_model=None,
        responses=UNCHANGED,
        name=f"get_{kind}",
        summary="Show a version",
    )
    def get_version(
        name: str,
        version: str,
        response: Response,
        workspace: Served,
        place: Here,
        if_none_match: KnownTag = None,
    ) -> dict[str, Any] | Response:
        found = handling.get_part(workspace).get(name, version)
        unchanged = find_unchanged(response, found, if_none_match)
        return unchanged or handling.render(found.to_dict(), place)

    @router.get(all_, dependencies=_READS, name=f"list_{kind}", summary="List versions")
    def list_versions(
        name: str, workspace: Served, place: Here, paging: PagingOf, view: View = "ActiveOnly"
    ) -> dict[str, Any]:
        """The newest first."""
        found = _list(workspace, kind, name, view)
        return paging.cut(found, lambda each: handling.render(each.to_dict(), place))

    _add_names(kind, handling)
    if kind != "codes":
        _add_delete(one, kind, handling)


def _add_names(kind: str, handling: _Handling) -> None:
    """Add the routes of names, whatever their versions."""

    @router.get(f"/{kind}", dependencies=_READS, name=f"list_names_of_{kind}", summary="List names")
    def list_names(
        workspace: Served, place: Here, paging: PagingOf, view: View = "ActiveOnly"
    ) -> dict[str, Any]:
        """Each with its newest version."""
        latest: dict[str, Any] = {}
        for each in _list(workspace, kind, None, view):
            latest.setdefault(each.name, each)
        return paging.cut(list(latest.values()), lambda each: _render_name(kind, each, place))

    @router.get(
        f"/{kind}/{{name}}", dependencies=_READS, name=f"get_name_of_{kind}", summary="Show a name"
    )
    def get_name(name: str, workspace: Served, place: Here) -> dict[str, Any]:
        """With its newest version."""
        return _render_name(kind, handling.get_part(workspace).get(name), place)

    @router.get(
        f"/{kind}/{{name}}/labels/{{label}}",
        dependencies=_READS,
        name=f"get_labelled_of_{kind}",
        summary="Show the version that a label names",
    )
    def get_labelled(name: str, label: str, workspace: Served, place: Here) -> dict[str, Any]:
        """The one label of all kinds is latest; models may have others in MLflow."""
        found = handling.get_part(workspace).get(name, None, label=label)
        return handling.render(found.to_dict(), place)


def _add_delete(path: str, kind: str, handling: _Handling) -> None:
    """Code is kept: deployments and jobs were made from it."""

    @router.delete(
        path,
        dependencies=_CHANGES,
        response_model=None,
        response_class=Response,
        responses=DELETED,
        name=f"delete_{kind}",
        summary="Delete a version",
    )
    def delete_version(
        name: str, version: str, workspace: Served, precondition: ConditionOf
    ) -> Response:
        """204: there was none."""
        try:
            handling.get_part(workspace).delete(name, version, precondition=precondition)
        except NotFoundError:
            return Response(status_code=204)
        return Response(status_code=200)


def _list(workspace: Workspace, kind: str, name: str | None, view: str) -> Any:
    part = _KINDS[kind].get_part(workspace)
    return part.list(name) if kind == "codes" else part.list(name, archived=_ARCHIVED[view])


def _render_name(kind: str, entity: Any, place: Place) -> dict[str, Any]:
    container: dict[str, Any] = envelope.render_container(
        kind, entity.name, entity.to_dict(), place
    )
    return container


for _kind, _handling in _KINDS.items():
    _add_kind(_kind, _handling)
