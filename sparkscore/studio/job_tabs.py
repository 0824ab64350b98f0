"""What all pages of a job share: its head, its actions and its tabs. Control plane."""

from __future__ import annotations

from typing import Any

from fastapi import Request
from starlette.responses import Response

from sparkscore.control.jobs.job import Job
from sparkscore.studio.lineage import find_compute_address, find_web_address
from sparkscore.studio.pages import render_page

OVERVIEW = "Overview"
FAILURES = "Failures"
LOGS = "Logs"
OUTPUTS = "Outputs + logs"
SETTINGS = "Settings"


def render_job(
    request: Request, template: str, job: Job, *, tab: str, status: int = 200, **values: Any
) -> Response:
    """A tab of the job's page, or a part of one.

    ``template`` extends ``job_base.html`` and fills its block ``tab``; it knows ``job``, ``tab``
    (one of the names above), ``failed_count`` (failed inputs so far, None while unknown),
    ``compute_place`` (the page of its compute), ``platform_run``, ``platform_url`` (its page there)
    and ``values``.
    """
    return render_page(
        request,
        template,
        status=status,
        job=job,
        tab=tab,
        failed_count=find_failed_count(job),
        compute_place=find_compute_address(str(job.record.compute.get("name") or "")),
        platform_run=job.platform_run,
        platform_url=find_web_address((job.platform_run or {}).get("url")),
        **values,
    )


def find_failed_count(job: Job) -> int | None:
    """How many inputs have failed so far; None while nobody has counted."""
    if job.input_counts is not None:
        return job.input_counts["failed"]
    return None if job.progress is None else job.progress.inputs_failed
