"""One deployment of an endpoint: everything about it, and its settings to edit. Control plane."""

from __future__ import annotations

import time
from functools import partial
from typing import Any

from fastapi import APIRouter, Request
from starlette.datastructures import FormData
from starlette.responses import Response

from sparkscore.control import Deployment, Workspace
from sparkscore.control.assets.code_files import list_code_files, read_code_file
from sparkscore.control.assets.entities import CodeAsset
from sparkscore.control.endpoints.precondition import Precondition
from sparkscore.errors import NotFoundError, SparkscoreError
from sparkscore.rest.context import Served
from sparkscore.spec import AssetReference, parse_asset, render_yaml
from sparkscore.studio.access import CHANGES, Visit
from sparkscore.studio.choices import ALL_STEPS, list_choices
from sparkscore.studio.code_choice import find_code, settle_code
from sparkscore.studio.deployment_form import (
    MLFLOW,
    NO,
    describe_error,
    iter_refusals,
    list_defaults,
    read_document,
    uses_script,
    write_document,
)
from sparkscore.studio.forms import Form, FormOf
from sparkscore.studio.job_lists import read_jobs_page
from sparkscore.studio.pages import redirect, render_page, render_segment
from sparkscore.studio.setting_fields import get_fields, iter_groups

router = APIRouter()

_PLACE = "/endpoints/{endpoint}/deployments/{deployment}"


@router.get(_PLACE)
def show_deployment(
    endpoint: str, deployment: str, request: Request, workspace: Served, form: FormOf
) -> Response:
    """Settings, model, code (``?file=PATH`` shows a file), environment, compute, YAML and jobs."""
    found = workspace.batch_deployments.get(deployment, endpoint)
    document = found.record.document
    configuration = document.get("code_configuration") or {}
    list_own = partial(workspace.batch_deployments.list_jobs, found.name, found.endpoint_name)
    before = FormData({"before": form.get("before")})
    return render_page(
        request,
        "deployment.html",
        endpoint=workspace.batch_endpoints.get(endpoint),
        deployment=found,
        deployments=workspace.batch_deployments.list(endpoint),
        document=document,
        values=read_document(document),
        yaml=render_yaml(document),
        page=read_jobs_page(request, Form(before), list_own, at=time.time()),
        **_describe_groups(),
        **_find_places(document),
        **_look_at_code(workspace, configuration, form.find("file")),
    )


@router.get(f"{_PLACE}/edit", dependencies=CHANGES)
def show_edit(endpoint: str, deployment: str, request: Request, workspace: Served) -> Response:
    """All that can be changed."""
    found = workspace.batch_deployments.get(deployment, endpoint)
    values = {**read_document(found.record.document), "etag": found.etag}
    return _render_edit(request, workspace, found, Form(FormData(values)))


@router.post(f"{_PLACE}/edit", dependencies=CHANGES)
def save_edit(
    endpoint: str,
    deployment: str,
    request: Request,
    workspace: Served,
    form: FormOf,
    visit: Visit,
) -> Response:
    """Save it, unless somebody else changed it meanwhile."""
    found = workspace.batch_deployments.get(deployment, endpoint)
    sent = dict.fromkeys(list_defaults(), "")
    values = {**sent, **{name: form.get(name) for name in form.values()}, "name": found.name}
    form = Form(FormData(values))
    document = _read_changes(workspace, found, values, form)
    if document is not None:
        try:
            workspace.batch_deployments.update(
                found.name,
                found.endpoint_name,
                source=document,
                precondition=Precondition(etags=frozenset({form.get("etag")})),
            )
        except SparkscoreError as error:
            for field, message in iter_refusals(describe_error(error)):
                form.refuse(field, message)
        else:
            visit.tell(f"Deployment {found.name} was saved.")
            return redirect(request, _render_place(found))
    return _render_edit(request, workspace, found, form, status=422)


@router.post(f"{_PLACE}/delete", dependencies=CHANGES)
def delete_deployment(
    endpoint: str,
    deployment: str,
    request: Request,
    workspace: Served,
    form: FormOf,
    visit: Visit,
) -> Response:
    """Delete it; ``new_default`` takes its place where it is the default. Jobs stay."""
    found = workspace.batch_deployments.get(deployment, endpoint)
    workspace.batch_deployments.delete(
        found.name, found.endpoint_name, new_default=form.find("new_default")
    )
    visit.tell(f"Deployment {found.name} was deleted. Its jobs are still there.")
    return redirect(request, f"/endpoints/{render_segment(found.endpoint_name)}/deployments")


def _read_changes(
    workspace: Workspace, found: Deployment, values: dict[str, str], form: Form
) -> dict[str, Any] | None:
    """The document that was meant; None if it cannot be said, which ``form`` tells."""
    if not values["model"]:
        form.refuse("model", "Choose a model.")
        return None
    values["model_type"] = MLFLOW if values["use_script"] == NO else ""
    if uses_script(values):
        values.update(settle_code(workspace, form))
        form.data = FormData(values)
    document, wrong = write_document(values, found.record.document)
    for field, message in wrong.items():
        form.refuse(field, message)
    return None if form.errors else document


def _render_edit(
    request: Request, workspace: Workspace, found: Deployment, form: Form, *, status: int = 200
) -> Response:
    values = {**list_defaults(), **form.values()}
    return render_page(
        request,
        "deployment_edit.html",
        status=status,
        deployment=found,
        form=form,
        fields_of=get_fields(),
        **_describe_groups(),
        **list_choices(workspace, ALL_STEPS, values),
    )


def _describe_groups() -> dict[str, Any]:
    return {
        "groups": list(iter_groups(more=False)),
        "more_groups": list(iter_groups(more=True)),
    }


def _find_places(document: dict[str, Any]) -> dict[str, Any]:
    """Pages of what the deployment refers to; None for what has none."""
    model, environment = (
        _find_asset(str(document.get(kind) or ""), kind) for kind in ("model", "environment")
    )
    compute = str(document.get("compute") or "")
    has_page = compute.startswith("azureml:")
    name = compute.removeprefix("azureml:")
    return {
        "model_place": None if model is None else f"/models/{_render_asset(model)}",
        "environment_place": (
            None if environment is None else f"/environments/{_render_asset(environment)}"
        ),
        "compute_place": f"/computes/{render_segment(name)}" if has_page else None,
    }


def _find_asset(reference: str, kind: Any) -> AssetReference | None:
    try:
        return parse_asset(reference, kind=kind)
    except SparkscoreError:
        return None


def _render_asset(asset: AssetReference) -> str:
    return f"{render_segment(asset.name)}/{render_segment(asset.version or '')}"


def _look_at_code(
    workspace: Workspace, configuration: dict[str, str], chosen: str | None
) -> dict[str, Any]:
    """The code's files, and the one that is shown: the scoring script unless another is chosen."""
    code: CodeAsset | None = find_code(workspace, configuration.get("code", ""))
    if code is None:
        return {"code": None, "files": [], "shown": None}
    try:
        shown = read_code_file(code, chosen or configuration["scoring_script"])
    except NotFoundError:
        if chosen is not None:
            raise
        shown = None
    return {"code": code, "files": list_code_files(code), "shown": shown}


def _render_place(found: Deployment) -> str:
    endpoint = render_segment(found.endpoint_name)
    return f"/endpoints/{endpoint}/deployments/{render_segment(found.name)}"
