"""The page of a job: how it goes, and how it went. Control plane."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from sparkscore.control.jobs.job import Job
from sparkscore.control.workspace import Workspace
from sparkscore.rest.context import Served
from sparkscore.studio.job_overview import (
    Overview,
    Selection,
    find_level,
    make_overview,
)
from sparkscore.studio.job_tabs import OVERVIEW, render_job

router = APIRouter()

PANEL = "mini-batches"
"""Id of the part of the page that lists mini-batches."""


@router.get("/jobs/{job}")
def show_job(job: str, request: Request, workspace: Served) -> Response:
    """The Overview tab; only its list of mini-batches where htmx asks for that."""
    overview = _make_overview(workspace, job, Selection.of(request.query_params))
    is_part = request.headers.get("hx-target") == PANEL
    template = "job_mini_batches.html" if is_part else "job_overview.html"
    return _render(request, template, overview)


@router.get("/jobs/{job}/live")
def refresh_job(job: str, request: Request, workspace: Served) -> Response:
    """What changes on the Overview tab while the job runs."""
    selection = Selection.of_url(request.headers.get("hx-current-url"))
    return _render(request, "job_live.html", _make_overview(workspace, job, selection))


@router.get("/jobs/{job}/head")
def refresh_head(job: str, request: Request, workspace: Served, tab: str = OVERVIEW) -> Response:
    """Status and tabs of a running job."""
    return render_job(request, "job_head_part.html", workspace.jobs.get(job), tab=tab)


def _make_overview(workspace: Workspace, name: str, selection: Selection) -> Overview:
    job: Job = workspace.jobs.get(name)
    jobs_ahead = 0 if job.is_ended else workspace.jobs.count_ahead(name)
    return make_overview(job, selection, jobs_ahead=jobs_ahead)


def _render(request: Request, template: str, overview: Overview) -> Response:
    values: dict[str, Any] = {
        "overview": overview,
        "find_level": find_level,
        "head_polls": False,
    }
    return render_job(request, template, overview.job, tab=OVERVIEW, **values)
