"""The list of jobs. Control plane."""

from __future__ import annotations

import time

from fastapi import APIRouter, Request
from starlette.responses import Response

from sparkscore.control.jobs.history import STATUSES, count_jobs_by_day
from sparkscore.errors import InvalidFieldError
from sparkscore.rest.context import Served
from sparkscore.studio.forms import FormOf
from sparkscore.studio.job_history import draw_history
from sparkscore.studio.job_lists import read_jobs_page
from sparkscore.studio.pages import render_page

router = APIRouter()


@router.get("/jobs")
def list_jobs(request: Request, workspace: Served, form: FormOf) -> Response:
    """Jobs, the newest first, and how many there were on each of the last days."""
    now = time.time()
    try:
        page = read_jobs_page(request, form, workspace.jobs.list, at=now)
    except InvalidFieldError as error:
        form.take(error, {"UNKNOWN_STATUS": "status"})
        page = None
    days = count_jobs_by_day(
        workspace,
        endpoint_name=form.find("endpoint"),
        deployment_name=form.find("deployment"),
        experiment_name=form.find("experiment"),
        now=now,
    )
    return render_page(
        request,
        "jobs.html",
        status=200 if page is not None else 422,
        form=form,
        page=page,
        days=days,
        chart=draw_history(days),
        statuses=[(status, status) for status in STATUSES],
        endpoint_names=[endpoint.name for endpoint in workspace.batch_endpoints.list()],
    )
