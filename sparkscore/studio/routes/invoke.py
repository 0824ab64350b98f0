"""Create job: what an endpoint is to score, where to, and with which settings. Control plane."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from sparkscore.control import InvokeRequest, PlannedRun, Workspace
from sparkscore.control.access.roles import Role
from sparkscore.errors import SparkscoreError
from sparkscore.rest.context import Served
from sparkscore.rest.datastore_paths import settle_request
from sparkscore.rest.rights import check_rights
from sparkscore.studio.access import INVOKES, Visit
from sparkscore.studio.forms import Form, FormOf
from sparkscore.studio.invocations import (
    INPUT_KINDS,
    SETTINGS,
    get_hints,
    get_settings,
    list_fields,
    read_request,
    repeat,
    take_error,
)
from sparkscore.studio.pages import redirect, render_page, render_segment
from sparkscore.studio.sessions import Session

router = APIRouter()


@router.get("/endpoints/{endpoint}/jobs/create", dependencies=INVOKES)
def show_form(endpoint: str, request: Request, workspace: Served, form: FormOf) -> Response:
    """The form; ``?deployment=NAME`` chooses one, ``?again=JOB`` asks for a job once more."""
    again = form.find("again")
    if again is not None:
        job = workspace.jobs.get(again)
        documents = {
            found.name: found.record.document
            for found in workspace.batch_deployments.list(endpoint)
        }
        form = repeat(workspace, job, documents.get(job.record.deployment_name or "", {}))
    return _render(request, workspace, endpoint, form)


@router.post("/endpoints/{endpoint}/jobs/create", dependencies=INVOKES)
def create_job(
    endpoint: str, request: Request, workspace: Served, form: FormOf, session: Visit
) -> Response:
    """Start the job, or show the form with what is wrong."""
    asked = _read(workspace, form, session)
    if asked is not None and not form.errors:
        try:
            job = workspace.batch_endpoints.invoke(endpoint, asked)
        except SparkscoreError as error:
            take_error(form, error)
        else:
            session.tell(f"Job {job.name} was started.")
            if form.is_on("make_default") and can_change(session) and asked.deployment_name:
                _make_default(workspace, endpoint, asked.deployment_name, session)
            return redirect(request, f"/jobs/{render_segment(job.name)}")
    return _render(request, workspace, endpoint, form, status=422)


@router.post("/endpoints/{endpoint}/jobs/plan", dependencies=INVOKES)
def preview_plan(
    endpoint: str, request: Request, workspace: Served, form: FormOf, session: Visit
) -> Response:
    """A part of the page: the plan of the job, or what is wrong beside its fields."""
    planned: PlannedRun | None = None
    asked = _read(workspace, form, session)
    if asked is not None and not form.errors:
        try:
            planned = workspace.batch_endpoints.plan(endpoint, asked)
        except SparkscoreError as error:
            take_error(form, error)
    return render_page(
        request, "invoke_plan.html", form=form, planned=planned, fields=list_fields()
    )


def _make_default(workspace: Workspace, endpoint: str, name: str, session: Session) -> None:
    """The job runs whatever comes of this."""
    try:
        workspace.batch_endpoints.update(endpoint, defaults=[f"deployment_name={name}"])
    except SparkscoreError as error:
        session.tell(f"Deployment {name} is not the default: {error.message}", "error")


def can_change(session: Session) -> bool:
    """Whether the person may choose the default deployment."""
    return session.principal.role.covers(Role.CONTRIBUTOR)


def _read(workspace: Workspace, form: Form, session: Session) -> InvokeRequest | None:
    """The request as REST would take it; None if the person may not ask for it."""
    asked = read_request(form)
    try:
        check_rights(asked, session.principal.role)
        return settle_request(workspace, asked)
    except SparkscoreError as error:
        take_error(form, error)
        return None


def _render(
    request: Request, workspace: Workspace, endpoint: str, form: Form, *, status: int = 200
) -> Response:
    found = workspace.batch_endpoints.get(endpoint)
    deployments = workspace.batch_deployments.list(endpoint)
    default = found.record.default_deployment
    chosen = form.get("deployment") or default or ""
    document = next((each.record.document for each in deployments if each.name == chosen), {})
    return render_page(
        request,
        "invoke.html",
        status=status,
        form=form,
        endpoint=found,
        deployments=deployments,
        default=default,
        assets=workspace.data.list(),
        datastores=workspace.datastores.list(),
        computes=workspace.computes.list(),
        input_kinds=INPUT_KINDS,
        settings=SETTINGS,
        hints=get_hints(),
        defaults=get_settings(document),
    )
