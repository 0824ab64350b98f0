"""Starts a job of an endpoint. Control plane.

Everything is checked first, while nothing is made. Then the job is recorded, which claims its
name, its folder appears whole, and a detached launcher takes over. Whatever is killed in between,
the same ``job_name`` again goes on from there.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

from sparkscore.control.endpoints.job_plan import PlannedJob, plan_job
from sparkscore.control.endpoints.request import InvokeRequest, settle_request
from sparkscore.control.job_folder import making_folder, write_job_files
from sparkscore.control.jobs.processes import is_alive
from sparkscore.control.one_shot import plan_application, write_target_files
from sparkscore.errors import AlreadyExistsError
from sparkscore.plan.machine import read_machine
from sparkscore.state.records import JobRecord

if TYPE_CHECKING:
    from sparkscore.control.jobs import Job
    from sparkscore.control.workspace import Workspace


def invoke(workspace: Workspace, endpoint_name: str, request: InvokeRequest) -> Job:
    """Start a job and return at once.

    A ``job_name`` that is there already gives its job again if the request asks for the same.
    Raises NotFoundError, SpecError, PlanError, TargetError, or AlreadyExistsError
    (JOB_NAME_CONFLICT) for a job of that name that was asked for otherwise.
    """
    return workspace.jobs.start(make_job(workspace, endpoint_name, request))


def make_job(workspace: Workspace, endpoint_name: str, request: InvokeRequest) -> str:
    """Record the job and make its folder; gives its name. Raises what ``invoke`` does."""
    settled = settle_request(request)
    digest = settled.get_digest(endpoint_name)
    if settled.job_name is not None:
        earlier = _find_job(workspace, settled.job_name, digest=digest)
        if earlier is not None and _is_made_or_in_the_making(earlier):
            return earlier.name
    planned = plan_job(workspace, endpoint_name, settled, digest=digest)
    _make_folder(workspace, planned)
    return planned.record.name


def _find_job(workspace: Workspace, name: str, *, digest: str) -> JobRecord | None:
    with workspace.store.reading() as reader:
        record = reader.find_job(name)
    if record is not None:
        _check_same(record, digest)
    return record


def _check_same(record: JobRecord, digest: str) -> None:
    if record.request_digest != digest:
        raise AlreadyExistsError(
            f"job {record.name} exists and was asked for with other inputs or settings: give "
            "another --job-name",
            condition="JOB_NAME_CONFLICT",
            name=record.name,
        )


def _is_made_or_in_the_making(record: JobRecord) -> bool:
    """Whether the job needs no folder from us; what its creator left out it is too late for."""
    has_begun = record.launcher is not None or record.ended_at is not None
    return has_begun or Path(record.folder).exists() or is_alive(record.creator) is not False


def _make_folder(workspace: Workspace, planned: PlannedJob) -> None:
    """Record the job and make its folder; a name that another process took meanwhile is checked."""
    place = planned.place
    application = plan_application(
        planned.deployment, place=place, master=place.master, machine=read_machine()
    )
    compiled = planned.target.compile(application)
    with making_folder(place.job_folder) as folder:
        write_job_files(folder, deployment=planned.deployment, place=place, linked_model=True)
        write_target_files(compiled, folder=folder)
        _record_job(workspace, planned.record)


def _record_job(workspace: Workspace, record: JobRecord) -> None:
    with workspace.store.writing() as writer:
        earlier = writer.find_job(record.name)
        if earlier is None:
            writer.add_job(record)
            return
        _check_same(earlier, record.request_digest)
        if earlier.launcher is None:
            writer.update_job(dataclasses.replace(earlier, creator=record.creator))
