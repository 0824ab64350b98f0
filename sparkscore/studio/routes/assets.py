"""Lists, pages and forms of models, data, environments, datastores and computes. Control plane."""

from __future__ import annotations

import time
from functools import partial
from typing import Any
from urllib.parse import urlencode

from fastapi import APIRouter, Request
from starlette.datastructures import FormData
from starlette.responses import Response

from sparkscore.control.assets import model_look, preview
from sparkscore.control.workspace import Workspace
from sparkscore.errors import SparkscoreError
from sparkscore.rest.context import Served
from sparkscore.spec.rendering import render_yaml
from sparkscore.studio import compute_fields
from sparkscore.studio.access import CHANGES, OWNS, Visit
from sparkscore.studio.assets import (
    DATASTORE_FIELDS,
    KINDS,
    Kind,
    fill_form,
    find_lost_keys,
    register,
)
from sparkscore.studio.forms import Form, FormOf
from sparkscore.studio.job_lists import read_jobs_page
from sparkscore.studio.pages import redirect, render_page, render_segment

router = APIRouter()

PAGE_SIZE = 100
_MAX_PAGE = 1_000_000
_MAX_IMAGES = 24
_DONE = {"archive": "archived", "restore": "restored", "delete": "deleted"}


def _add_list(kind: Kind) -> None:
    @router.get(f"/{kind.key}")
    def list_assets(request: Request, workspace: Served, form: FormOf) -> Response:
        """By name, with the newest version of each."""
        shows_archived = form.is_on("archived")
        archived = "include" if shows_archived else "exclude"
        found = kind.get_part(workspace).list(archived=archived)
        rows = _group(found, form.get("q").casefold())
        number = _read_page(form)
        first = number * PAGE_SIZE
        return render_page(
            request,
            "asset_list.html",
            kind=kind,
            form=form,
            rows=rows[first : first + PAGE_SIZE],
            total=len(rows),
            is_searched=bool(form.get("q")),
            newer=_link(form, number - 1) if number else None,
            older=_link(form, number + 1) if first + PAGE_SIZE < len(rows) else None,
        )


def _group(found: Any, wanted: str) -> list[tuple[Any, int]]:
    """The newest entity of each name, and how many there are; names or descriptions with a text."""
    groups: dict[str, list[Any]] = {}
    for entity in found:
        groups.setdefault(entity.name, []).append(entity)
    newest = sorted(groups.values(), key=lambda group: group[0].name.casefold())
    return [(group[0], len(group)) for group in newest if wanted in _describe(group[0])]


def _describe(entity: Any) -> str:
    described = getattr(entity, "description", None) or entity.to_dict().get("description") or ""
    return f"{entity.name} {described}".casefold()


def _read_page(form: Form) -> int:
    text = form.get("page", "0")
    return min(int(text), _MAX_PAGE) if text.isdecimal() and len(text) < 8 else 0


def _link(form: Form, page: int) -> str:
    return "?" + urlencode({**form.values(), "page": page})


def _add_form(kind: Kind) -> None:
    rights = OWNS if kind.is_of_owners else CHANGES

    def show(request: Request, form: Form, status: int = 200) -> Response:
        page = {"compute_fields": compute_fields, "datastore_fields": DATASTORE_FIELDS}
        name = f"asset_register_{kind.key}.html"
        return render_page(request, name, status=status, kind=kind, form=form, **page)

    @router.get(f"/{kind.key}/register", dependencies=rights)
    def show_form(request: Request, form: FormOf) -> Response:
        """The form; fields in the address fill it in."""
        return show(request, form)

    @router.post(f"/{kind.key}/register", dependencies=rights)
    def make_asset(request: Request, workspace: Served, form: FormOf, visit: Visit) -> Response:
        """Register what the form says."""
        made = register(kind, workspace, form)
        if made is None:
            return show(request, form, status=422)
        visit.tell(f"{kind.one.capitalize()} {made.name} is registered.")
        return redirect(request, _get_address(kind, made))


def _get_address(kind: Kind, entity: Any) -> str:
    address = f"/{kind.key}/{render_segment(entity.name)}"
    return f"{address}/{render_segment(entity.version)}" if kind.is_versioned else address


def _add_versions(kind: Kind) -> None:
    @router.get(f"/{kind.key}/{{name}}")
    def list_versions(request: Request, name: str, workspace: Served) -> Response:
        """All versions of a name, archived ones too."""
        versions = kind.get_part(workspace).list(name, archived="include")
        return render_page(
            request, "asset_versions.html", kind=kind, name=name, versions=list(versions)
        )

    @router.get(f"/{kind.key}/{{name}}/{{version}}")
    def show_version(
        request: Request, name: str, version: str, workspace: Served, form: FormOf
    ) -> Response:
        """One version."""
        entity = kind.get_part(workspace).get(name, version)
        return render_page(
            request,
            f"asset_{kind.key}.html",
            kind=kind,
            entity=entity,
            address=_get_address(kind, entity),
            **_look(kind, workspace, entity, waits=form.is_on("look")),
        )

    if kind.key in ("models", "data"):
        _add_look(kind)
    for verb in _DONE:
        _add_version_verb(kind, verb)


def _look(kind: Kind, workspace: Workspace, entity: Any, *, waits: bool) -> dict[str, Any]:
    """What there is to see of it; a store that does not answer costs no more than that.

    ``waits``: also for a store that may take long; else the page asks for that later.
    """
    if kind.key == "environments":
        return {"conda": render_yaml(entity.document.get("conda_file") or {})}
    seen: dict[str, Any] = {"look": None, "problem": None, "max_images": _MAX_IMAGES}
    is_model = kind.key == "models"
    try:
        is_far = model_look.is_far(entity) if is_model else preview.is_far(workspace, entity)
        if is_far and not waits:
            return {**seen, "is_far": True}
        looked: Any = (
            model_look.look_at_model(entity)
            if is_model
            else preview.preview_data(workspace, entity)
        )
    except SparkscoreError as error:
        return {**seen, "is_far": False, "problem": error.message}
    return {**seen, "is_far": False, "look": looked}


def _add_look(kind: Kind) -> None:
    @router.get(f"/{kind.key}/{{name}}/{{version}}/look")
    def show_look(request: Request, name: str, version: str, workspace: Served) -> Response:
        """The part of the page that shows what is in a store."""
        entity = kind.get_part(workspace).get(name, version)
        return render_page(
            request,
            f"asset_{kind.key}_look.html",
            entity=entity,
            address=_get_address(kind, entity),
            **_look(kind, workspace, entity, waits=True),
        )


def _add_version_verb(kind: Kind, verb: str) -> None:
    @router.post(f"/{kind.key}/{{name}}/{{version}}/{verb}", dependencies=CHANGES)
    def change(
        request: Request, name: str, version: str, workspace: Served, visit: Visit
    ) -> Response:
        getattr(kind.get_part(workspace), verb)(name, version)
        visit.tell(f"{kind.one.capitalize()} {name} version {version} is {_DONE[verb]}.")
        if verb == "delete":
            return redirect(request, f"/{kind.key}")
        return redirect(request, f"/{kind.key}/{render_segment(name)}/{render_segment(version)}")


def _add_place(kind: Kind) -> None:
    @router.get(f"/{kind.key}/{{name}}")
    def show_place(request: Request, name: str, workspace: Served, form: FormOf) -> Response:
        """One of them, as its document says it: there is nothing secret in it."""
        entity = kind.get_part(workspace).get(name)
        return render_page(
            request,
            f"asset_{kind.key}.html",
            kind=kind,
            entity=entity,
            address=_get_address(kind, entity),
            change=_find_change_address(kind, entity),
            **(_show_compute(request, workspace, entity, form) if kind.key == "computes" else {}),
        )

    rights = OWNS if kind.is_of_owners else CHANGES
    for verb in _DONE:
        _add_place_verb(kind, verb, rights)


def _show_compute(
    request: Request, workspace: Workspace, compute: Any, form: Form
) -> dict[str, Any]:
    """The settings of a compute, what makes it, and the jobs that ran on it."""
    shown = list(compute_fields.iter_shown(compute.type, compute.document))
    return {
        "types": compute_fields.TYPES,
        "facts": [(field, field.show(value)) for field, value in shown if field.kind != "pairs"],
        "maps": [(field, value) for field, value in shown if field.kind == "pairs"],
        "yaml": render_yaml(compute.document),
        "page": read_jobs_page(
            request,
            Form(FormData({"before": form.get("before")})),
            partial(workspace.jobs.list, compute_name=compute.name),
            at=time.time(),
        ),
    }


def _find_change_address(kind: Kind, entity: Any) -> str | None:
    """The form filled in; None for what has keys that the form lacks, and would lose them."""
    if find_lost_keys(kind, entity):
        return None
    return f"/{kind.key}/register?{urlencode(fill_form(kind, entity))}"


def _add_place_verb(kind: Kind, verb: str, rights: Any) -> None:
    @router.post(f"/{kind.key}/{{name}}/{verb}", dependencies=rights)
    def change(request: Request, name: str, workspace: Served, visit: Visit) -> Response:
        getattr(kind.get_part(workspace), verb)(name)
        visit.tell(f"{kind.one.capitalize()} {name} is {_DONE[verb]}.")
        address = f"/{kind.key}" if verb == "delete" else f"/{kind.key}/{render_segment(name)}"
        return redirect(request, address)


@router.get("/data/{name}/{version}/image")
def show_image(request: Request, name: str, version: str, workspace: Served) -> Response:
    """One picture of a data asset, named by ``path`` in the address."""
    asset = workspace.data.get(name, version)
    image = preview.read_image(workspace, asset, request.query_params.get("path", ""))
    headers = {
        "Cache-Control": "private, max-age=300",
        "Content-Security-Policy": "default-src 'none'; sandbox",
    }
    return Response(image.content, media_type=image.media_type, headers=headers)


for _kind in KINDS.values():
    _add_list(_kind)
    _add_form(_kind)
    if _kind.is_versioned:
        _add_versions(_kind)
    else:
        _add_place(_kind)
