"""Why inputs of a job failed, and the job itself. Control plane."""

from __future__ import annotations

from zlib import crc32

from fastapi import APIRouter, Request
from starlette.responses import Response

from sparkscore.control.jobs.errors import FailureGroup
from sparkscore.control.jobs.failed_inputs import FAILED_INPUTS_FILE
from sparkscore.errors import SparkscoreError
from sparkscore.rest.context import Served
from sparkscore.studio.job_tabs import FAILURES, render_job

router = APIRouter()

MOST_GROUPS = 50
_QUICK_BYTES = 512 * 1024
"""What is grouped within a moment; a running job with a longer list is looked at less often."""


@router.get("/jobs/{job}/failures")
def show_failures(job: str, request: Request, workspace: Served) -> Response:
    """Failed inputs in groups of one kind; asked for again while the job runs."""
    found = workspace.jobs.get(job)
    errors = workspace.jobs.errors(job)
    try:
        file = workspace.jobs.get_file(job, f"artifacts/{FAILED_INPUTS_FILE}")
    except SparkscoreError:
        file = None
    return render_job(
        request,
        "job_failures_part.html" if "hx-request" in request.headers else "job_failures.html",
        found,
        tab=FAILURES,
        errors=errors,
        groups=[(_make_id(group), group) for group in errors.groups[:MOST_GROUPS]],
        group_count=len(errors.groups),
        file=file,
        poll_seconds=2 if file is None or file.byte_count < _QUICK_BYTES else 30,
    )


def _make_id(group: FailureGroup) -> str:
    """What a group is called on the page, also after others have come before it."""
    return f"failure-{crc32(f'{group.condition} {group.message}'.encode(errors='replace')):08x}"
