"""What people do with a job: cancel, resume, retry, archive, download. Control plane."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from sparkscore.control import InvokeRequest, Job, Workspace
from sparkscore.errors import SparkscoreError
from sparkscore.rest.context import Served
from sparkscore.rest.datastore_paths import settle_request
from sparkscore.rest.rights import check_rights
from sparkscore.rest.v1.jobs import download_job
from sparkscore.studio.access import INVOKES, Visit
from sparkscore.studio.forms import Form, FormOf
from sparkscore.studio.job_tabs import OVERVIEW, render_job
from sparkscore.studio.pages import redirect, render_segment

router = APIRouter()

RESUMABLE = ("error_threshold", "timeout", "max_retries")
"""Settings that the form to resume a job asks for."""


@router.post("/jobs/{job}/cancel", dependencies=INVOKES)
def cancel(job: str, request: Request, workspace: Served, session: Visit) -> Response:
    """Ask for the job's end."""
    found = workspace.jobs.cancel(job)
    session.tell(
        f"Job {job} was canceled." if found.is_ended else f"Job {job} ends within seconds."
    )
    return _go_to(request, job)


@router.post("/jobs/{job}/archive", dependencies=INVOKES)
def archive(job: str, request: Request, workspace: Served, session: Visit) -> Response:
    """Hide the job from lists."""
    workspace.jobs.archive(job)
    session.tell(f"Job {job} is hidden from lists. Restore brings it back.")
    return _go_to(request, job)


@router.post("/jobs/{job}/restore", dependencies=INVOKES)
def restore(job: str, request: Request, workspace: Served, session: Visit) -> Response:
    """Show the job in lists again."""
    workspace.jobs.restore(job)
    session.tell(f"Job {job} is in lists again.")
    return _go_to(request, job)


@router.get("/jobs/{job}/resume", dependencies=INVOKES)
def ask_resume(job: str, request: Request, workspace: Served) -> Response:
    """The form that lets a job go on."""
    return _show_resume(request, workspace, workspace.jobs.get(job), Form())


@router.post("/jobs/{job}/resume", dependencies=INVOKES)
def resume(job: str, request: Request, workspace: Served, form: FormOf, session: Visit) -> Response:
    """Let the job go on with the settings that were changed."""
    found = workspace.jobs.get(job)
    known = get_settings(found)
    changed = [
        f"{name}={form.get(name)}"
        for name in RESUMABLE
        if form.find(name) is not None and form.get(name) != known.get(name)
    ]
    try:
        asked = InvokeRequest(overrides=tuple(changed), compute=form.find("compute"))
        check_rights(asked, session.principal.role)
        workspace.jobs.resume(job, overrides=changed, compute=asked.compute)
    except SparkscoreError as error:
        form.take(error, _get_fields())
        return _show_resume(request, workspace, found, form, status=422)
    session.tell(f"Job {job} goes on from what was scored.")
    return _go_to(request, job)


@router.get("/jobs/{job}/retry", dependencies=INVOKES)
def ask_retry(job: str, request: Request, workspace: Served) -> Response:
    """The form that scores what failed once more."""
    return _show_retry(request, workspace, workspace.jobs.get(job), Form())


@router.post("/jobs/{job}/retry", dependencies=INVOKES)
def retry(job: str, request: Request, workspace: Served, form: FormOf, session: Visit) -> Response:
    """Start a new job on exactly the inputs that failed."""
    asked = InvokeRequest(deployment_name=form.find("deployment"), job_name=form.find("job_name"))
    try:
        made = workspace.jobs.retry_failed(job, settle_request(workspace, asked))
    except SparkscoreError as error:
        fields = {
            "DEPLOYMENT_NOT_FOUND": "deployment",
            "INVALID_JOB_NAME": "job_name",
            "JOB_NAME_CONFLICT": "job_name",
        }
        form.take(error, fields)
        return _show_retry(request, workspace, workspace.jobs.get(job), form, status=422)
    session.tell(f"Job {made.name} scores what failed in {job}.")
    return _go_to(request, made.name)


@router.get("/jobs/{job}/download")
def download(job: str, workspace: Served) -> Response:
    """Output, logs and account in one zip file."""
    outputs = list(workspace.jobs.get(job).record.outputs)
    return download_job(job, workspace, output_name=outputs[0] if outputs else "score", all_=True)


def get_settings(job: Job) -> dict[str, str]:
    """What the job ran with, of RESUMABLE, as texts of a form."""
    settings = job.record.deployment.get("settings") or {}
    found = {**settings, **(settings.get("retry_settings") or {})}
    return {name: str(found[name]) for name in RESUMABLE if found.get(name) is not None}


def _get_fields() -> dict[str, str]:
    """Fields by the keys and conditions that errors name."""
    names = {f"settings.{name}": name for name in RESUMABLE}
    retries = {f"settings.retry_settings.{name}": name for name in RESUMABLE}
    short = {f"retry_settings.{name}": name for name in RESUMABLE}
    computes = dict.fromkeys(("COMPUTE_NOT_FOUND", "INVALID_REFERENCE"), "compute")
    return {**names, **retries, **short, **computes}


def _show_resume(
    request: Request, workspace: Workspace, job: Job, form: Form, *, status: int = 200
) -> Response:
    return render_job(
        request,
        "job_resume.html",
        job,
        tab=OVERVIEW,
        status=status,
        form=form,
        settings=get_settings(job),
        computes=[(compute.name, compute.name) for compute in workspace.computes.list()],
    )


def _show_retry(
    request: Request, workspace: Workspace, job: Job, form: Form, *, status: int = 200
) -> Response:
    try:
        found = workspace.batch_deployments.list(str(job.record.endpoint_name))
    except SparkscoreError as error:
        found = None
        form.take(error)
    return render_job(
        request,
        "job_retry.html",
        job,
        tab=OVERVIEW,
        status=status,
        form=form,
        deployments=[(deployment.name, deployment.name) for deployment in found or ()],
    )


def _go_to(request: Request, job: str) -> Response:
    return redirect(request, f"/jobs/{render_segment(job)}")
