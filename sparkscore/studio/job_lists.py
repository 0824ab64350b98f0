"""Jobs as rows of a table, a page at a time. Control plane."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from fastapi import Request

from sparkscore.control.jobs.job import Job
from sparkscore.studio.forms import Form

PAGE_SIZE = 50
FILTERS = ("endpoint", "deployment", "status", "experiment", "archived")


@dataclass(frozen=True)
class JobRow:
    """What a list shows of a job: progress from 0 to 1 (None while unknown), counts of inputs."""

    name: str
    display_name: str
    endpoint_name: str | None
    deployment_name: str | None
    status: str
    progress: float | None
    input_count: int | None
    failed_count: int | None
    seconds: float | None
    created_at: float
    is_archived: bool


@dataclass(frozen=True)
class JobsPage:
    """One page of a list. ``newest`` and ``older`` are addresses of other pages, ``here`` this
    one's; ``filters`` are those that are set. ``is_live``: a job of it may still change."""

    rows: Sequence[JobRow]
    here: str
    newest: str | None
    older: str | None
    filters: dict[str, str]
    is_live: bool


def read_jobs_page(
    request: Request, form: Form, list_jobs: Callable[..., Sequence[Job]], *, at: float
) -> JobsPage:
    """The page of jobs that ``form`` asks for, with its filters and ``before``.

    ``list_jobs`` takes what ``Jobs.list`` does, or what ``BatchEndpoints.list_jobs`` does once it
    is bound to an endpoint; ``at`` is now, in seconds since the epoch. Raises NotFoundError
    (JOB_NOT_FOUND), InvalidFieldError (UNKNOWN_STATUS).
    """
    filters = {name: form.get(name) for name in FILTERS if form.get(name)}
    asked: dict[str, Any] = {
        "endpoint_name": filters.get("endpoint"),
        "deployment_name": filters.get("deployment"),
        "status": filters.get("status"),
        "experiment_name": filters.get("experiment"),
        "before": form.find("before"),
    }
    archived = filters.get("archived", "exclude")
    found = list_jobs(
        max_results=PAGE_SIZE + 1,
        archived=archived if archived in ("include", "only") else "exclude",
        **{name: value for name, value in asked.items() if value is not None},
    )
    shown = found[:PAGE_SIZE]
    place = request.scope["path"]

    def link(**more: str) -> str:
        query = urlencode({**filters, **more})
        return f"{place}?{query}" if query else place

    before = form.find("before")
    return JobsPage(
        rows=[make_row(job, at=at) for job in shown],
        here=link(**({"before": before} if before else {})),
        newest=link() if before else None,
        older=link(before=shown[-1].name) if len(found) > PAGE_SIZE else None,
        filters=filters,
        is_live=any(not job.is_ended for job in shown),
    )


def make_row(job: Job, *, at: float) -> JobRow:
    """A job as a row; ``at`` is now, in seconds since the epoch."""
    record = job.record
    counts = job.input_counts
    input_count = failed_count = progress = None
    if counts is not None:
        input_count, failed_count = counts["total"], counts["failed"]
        if input_count:
            progress = (counts["succeeded"] + counts["failed"]) / input_count
    elif job.progress is not None and job.progress.inputs:
        live = job.progress
        input_count, failed_count = live.inputs, live.inputs_failed
        progress = (live.inputs_succeeded + live.inputs_failed) / live.inputs
    seconds = None
    if record.started_at is not None:
        seconds = max(0.0, (record.ended_at or at) - record.started_at)
    return JobRow(
        name=job.name,
        display_name=record.display_name,
        endpoint_name=record.endpoint_name,
        deployment_name=record.deployment_name,
        status=job.status,
        progress=None if progress is None else min(1.0, progress),
        input_count=input_count,
        failed_count=failed_count,
        seconds=seconds,
        created_at=record.created_at,
        is_archived=record.is_archived,
    )
