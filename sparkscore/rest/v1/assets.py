"""Models, environments, data, code, computes and datastores below ``/api/v1``. Control plane."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response

from sparkscore.control import Workspace
from sparkscore.errors import InvalidFieldError
from sparkscore.rest.context import Served
from sparkscore.rest.datastore_paths import settle_path
from sparkscore.rest.etags import ConditionOf, set_etag
from sparkscore.rest.fields import Fields
from sparkscore.rest.idempotency import OnceOf
from sparkscore.rest.openapi import MADE
from sparkscore.rest.started import StartedAt
from sparkscore.rest.v1.bodies import (
    CHANGES,
    OWNS,
    READS,
    ArchivedView,
    Making,
    PagingOf,
    show,
)

router = APIRouter(tags=["v1: assets"])

VersionQuery = Annotated[str | None, Query(description="One version; all of the name without.")]


@dataclass(frozen=True)
class _Kind:
    """A kind of asset: its part of the workspace, and whether its versions can be archived."""

    part: str
    is_kept: bool = False

    def get_part(self, workspace: Workspace) -> Any:
        return getattr(workspace, self.part)


_VERSIONED = {
    "models": _Kind("models"),
    "environments": _Kind("environments"),
    "data": _Kind("data"),
    "code": _Kind("code", is_kept=True),
}
_PLACES = {"computes": (_Kind("computes"), CHANGES), "datastores": (_Kind("datastores"), OWNS)}


def _make(kind: _Kind, workspace: Workspace, body: Making) -> Any:
    document = dict(body.document)
    settle_path(workspace, document)
    if kind.is_kept:
        return _make_code(workspace, document, body)
    return kind.get_part(workspace).create(document, overrides=body.set)


def _make_code(workspace: Workspace, document: Mapping[str, Any], body: Making) -> Any:
    fields = Fields(document, "document")
    path, name = fields.take_text("path"), fields.take_text("name")
    arguments: dict[str, Any] = {
        "version": fields.take_text("version"),
        "description": fields.take_text("description"),
        "tags": fields.take_map("tags"),
        "properties": fields.take_map("properties"),
    }
    fields.refuse_rest()
    missing = [key for key, value in (("name", name), ("path", path)) if value is None]
    if missing or path is None or name is None or body.set:
        key = f"document.{missing[0]}" if missing else "set"
        problem = "is missing" if missing else "is not taken with code: write it in document"
        raise InvalidFieldError(f"{key} {problem}", condition="MISSING_FIELD", key=key)
    return workspace.code.create(path, name=name, **arguments)


def _add_versioned(name_of_kind: str, kind: _Kind) -> None:
    root = f"/{name_of_kind}"

    @router.get(root, dependencies=READS, name=f"list_{name_of_kind}", summary="List versions")
    def list_versions(
        workspace: Served,
        paging: PagingOf,
        name: Annotated[str | None, Query(description="Only versions of this name.")] = None,
        archived: ArchivedView = "exclude",
    ) -> dict[str, Any]:
        """The newest first."""
        part = kind.get_part(workspace)
        found = part.list(name) if kind.is_kept else part.list(name, archived=archived)
        return paging.cut(found, show)

    @router.post(
        root,
        dependencies=CHANGES,
        status_code=201,
        responses=MADE,
        name=f"make_{name_of_kind}",
        summary="Register a version",
    )
    def make_version(
        body: Making, response: Response, workspace: Served, started: StartedAt, once: OnceOf
    ) -> dict[str, Any]:
        """The next number if no version is given."""

        def make() -> dict[str, Any]:
            found = _make(kind, workspace, body)
            started.set_status(response, found.created_at)
            set_etag(response, found)
            return show(found)

        return once.run(response, make)

    @router.get(
        f"{root}/{{name}}", dependencies=READS, name=f"get_{name_of_kind}", summary="Show a version"
    )
    def get_version(
        name: str,
        response: Response,
        workspace: Served,
        version: VersionQuery = None,
        label: Annotated[str | None, Query(description="latest")] = None,
    ) -> dict[str, Any]:
        """The latest without version and label."""
        found = kind.get_part(workspace).get(name, version, label=label)
        set_etag(response, found)
        return show(found)

    if not kind.is_kept:
        _add_archiving(root, name_of_kind, kind)


def _add_archiving(root: str, name_of_kind: str, kind: _Kind) -> None:
    @router.post(
        f"{root}/{{name}}/archive",
        dependencies=CHANGES,
        status_code=204,
        response_model=None,
        name=f"archive_{name_of_kind}",
        summary="Hide from lists",
    )
    def archive(
        name: str, workspace: Served, precondition: ConditionOf, version: VersionQuery = None
    ) -> None:
        kind.get_part(workspace).archive(name, version, precondition=precondition)

    @router.post(
        f"{root}/{{name}}/restore",
        dependencies=CHANGES,
        status_code=204,
        response_model=None,
        name=f"restore_{name_of_kind}",
        summary="Show in lists again",
    )
    def restore(
        name: str, workspace: Served, precondition: ConditionOf, version: VersionQuery = None
    ) -> None:
        kind.get_part(workspace).restore(name, version, precondition=precondition)

    @router.delete(
        f"{root}/{{name}}",
        dependencies=CHANGES,
        status_code=204,
        response_model=None,
        name=f"delete_{name_of_kind}",
        summary="Delete one version, or all",
    )
    def delete(
        name: str, workspace: Served, precondition: ConditionOf, version: VersionQuery = None
    ) -> None:
        kind.get_part(workspace).delete(name, version, precondition=precondition)


def _add_place(name_of_kind: str, kind: _Kind, changes: Any) -> None:
    root = f"/{name_of_kind}"

    @router.get(root, dependencies=READS, name=f"list_{name_of_kind}", summary="List by name")
    def list_places(
        workspace: Served, paging: PagingOf, archived: ArchivedView = "exclude"
    ) -> dict[str, Any]:
        return paging.cut(kind.get_part(workspace).list(archived=archived), show)

    @router.post(
        root,
        dependencies=changes,
        status_code=201,
        responses=MADE,
        name=f"make_{name_of_kind}",
        summary="Make, or replace",
    )
    def make_place(
        body: Making,
        response: Response,
        workspace: Served,
        started: StartedAt,
        precondition: ConditionOf,
        once: OnceOf,
    ) -> dict[str, Any]:
        def make() -> dict[str, Any]:
            found = kind.get_part(workspace).create(
                body.document, overrides=body.set, precondition=precondition
            )
            started.set_status(response, found.created_at)
            set_etag(response, found)
            return show(found)

        return once.run(response, make)

    @router.get(
        f"{root}/{{name}}", dependencies=READS, name=f"get_{name_of_kind}", summary="Show one"
    )
    def get_place(name: str, response: Response, workspace: Served) -> dict[str, Any]:
        found = kind.get_part(workspace).get(name)
        set_etag(response, found)
        return show(found)

    for verb in ("archive", "restore"):
        _add_verb(f"{root}/{{name}}/{verb}", verb, name_of_kind, kind, changes)

    @router.delete(
        f"{root}/{{name}}",
        dependencies=changes,
        status_code=204,
        response_model=None,
        name=f"delete_{name_of_kind}",
        summary="Delete one",
    )
    def delete_place(name: str, workspace: Served, precondition: ConditionOf) -> None:
        kind.get_part(workspace).delete(name, precondition=precondition)


def _add_verb(path: str, verb: str, name_of_kind: str, kind: _Kind, changes: Any) -> None:
    @router.post(
        path,
        dependencies=changes,
        status_code=204,
        response_model=None,
        name=f"{verb}_{name_of_kind}",
        summary={"archive": "Hide from lists", "restore": "Show in lists again"}[verb],
    )
    def change(name: str, workspace: Served, precondition: ConditionOf) -> None:
        getattr(kind.get_part(workspace), verb)(name, precondition=precondition)


for _name, _kind in _VERSIONED.items():
    _add_versioned(_name, _kind)
for _name, (_kind, _changes) in _PLACES.items():
    _add_place(_name, _kind, _changes)
