"""Makes a job that ended early Queued again. Control plane.

The record and the files of the job folder change within one transaction of the store, so that of
two who resume a job one wins. Whoever is killed on the way leaves a job that can be resumed again:
before the commit it reads as it ended, after it as one that nobody launched.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from sparkscore.control.deployment import read_conf
from sparkscore.control.jobs.job import refuse_pruned_record
from sparkscore.control.jobs.look import change_job, refresh_job
from sparkscore.control.jobs.processes import get_own_identity, is_alive
from sparkscore.control.jobs.refresh import end_interrupted, end_with_summary
from sparkscore.control.jobs.remote_resume import (
    bring_unseen_end,
    check_same_place,
    make_next_run,
    prepare_remote_resume,
)
from sparkscore.control.resume import (
    check_resumable,
    find_completed_job,
    prepare_resume,
    read_job_launch,
    refuse_living,
    write_resume,
)
from sparkscore.errors import (
    NotFoundError,
    SparkscoreError,
    StateError,
)
from sparkscore.listing.location import find_local_path
from sparkscore.messages.launch import LaunchMessage
from sparkscore.messages.status import SummaryMessage
from sparkscore.spec import load_deployment
from sparkscore.state import JobRecord
from sparkscore.state.job_status import is_waiting, resume

if TYPE_CHECKING:
    from sparkscore.control.assets.computes import ComputeTarget
    from sparkscore.control.workspace import Workspace

LAUNCHER_SECONDS = 20.0
"""How long the launcher of a job that has just ended may take to end as well."""


def resume_record(
    workspace: Workspace,
    name: str,
    *,
    overrides: Sequence[str],
    conf: Sequence[str],
    compute: str | None,
) -> JobRecord:
    """The record of the job, Queued again, with what was asked for in its launch message.

    Raises what ``Jobs.resume`` does.
    """
    check_resumable(overrides)
    while True:
        record = _find_ended(workspace, name)
        _wait_for_processes(record)
        bring_unseen_end(record)
        completed = find_completed_job(Path(record.folder))
        if completed is not None:
            return change_job(workspace.store, name, partial(_complete, summary=completed))
        launch = read_job_launch(Path(record.folder))
        target = _find_compute(workspace, record, launch, overrides=overrides, compute=compute)
        settled = {**_get_spark_conf(workspace, record, launch, target), **read_conf(conf)}
        write = _prepare(record, launch, overrides, target=target, spark_conf=settled)
        resumed = resume(record, at=time.time(), by=get_own_identity())
        resumed = _change(resumed, overrides=overrides, target=target)
        with workspace.store.writing() as writer:
            if writer.get_job(name).revision == record.revision:
                write()
                return writer.update_job(resumed)


def _prepare(
    record: JobRecord,
    launch: LaunchMessage,
    overrides: Sequence[str],
    *,
    target: ComputeTarget | None,
    spark_conf: Mapping[str, str],
) -> Callable[[], None]:
    """What writes the launch message of the next run, once everything about it was checked."""
    if record.remote is not None:
        remote = prepare_remote_resume(record, launch, overrides, spark_conf=spark_conf)
        return remote.write
    job = prepare_resume(
        Path(record.folder),
        launch,
        overrides,
        master=launch.master if target is None else target.master,
        relay=None if target is None else not target.shared_paths,
        spark_conf=spark_conf,
        is_detached=True,
    )
    return partial(write_resume, job)


def _complete(record: JobRecord, *, summary: SummaryMessage) -> JobRecord:
    """The record of a job whose driver had completed it, unseen by who wrote how it ended."""
    now = time.time()
    return end_with_summary(resume(record, at=now, by=get_own_identity()), summary, at=now)


def _find_ended(workspace: Workspace, name: str) -> JobRecord:
    """The record as it should be now; raises unless the job has ended and can be resumed."""
    with workspace.store.reading() as reader:
        stored = reader.get_job(name)
    record = refresh_job(workspace.store, stored)
    if _was_never_launched(record):
        record = end_interrupted(record, at=time.time())
    resume(record, at=0.0)
    refuse_pruned_record(record)
    if not Path(record.folder).is_dir():
        raise _folder_gone(workspace, record)
    return record


def _was_never_launched(record: JobRecord) -> bool:
    """Whether the process died that had made the job or resumed it, before it was launched."""
    return record.launcher is None and is_waiting(record) and is_alive(record.creator) is False


def _wait_for_processes(record: JobRecord) -> None:
    """Block until launcher and driver are gone: what they still remove would be the next run's.

    Raises StateError (LEASE_HELD) if they stay.
    """
    deadline = time.monotonic() + LAUNCHER_SECONDS
    while is_alive(record.launcher) or is_alive(record.driver):
        if time.monotonic() > deadline:
            raise StateError(
                f"a process of job {record.name} still lives, though the job has ended: try again "
                "when it is gone",
                condition="LEASE_HELD",
                job=record.name,
            )
        time.sleep(0.1)
    if is_alive(record.driver) is None:
        refuse_living(Path(record.folder))


def _find_compute(
    workspace: Workspace,
    record: JobRecord,
    launch: LaunchMessage,
    *,
    overrides: Sequence[str],
    compute: str | None,
) -> ComputeTarget | None:
    """The compute that was asked for; None for the one that the job had."""
    count = load_deployment(launch.settings, overrides=overrides).spec.given_instance_count
    if compute is None:
        if count != launch.instance_count:
            workspace.computes.resolve(record.compute.get("name"), instance_count=count)
        return None
    target = workspace.computes.resolve(compute, instance_count=count)
    check_same_place(record, platform=target.platform, asked=compute)
    if not target.is_remote:
        target.check_sees(launch.input.uri, job=launch.job_name)
    return target


def _get_spark_conf(
    workspace: Workspace, record: JobRecord, launch: LaunchMessage, target: ComputeTarget | None
) -> dict[str, str]:
    """The job's Spark settings; those of a compute that it leaves stay there."""
    if target is None:
        return launch.spark_conf
    try:
        left = workspace.computes.resolve(record.compute.get("name")).spark_conf
    except SparkscoreError:
        left = {}
    own = {key: text for key, text in launch.spark_conf.items() if left.get(key) != text}
    return {**target.spark_conf, **own}


def _change(
    record: JobRecord, *, overrides: Sequence[str], target: ComputeTarget | None
) -> JobRecord:
    """The record with the settings and the compute that the job will have."""
    deployment, compute = record.deployment, record.compute
    if overrides:
        deployment = load_deployment(deployment, overrides=overrides).spec.to_document()
    if target is not None:
        compute = {"name": target.name, "master": target.master}
    changed = dataclasses.replace(record, deployment=deployment, compute=compute)
    return make_next_run(changed, platform={} if target is None else target.platform)


def _folder_gone(workspace: Workspace, record: JobRecord) -> NotFoundError:
    root = workspace.config.jobs_folder
    copy = ""
    if find_local_path(root) is None:
        copy = f" (the copy at {root.rstrip('/')}/{record.name} is no place to go on from)"
    return NotFoundError(
        f"the job folder {record.folder} of job {record.name} is gone, and with it what was "
        f"staged{copy}: start a new job with: sparkscore batch-endpoint invoke",
        condition="JOB_FOLDER_NOT_FOUND",
        job=record.name,
        job_folder=record.folder,
    )
