"""Starts a job of an endpoint. Control plane.

Everything is checked first, while nothing is made. Then the job is recorded, which claims its
name, its folder appears whole, and a detached launcher takes over. Whatever is killed in between,
the same ``job_name`` again goes on from there.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from sparkscore.control.endpoints.job_plan import PlannedJob, plan_job
from sparkscore.control.endpoints.remote_plan import compile_planned
from sparkscore.control.endpoints.request import InvokeRequest, settle_request
from sparkscore.control.job_folder import making_folder, write_job_files
from sparkscore.control.jobs.processes import is_alive
from sparkscore.control.one_shot import plan_application, write_target_files
from sparkscore.errors import AlreadyExistsError, StateError
from sparkscore.messages.input_list import INPUT_LIST_FILE, write_input_list
from sparkscore.plan.machine import read_machine
from sparkscore.state.records import JobRecord
from sparkscore.targets.base import CompiledApplication

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
    if settled.job_name is not None and _is_there(workspace, settled.job_name, digest=digest):
        return settled.job_name
    try:
        planned = plan_job(workspace, endpoint_name, settled, digest=digest)
        _make_folder(workspace, planned)
    except AlreadyExistsError:
        # Another process may have made the same job since we looked.
        if settled.job_name is None or not _is_there(workspace, settled.job_name, digest=digest):
            raise
        return settled.job_name
    return planned.record.name


def _is_there(workspace: Workspace, name: str, *, digest: str) -> bool:
    """Whether the job is made or in the making; raises JOB_NAME_CONFLICT for another request."""
    with workspace.store.reading() as reader:
        record = reader.find_job(name)
    if record is None:
        return False
    _check_same(record, digest)
    return Path(record.folder).exists() or not _is_abandoned(record)


def _check_same(record: JobRecord, digest: str) -> None:
    if record.request_digest != digest:
        raise AlreadyExistsError(
            f"job {record.name} exists and was asked for with other inputs or settings: give "
            "another --job-name",
            condition="JOB_NAME_CONFLICT",
            name=record.name,
        )


def _is_abandoned(record: JobRecord) -> bool:
    """Whether the process that recorded the job died before it had made the folder."""
    has_begun = record.launcher is not None or record.ended_at is not None
    return not has_begun and is_alive(record.creator) is False


def _make_folder(workspace: Workspace, planned: PlannedJob) -> None:
    """Record the job, which claims its name, and make its folder; neither stays without the other.

    Raises AlreadyExistsError if another process has taken the name meanwhile.
    """
    place, compiled = planned.place, _compile(planned)
    with _taking_back(workspace) as recorded, making_folder(place.job_folder) as folder:
        write_job_files(folder, deployment=planned.deployment, place=place, linked_model=True)
        write_target_files(compiled, folder=folder)
        if planned.retried is not None:
            write_input_list(folder / INPUT_LIST_FILE, planned.retried.paths)
        recorded.append(_record_job(workspace, planned.record))


def _compile(planned: PlannedJob) -> CompiledApplication:
    place = planned.place
    if planned.record.remote is not None:
        return compile_planned(planned.deployment, place, planned.record.remote)
    application = plan_application(
        planned.deployment, place=place, master=place.master, machine=read_machine()
    )
    return planned.target.compile(application)


def _record_job(workspace: Workspace, record: JobRecord) -> JobRecord:
    """The record as stored; it takes the place of one whose creator died."""
    with workspace.store.writing() as writer:
        earlier = writer.find_job(record.name)
        if earlier is None:
            return writer.add_job(record)
        _check_same(earlier, record.request_digest)
        if not _is_abandoned(earlier):
            raise AlreadyExistsError(
                f"job {record.name} was made by somebody else meanwhile: give another --job-name",
                condition="JOB_EXISTS",
                name=record.name,
            )
        return writer.update_job(dataclasses.replace(record, revision=earlier.revision))


@contextmanager
def _taking_back(workspace: Workspace) -> Iterator[list[JobRecord]]:
    """Delete what was recorded in the block if the block fails, unless somebody uses it."""
    recorded: list[JobRecord] = []
    try:
        yield recorded
    except BaseException:
        for record in recorded:
            with suppress(StateError), workspace.store.writing() as writer:
                found = writer.find_job(record.name)
                if found is not None and found.revision == record.revision:
                    writer.delete_job(record.name)
        raise
