"""What a job left: outputs, files, first rows, images beside predictions. Control plane."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Header, Request
from starlette.responses import Response

from sparkscore.control import Job
from sparkscore.control.jobs.files import JobFile
from sparkscore.control.jobs.images import find_image_type, find_input_images, read_input_image
from sparkscore.control.jobs.preview import preview_file, read_first_rows
from sparkscore.errors import NotFoundError, SparkscoreError
from sparkscore.rest.context import Served
from sparkscore.rest.v1.files import read_file
from sparkscore.studio.job_tabs import OUTPUTS, render_job

router = APIRouter()

MOST_FILES = 300
MOST_IMAGE_BYTES = 10 * 1024**2

_IMAGE_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "private, max-age=300",
}


@router.get("/jobs/{job}/outputs")
def show_outputs(job: str, request: Request, workspace: Served) -> Response:
    """Named outputs, the first rows of the results, and all files."""
    found = workspace.jobs.get(job)
    problem, files = None, []
    try:
        # A name that is no Unicode has no address.
        files = [file for file in workspace.jobs.list_files(job) if _is_text(file.path)]
    except SparkscoreError as error:
        problem = error.message
    outputs = [file for file in files if file.path.startswith("named-outputs/")]
    artifacts = [file for file in files if not file.path.startswith("named-outputs/")]
    return render_job(
        request,
        "job_outputs.html",
        found,
        tab=OUTPUTS,
        outputs=outputs[:MOST_FILES],
        output_count=len(outputs),
        output_bytes=sum(file.byte_count for file in outputs),
        artifacts=artifacts[:MOST_FILES],
        artifact_count=len(artifacts),
        problem=problem,
        published=(found.record.summary or {}).get("output"),
        **_read_rows(found),
    )


@router.get("/jobs/{job}/preview/{path:path}")
def show_file(job: str, path: str, request: Request, workspace: Served) -> Response:
    """The beginning of one file."""
    found = workspace.jobs.get(job)
    file = workspace.jobs.get_file(job, path)
    return render_job(
        request, "job_file.html", found, tab=OUTPUTS, file=file, preview=preview_file(file)
    )


@router.get("/jobs/{job}/files/{path:path}")
def download_file(
    job: str,
    path: str,
    workspace: Served,
    range_: Annotated[str | None, Header(alias="Range")] = None,
) -> Response:
    """One file, or a range of it, to be saved and never shown."""
    return read_file(job, path, workspace, range_)


@router.get("/jobs/{job}/images/{path:path}")
def show_image(job: str, path: str, workspace: Served) -> Response:
    """An image among the job's files."""
    content, kind = _read_image(workspace.jobs.get_file(job, path))
    return Response(content, media_type=kind, headers=_IMAGE_HEADERS)


@router.get("/jobs/{job}/inputs/{path:path}")
def show_input(job: str, path: str, workspace: Served) -> Response:
    """An image among the inputs that the job's plan lists."""
    content, kind = read_input_image(workspace.jobs.get(job), path)
    return Response(content, media_type=kind, headers=_IMAGE_HEADERS)


def _read_rows(job: Job) -> dict[str, Any]:
    """First rows with their input images, or why there are none to be seen."""
    try:
        rows = read_first_rows(job)
        images = None if rows is None else find_input_images(job, rows)
    except SparkscoreError as error:
        return {"rows": None, "images": None, "rows_problem": error.message}
    return {"rows": rows, "images": images, "rows_problem": None}


def _is_text(path: str) -> bool:
    return path.encode("utf-8", errors="replace").decode() == path


def _read_image(file: JobFile) -> tuple[bytes, str]:
    """Raises NotFoundError (FILE_NOT_FOUND) for what is no image, or too large to show."""
    kind = None
    if file.byte_count <= MOST_IMAGE_BYTES:
        content = b"".join(file.iter_bytes())
        kind = find_image_type(content[:16])
    if kind is None:
        raise NotFoundError(
            f"{file.path} is no image, or larger than {MOST_IMAGE_BYTES:,} bytes: download it",
            condition="FILE_NOT_FOUND",
            job=file.job,
            path=file.path,
        )
    return content, kind
