"""Jobs below ``/api/v1``: all that the command line can do with them. Control plane."""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
import zipfile
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Query
from starlette.background import BackgroundTask
from starlette.responses import FileResponse

from sparkscore.control.jobs.jobs import DEFAULT_PRUNE_DAYS
from sparkscore.rest.context import Served
from sparkscore.rest.v1.bodies import (
    INVOKES,
    OWNS,
    READS,
    ArchivedView,
    Changes,
    PagingOf,
    show,
)

router = APIRouter(tags=["v1: jobs"])

_RAW_BYTE = re.compile("[\udc80-\udcff]")


@router.get("/jobs", dependencies=READS)
def list_jobs(
    workspace: Served,
    paging: PagingOf,
    status: Annotated[str | None, Query(description="Only jobs of this status.")] = None,
    endpoint_name: str | None = None,
    deployment_name: str | None = None,
    experiment_name: str | None = None,
    parent_job_name: str | None = None,
    archived: ArchivedView = "exclude",
) -> dict[str, Any]:
    """List jobs, the newest first."""
    return paging.cut_jobs(
        workspace.jobs.list,
        show,
        status=status,
        endpoint_name=endpoint_name,
        deployment_name=deployment_name,
        experiment_name=experiment_name,
        parent_job_name=parent_job_name,
        archived=archived,
    )


@router.get("/jobs/{job}", dependencies=READS)
def get_job(job: str, workspace: Served) -> dict[str, Any]:
    """Show a job."""
    return show(workspace.jobs.get(job))


@router.patch("/jobs/{job}", dependencies=INVOKES)
def change_job(job: str, body: Changes, workspace: Served) -> dict[str, Any]:
    """Change what is for people: display_name, description, tags, properties."""
    overrides = [*_as_overrides(body.document or {}), *body.set]
    return show(workspace.jobs.update(job, **{**body.to_arguments(), "overrides": overrides}))


@router.post("/jobs/{job}/cancel", dependencies=INVOKES)
def cancel_job(job: str, workspace: Served) -> dict[str, Any]:
    """Ask for the job's cancellation and return at once."""
    return show(workspace.jobs.cancel(job))


@router.post("/jobs/{job}/start", dependencies=INVOKES)
def start_job(job: str, workspace: Served) -> dict[str, Any]:
    """Give the job a launcher if it has lost its own before it began."""
    return show(workspace.jobs.start(job))


@router.post("/jobs/{job}/archive", dependencies=INVOKES)
def archive_job(job: str, workspace: Served) -> dict[str, Any]:
    """Hide the job from lists."""
    return show(workspace.jobs.archive(job))


@router.post("/jobs/{job}/restore", dependencies=INVOKES)
def restore_job(job: str, workspace: Served) -> dict[str, Any]:
    """Show the job in lists again."""
    return show(workspace.jobs.restore(job))


@router.get("/jobs/{job}/queue", dependencies=READS)
def count_ahead(job: str, workspace: Served) -> dict[str, int]:
    """How many jobs must end or start before this one may."""
    return {"jobs_ahead": workspace.jobs.count_ahead(job)}


@router.get(
    "/jobs/{job}/download",
    dependencies=READS,
    response_class=FileResponse,
    response_model=None,
    responses={200: {"content": {"application/zip": {}}}},
)
def download_job(
    job: str,
    workspace: Served,
    output_name: str = "score",
    all_: Annotated[bool, Query(alias="all", description="Logs and account too.")] = False,
) -> FileResponse:
    """What ``job download`` copies, as a zip file. Single files: ``/jobs/{job}/files``."""
    scratch = Path(tempfile.mkdtemp(prefix="sparkscore-download-"))
    try:
        folder = workspace.jobs.download(
            job, output_name=output_name, download_path=scratch / "job", all=all_
        )
        file = scratch / "job.zip"
        _pack(Path(folder), file)
        shutil.rmtree(folder)
    except BaseException:
        shutil.rmtree(scratch, ignore_errors=True)
        raise
    done = BackgroundTask(shutil.rmtree, scratch, ignore_errors=True)
    return FileResponse(file, media_type="application/zip", filename=f"{job}.zip", background=done)


def _pack(folder: Path, file: Path) -> None:
    """A zip file of a folder; bytes of names that are no UTF-8 are written as ``%FF``."""
    with zipfile.ZipFile(
        file, "w", zipfile.ZIP_DEFLATED, strict_timestamps=False
    ) as archive:  # a file may be older than zip files can say
        for parent, folders, names in os.walk(folder):
            for name in sorted([*folders, *names]):
                path = Path(parent, name)
                below = path.relative_to(folder).as_posix()
                archive.write(path, _RAW_BYTE.sub(lambda raw: f"%{ord(raw[0]) - 0xDC00:X}", below))


@router.post("/jobs:prune", dependencies=OWNS)
def prune_jobs(
    workspace: Served,
    older_than_days: Annotated[float, Query(ge=0)] = DEFAULT_PRUNE_DAYS,
    status: str | None = None,
    dry_run: bool = False,
) -> dict[str, Any]:
    """Remove the folders of jobs that ended so long ago; records and results stay."""
    pruned = workspace.jobs.prune(older_than_days=older_than_days, status=status, dry_run=dry_run)
    return {"value": [show(job) for job in pruned]}


def _as_overrides(document: dict[str, Any]) -> list[str]:
    """Members of a document as ``key=value``, in JSON, which is YAML too."""
    return [f"{key}={json.dumps(value, ensure_ascii=False)}" for key, value in document.items()]
