"""Endpoints: their list, and one with its tabs. Control plane."""

from __future__ import annotations

import json
import shlex
import time
from functools import partial
from typing import Any

from fastapi import APIRouter, Request
from starlette.datastructures import FormData
from starlette.responses import Response

from sparkscore.control import Endpoint, Workspace
from sparkscore.control.endpoints.precondition import Precondition
from sparkscore.control.endpoints.summaries import summarize_endpoints
from sparkscore.errors import SparkscoreError
from sparkscore.rest.context import Served
from sparkscore.studio.access import CHANGES, Visit
from sparkscore.studio.deployment_form import describe_error, iter_refusals
from sparkscore.studio.endpoint_search import filter_endpoints
from sparkscore.studio.forms import Form, FormOf
from sparkscore.studio.job_lists import read_jobs_page
from sparkscore.studio.pages import redirect, render_page, render_segment
from sparkscore.studio.pairs import read_pairs, render_pairs

router = APIRouter()


@router.get("/endpoints")
def list_endpoints(request: Request, workspace: Served, q: str = "") -> Response:
    """All endpoints by name, or those that ``q`` finds."""
    summaries = summarize_endpoints(workspace)
    return render_page(
        request,
        "endpoints.html",
        found=filter_endpoints(summaries, q),
        total=len(summaries),
        query=q.strip(),
    )


@router.get("/endpoints/{endpoint}")
def show_details(endpoint: str, request: Request, workspace: Served) -> Response:
    """Properties, deployments, and how to invoke it."""
    return _render_details(request, workspace, workspace.batch_endpoints.get(endpoint), Form())


@router.post("/endpoints/{endpoint}", dependencies=CHANGES)
def change_endpoint(
    endpoint: str, request: Request, workspace: Served, form: FormOf, visit: Visit
) -> Response:
    """Save description and tags."""
    try:
        tags = read_pairs(form.get("tags"))
    except ValueError as error:
        form.refuse("tags", f"{error}: write one NAME=VALUE a line")
    else:
        try:
            changed = workspace.batch_endpoints.update(
                endpoint,
                source={"name": endpoint, "description": form.get("description"), "tags": tags},
                precondition=Precondition(etags=frozenset({form.get("etag")})),
            )
        except SparkscoreError as error:
            for field, message in iter_refusals(describe_error(error)):
                form.refuse(field, message)
        else:
            visit.tell(f"Endpoint {changed.name} was saved.")
            return redirect(request, f"/endpoints/{render_segment(changed.name)}")
    found = workspace.batch_endpoints.get(endpoint)
    return _render_details(request, workspace, found, form, status=422)


@router.get("/endpoints/{endpoint}/deployments")
def list_deployments(endpoint: str, request: Request, workspace: Served) -> Response:
    """The deployments, and which one is the default."""
    return _render_tab(request, workspace, "endpoint_deployments.html", endpoint, "Deployments")


@router.post("/endpoints/{endpoint}/default", dependencies=CHANGES)
def set_default(
    endpoint: str, request: Request, workspace: Served, form: FormOf, visit: Visit
) -> Response:
    """Make another deployment the default."""
    chosen = form.get("default")
    if not chosen:
        form.refuse("", "Choose a deployment.")
        return _render_tab(
            *(request, workspace, "endpoint_deployments.html", endpoint, "Deployments"),
            form=form,
            status=422,
        )
    source = {"name": endpoint, "defaults": {"deployment_name": chosen}}
    found = workspace.batch_endpoints.update(endpoint, source=source)
    visit.tell(f"Deployment {chosen} is the default of endpoint {found.name} now.")
    return redirect(request, f"/endpoints/{render_segment(found.name)}/deployments")


@router.get("/endpoints/{endpoint}/jobs")
def list_jobs(endpoint: str, request: Request, workspace: Served, form: FormOf) -> Response:
    """The jobs of the endpoint, the newest first."""
    found = workspace.batch_endpoints.get(endpoint)
    list_own = partial(workspace.batch_endpoints.list_jobs, found.name)
    asked = {name: text for name, text in form.values().items() if name != "endpoint"}
    page = read_jobs_page(request, Form(FormData(asked)), list_own, at=time.time())
    return _render_tab(request, workspace, "endpoint_jobs.html", endpoint, "Jobs", page=page)


@router.post("/endpoints/{endpoint}/delete", dependencies=CHANGES)
def delete_endpoint(endpoint: str, request: Request, workspace: Served, visit: Visit) -> Response:
    """Delete it with its deployments; jobs stay."""
    name = workspace.batch_endpoints.get(endpoint).name
    workspace.batch_endpoints.delete(name)
    visit.tell(f"Endpoint {name} was deleted with its deployments. Its jobs are still there.")
    return redirect(request, "/endpoints")


def _render_details(
    request: Request, workspace: Workspace, endpoint: Endpoint, form: Form, *, status: int = 200
) -> Response:
    server = f"{request.url.scheme}://{request.url.netloc}"
    uri = f"{server}/batchEndpoints/{render_segment(endpoint.name)}/jobs"
    return _render_tab(
        *(request, workspace, "endpoint_details.html", endpoint.name, "Details"),
        form=form,
        status=status,
        tags_text=render_pairs(endpoint.record.tags),
        scoring_uri=uri,
        commands=list_commands(endpoint.name, uri),
    )


def _render_tab(
    request: Request, workspace: Workspace, template: str, endpoint: str, tab: str, **values: Any
) -> Response:
    shown = {"form": Form(), "job_count": None, **values}
    return render_page(
        request,
        template,
        endpoint=workspace.batch_endpoints.get(endpoint),
        deployments=workspace.batch_deployments.list(endpoint),
        tab=tab,
        **shown,
    )


def list_commands(name: str, scoring_uri: str) -> list[tuple[str, str]]:
    """Title and text of the commands that start a job of an endpoint."""
    path = "azureml://datastores/workspaceblobstore/paths/FOLDER"
    body = {"properties": {"InputData": {"input": {"JobInputType": "UriFolder", "Uri": path}}}}
    curl = (
        f"curl -X POST {shlex.quote(scoring_uri)} \\\n"
        '  -H "Authorization: Bearer $TOKEN" -H "Content-Type: application/json" \\\n'
        f"  -d {shlex.quote(json.dumps(body))}"
    )
    command = f"sparkscore batch-endpoint invoke --name {shlex.quote(name)} --input {path}"
    return [("Command line", command), ("HTTP", curl)]
