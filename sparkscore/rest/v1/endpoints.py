"""Endpoints and deployments below ``/api/v1``. Control plane."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, ClassVar

from fastapi import APIRouter, Query, Response
from starlette.background import BackgroundTask
from starlette.responses import FileResponse

from sparkscore.rest.context import Served
from sparkscore.rest.datastore_paths import settle_request
from sparkscore.rest.etags import ConditionOf, set_etag
from sparkscore.rest.idempotency import KeyOf, OnceOf, find_job_name
from sparkscore.rest.openapi import MADE
from sparkscore.rest.rights import check_rights
from sparkscore.rest.started import StartedAt
from sparkscore.rest.v1.bodies import (
    CHANGES,
    READS,
    Changes,
    Invocation,
    Invoker,
    Making,
    MakingDeployment,
    PagingOf,
    show,
)

router = APIRouter(tags=["v1: endpoints"])


@dataclass(frozen=True)
class Compiling(Invocation):
    """A job to write for a target instead of running it."""

    target: str = "spark-submit"
    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}


@router.get("/endpoints", dependencies=READS)
def list_endpoints(workspace: Served, paging: PagingOf) -> dict[str, Any]:
    """List endpoints."""
    return paging.cut(workspace.batch_endpoints.list(), show)


@router.post("/endpoints", dependencies=CHANGES, status_code=201, responses=MADE)
def make_endpoint(
    body: Making,
    response: Response,
    workspace: Served,
    started: StartedAt,
    precondition: ConditionOf,
    once: OnceOf,
) -> dict[str, Any]:
    """Make an endpoint, or change what is given of the one of that name."""

    def make() -> dict[str, Any]:
        found = workspace.batch_endpoints.create(
            body.document, overrides=body.set, precondition=precondition
        )
        started.set_status(response, found.record.created_at)
        set_etag(response, found)
        return show(found)

    return once.run(response, make)


@router.get("/endpoints/{endpoint}", dependencies=READS)
def get_endpoint(endpoint: str, response: Response, workspace: Served) -> dict[str, Any]:
    """Show an endpoint."""
    found = workspace.batch_endpoints.get(endpoint)
    set_etag(response, found)
    return show(found)


@router.patch("/endpoints/{endpoint}", dependencies=CHANGES)
def change_endpoint(
    endpoint: str,
    body: Changes,
    response: Response,
    workspace: Served,
    precondition: ConditionOf,
) -> dict[str, Any]:
    """Change description, tags, properties or the default deployment."""
    found = workspace.batch_endpoints.update(
        endpoint, source=body.document, precondition=precondition, **body.to_arguments()
    )
    set_etag(response, found)
    return show(found)


@router.delete("/endpoints/{endpoint}", dependencies=CHANGES, status_code=204, response_model=None)
def delete_endpoint(endpoint: str, workspace: Served, precondition: ConditionOf) -> None:
    """Delete an endpoint and its deployments; its jobs stay."""
    workspace.batch_endpoints.delete(endpoint, precondition=precondition)


@router.get("/endpoints/{endpoint}/jobs", dependencies=READS)
def list_endpoint_jobs(endpoint: str, workspace: Served, paging: PagingOf) -> dict[str, Any]:
    """List the jobs of an endpoint, the newest first."""

    def list_jobs(**wanted: Any) -> Any:
        return workspace.batch_endpoints.list_jobs(endpoint, **wanted)

    return paging.cut_jobs(list_jobs, show)


@router.post("/endpoints/{endpoint}/invoke", status_code=201, responses=MADE)
def invoke(
    endpoint: str,
    body: Invocation,
    response: Response,
    workspace: Served,
    principal: Invoker,
    started: StartedAt,
    key: KeyOf,
) -> dict[str, Any]:
    """Start a job and return at once."""
    request = body.to_request()
    if request.job_name is None:
        request = replace(request, job_name=find_job_name(endpoint, key))
    check_rights(request, principal.role)
    job = workspace.batch_endpoints.invoke(endpoint, settle_request(workspace, request))
    started.set_status(response, job.record.created_at)
    return show(job)


@router.post("/endpoints/{endpoint}/plan")
def plan(endpoint: str, body: Invocation, workspace: Served, principal: Invoker) -> dict[str, Any]:
    """What ``invoke`` would score, and in which pieces; starts no job."""
    request = body.to_request()
    check_rights(request, principal.role)
    return show(workspace.batch_endpoints.plan(endpoint, settle_request(workspace, request)))


@router.get("/endpoints/{endpoint}/deployments", dependencies=READS)
def list_deployments(endpoint: str, workspace: Served, paging: PagingOf) -> dict[str, Any]:
    """List the deployments of an endpoint."""
    return paging.cut(workspace.batch_deployments.list(endpoint), show)


@router.post(
    "/endpoints/{endpoint}/deployments", dependencies=CHANGES, status_code=201, responses=MADE
)
def make_deployment(
    endpoint: str,
    body: MakingDeployment,
    response: Response,
    workspace: Served,
    started: StartedAt,
    precondition: ConditionOf,
    once: OnceOf,
) -> dict[str, Any]:
    """Make a deployment, or replace the one of that name."""

    def make() -> dict[str, Any]:
        found = workspace.batch_deployments.create(
            body.document,
            endpoint_name=endpoint,
            overrides=body.set,
            set_default=body.set_default,
            skip_script_validation=body.skip_script_validation,
            precondition=precondition,
        )
        started.set_status(response, found.record.created_at)
        set_etag(response, found)
        return show(found)

    return once.run(response, make)


@router.post("/endpoints/{endpoint}/deployments:validate", dependencies=CHANGES)
def validate_deployment(endpoint: str, body: Making, workspace: Served) -> dict[str, Any]:
    """Check a deployment and all that it refers to; registers nothing."""
    return workspace.batch_deployments.validate(
        body.document, endpoint_name=endpoint, overrides=body.set
    )


@router.get("/endpoints/{endpoint}/deployments/{deployment}", dependencies=READS)
def get_deployment(
    endpoint: str, deployment: str, response: Response, workspace: Served
) -> dict[str, Any]:
    """Show a deployment."""
    found = workspace.batch_deployments.get(deployment, endpoint)
    set_etag(response, found)
    return show(found)


@router.patch("/endpoints/{endpoint}/deployments/{deployment}", dependencies=CHANGES)
def change_deployment(
    endpoint: str,
    deployment: str,
    body: Changes,
    response: Response,
    workspace: Served,
    precondition: ConditionOf,
) -> dict[str, Any]:
    """Change code, model, environment or settings; jobs keep what they ran."""
    found = workspace.batch_deployments.update(
        deployment,
        endpoint,
        source=body.document,
        precondition=precondition,
        **body.to_arguments(),
    )
    set_etag(response, found)
    return show(found)


@router.delete(
    "/endpoints/{endpoint}/deployments/{deployment}",
    dependencies=CHANGES,
    status_code=204,
    response_model=None,
)
def delete_deployment(
    endpoint: str,
    deployment: str,
    workspace: Served,
    precondition: ConditionOf,
    new_default: Annotated[str | None, Query(description="What takes the default's place.")] = None,
) -> None:
    """Delete a deployment; its jobs stay."""
    workspace.batch_deployments.delete(
        deployment, endpoint, new_default=new_default, precondition=precondition
    )


@router.get("/endpoints/{endpoint}/deployments/{deployment}/jobs", dependencies=READS)
def list_deployment_jobs(
    endpoint: str, deployment: str, workspace: Served, paging: PagingOf
) -> dict[str, Any]:
    """List the jobs of a deployment, the newest first."""

    def list_jobs(**wanted: Any) -> Any:
        return workspace.batch_deployments.list_jobs(deployment, endpoint, **wanted)

    return paging.cut_jobs(list_jobs, show)


@router.post(
    "/endpoints/{endpoint}/deployments/{deployment}/compile",
    dependencies=CHANGES,
    response_class=FileResponse,
    response_model=None,
    responses={200: {"content": {"application/zip": {}}}},
)
def compile_deployment(
    endpoint: str, deployment: str, body: Compiling, workspace: Served
) -> FileResponse:
    """The folder of a job for a target, as a zip file; no job is recorded."""
    scratch = Path(tempfile.mkdtemp(prefix="sparkscore-compile-"))
    try:
        workspace.batch_deployments.compile(
            deployment,
            endpoint,
            settle_request(workspace, body.to_request()),
            target=body.target,
            folder=scratch / "job",
        )
        file = shutil.make_archive(str(scratch / "job"), "zip", scratch / "job")
    except BaseException:
        shutil.rmtree(scratch, ignore_errors=True)
        raise
    done = BackgroundTask(shutil.rmtree, scratch, ignore_errors=True)
    return FileResponse(
        file, media_type="application/zip", filename=f"{deployment}.zip", background=done
    )
