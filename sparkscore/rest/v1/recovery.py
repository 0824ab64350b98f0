"""Jobs that failed, below ``/api/v1``: why, and how they go on. Control plane."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from fastapi import APIRouter, Response

from sparkscore.control import InvokeRequest
from sparkscore.rest.context import Served
from sparkscore.rest.datastore_paths import settle_request
from sparkscore.rest.idempotency import KeyOf, find_job_name
from sparkscore.rest.openapi import MADE
from sparkscore.rest.rights import check_rights
from sparkscore.rest.started import StartedAt
from sparkscore.rest.v1.bodies import READS, Invocation, Invoker, show

router = APIRouter(tags=["v1: jobs"])


@dataclass(frozen=True)
class Resuming:
    """What a job goes on with; see ``sparkscore job resume --help``."""

    set: list[str] = field(default_factory=list)
    conf: list[str] = field(default_factory=list)
    compute: str | None = None
    __pydantic_config__: ClassVar[Mapping[str, Any]] = {"extra": "forbid"}


@router.get("/jobs/{job}/errors", dependencies=READS)
def show_errors(job: str, workspace: Served) -> dict[str, Any]:
    """Why inputs of the job failed, grouped, and what ended it."""
    return show(workspace.jobs.errors(job))


@router.post("/jobs/{job}/resume")
def resume_job(job: str, body: Resuming, workspace: Served, principal: Invoker) -> dict[str, Any]:
    """Let a Failed, Canceled or killed job go on from what is staged, and return at once."""
    asked = InvokeRequest(overrides=tuple(body.set), conf=tuple(body.conf), compute=body.compute)
    check_rights(asked, principal.role)
    return show(
        workspace.jobs.resume(job, overrides=body.set, conf=body.conf, compute=body.compute)
    )


@router.post("/jobs/{job}/retry-failed", status_code=201, responses=MADE)
def retry_failed(
    job: str,
    body: Invocation,
    response: Response,
    workspace: Served,
    principal: Invoker,
    started: StartedAt,
    key: KeyOf,
) -> dict[str, Any]:
    """Start a new job on exactly the inputs that failed in this one, and return at once."""
    request = body.to_request()
    check_rights(request, principal.role)
    if request.job_name is None:
        request = replace(request, job_name=find_job_name(f"retry of {job}", key))
    made = workspace.jobs.retry_failed(job, settle_request(workspace, request))
    started.set_status(response, made.record.created_at)
    return show(made)
