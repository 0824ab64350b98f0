"""Jobs, at the address that ``scoring_uri`` names and in the workspace. Control plane."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Query, Response

from sparkscore.control import Job, Workspace
from sparkscore.control.access.roles import Role
from sparkscore.errors import NotFoundError
from sparkscore.rest.access import require
from sparkscore.rest.bodies import Body
from sparkscore.rest.context import Here, Served
from sparkscore.rest.datastore_paths import find_in_datastores, settle_request
from sparkscore.rest.envelope import render_job
from sparkscore.rest.idempotency import KeyOf, find_job_name
from sparkscore.rest.ids import Place
from sparkscore.rest.invoke_bodies import read_invocation
from sparkscore.rest.openapi import MADE, TOLERANT_BODY
from sparkscore.rest.paging import Paging, read_paging
from sparkscore.rest.started import StartedAt

scoring = APIRouter(tags=["scoring"])
"""What ``scoring_uri`` names."""

jobs = APIRouter(tags=["jobs"])
"""Jobs of the workspace, whatever their endpoint."""

_INVOKES = [Depends(require(Role.INVOKER))]
_READS = [Depends(require(Role.READER))]
_JOBS = "/batchEndpoints/{endpoint}/jobs"

DeploymentHeader = Annotated[
    str | None,
    Header(alias="azureml-model-deployment", description="A deployment other than the default."),
]


@scoring.post(
    _JOBS,
    dependencies=_INVOKES,
    status_code=201,
    responses=MADE,
    openapi_extra=TOLERANT_BODY,
)
def start_job(
    endpoint: str,
    body: Body,
    response: Response,
    workspace: Served,
    place: Here,
    started: StartedAt,
    key: KeyOf,
    azureml_model_deployment: DeploymentHeader = None,
) -> dict[str, Any]:
    """Start a job and return at once."""
    request = read_invocation(
        body,
        deployment_name=azureml_model_deployment,
        job_name=find_job_name(endpoint, key),
    )
    job = workspace.batch_endpoints.invoke(endpoint, settle_request(workspace, request))
    return _answer_start(job, response, workspace, place, started)


@scoring.get(_JOBS, dependencies=_READS)
def list_endpoint_jobs(
    endpoint: str,
    workspace: Served,
    place: Here,
    paging: Annotated[Paging, Depends(read_paging)],
) -> dict[str, Any]:
    """List the jobs of an endpoint, the newest first."""

    def list_jobs(**wanted: Any) -> Any:
        return workspace.batch_endpoints.list_jobs(endpoint, **wanted)

    return paging.cut_jobs(list_jobs, _renderer(workspace, place))


@scoring.get(_JOBS + "/{job}", dependencies=_READS)
def get_endpoint_job(endpoint: str, job: str, workspace: Served, place: Here) -> dict[str, Any]:
    """Show a job of an endpoint; ``properties.status`` says how it goes."""
    return _renderer(workspace, place)(_find(workspace, endpoint, job))


@scoring.post(_JOBS + "/{job}/cancel", dependencies=_INVOKES, status_code=202)
def cancel_endpoint_job(
    endpoint: str, job: str, response: Response, workspace: Served, place: Here
) -> dict[str, Any]:
    """Ask for a job's cancellation and return at once."""
    found = workspace.jobs.cancel(_find(workspace, endpoint, job).name)
    response.headers["Location"] = place.url("jobs", found.name)
    return _renderer(workspace, place)(found)


@scoring.post(
    "/batchEndpoints/{endpoint}/deployments/{deployment}/jobs",
    dependencies=_INVOKES,
    status_code=201,
    responses=MADE,
    openapi_extra=TOLERANT_BODY,
)
def start_deployment_job(
    endpoint: str,
    deployment: str,
    body: Body,
    response: Response,
    workspace: Served,
    place: Here,
    started: StartedAt,
    key: KeyOf,
) -> dict[str, Any]:
    """Start a job of one deployment, whichever is the default."""
    name = find_job_name(endpoint, key)
    request = read_invocation(body, deployment_name=deployment, job_name=name)
    job = workspace.batch_endpoints.invoke(endpoint, settle_request(workspace, request))
    return _answer_start(job, response, workspace, place, started)


@scoring.get("/batchEndpoints/{endpoint}/deployments/{deployment}/jobs", dependencies=_READS)
def list_deployment_jobs(
    endpoint: str,
    deployment: str,
    workspace: Served,
    place: Here,
    paging: Annotated[Paging, Depends(read_paging)],
) -> dict[str, Any]:
    """List the jobs of a deployment, the newest first."""

    def list_jobs(**wanted: Any) -> Any:
        return workspace.batch_deployments.list_jobs(deployment, endpoint, **wanted)

    return paging.cut_jobs(list_jobs, _renderer(workspace, place))


@jobs.get("/jobs", dependencies=_READS)
def list_jobs(
    workspace: Served,
    place: Here,
    paging: Annotated[Paging, Depends(read_paging)],
    status: Annotated[str | None, Query(description="Only jobs of this status.")] = None,
) -> dict[str, Any]:
    """List jobs, the newest first."""
    return paging.cut_jobs(workspace.jobs.list, _renderer(workspace, place), status=status)


@jobs.get("/jobs/{job}", dependencies=_READS)
def get_job(job: str, workspace: Served, place: Here) -> dict[str, Any]:
    """Show a job."""
    return _renderer(workspace, place)(workspace.jobs.get(job))


@jobs.post("/jobs/{job}/cancel", dependencies=_INVOKES, status_code=202)
def cancel_job(job: str, response: Response, workspace: Served, place: Here) -> dict[str, Any]:
    """Ask for a job's cancellation and return at once."""
    found = workspace.jobs.cancel(job)
    response.headers["Location"] = place.url("jobs", found.name)
    return _renderer(workspace, place)(found)


def _answer_start(
    job: Job, response: Response, workspace: Workspace, place: Place, started: StartedAt
) -> dict[str, Any]:
    started.set_status(response, job.record.created_at)
    response.headers["Location"] = (
        f"{place.server}/batchEndpoints/{job.record.endpoint_name}/jobs/{job.name}"
    )
    return _renderer(workspace, place)(job)


def _find(workspace: Workspace, endpoint: str, name: str) -> Job:
    """The job, if it is one of this endpoint."""
    job = workspace.jobs.get(name)
    if (job.record.endpoint_name or "").lower() != endpoint.lower():
        raise NotFoundError(
            f"endpoint {endpoint} has no job {name}: it is one of endpoint "
            f"{job.record.endpoint_name}",
            condition="JOB_NOT_FOUND",
            name=name,
            endpoint=endpoint,
        )
    return job


def _renderer(workspace: Workspace, place: Place) -> Callable[[Job], dict[str, Any]]:
    """Renders jobs with the datastore that their results go to."""
    datastores = workspace.datastores.list()

    def render(job: Job) -> dict[str, Any]:
        rendered = render_job(job.to_dict(), place)
        output = rendered["properties"]["output"]
        found = None if output is None else find_in_datastores(datastores, output["path"])
        if found is not None:
            datastore, path = found
            rendered["properties"]["output"] = {
                "datastoreId": place.id("datastores", datastore),
                "path": path,
            }
        return rendered

    return render
