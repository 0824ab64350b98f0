"""Files of jobs, whole or in ranges, and uploads, below ``/api/v1``. Control plane."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Header, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response, StreamingResponse

from sparkscore.control import Workspace
from sparkscore.control.assets.content import unfinished_folder
from sparkscore.rest.context import Served
from sparkscore.rest.v1.bodies import INVOKES, READS, PagingOf, show

router = APIRouter(tags=["v1: files"])

_RANGE = re.compile(r"bytes=(?P<first>\d{0,18})-(?P<last>\d{0,18})", re.IGNORECASE)
_BINARY = "application/octet-stream"
_ZIP = frozenset({"application/zip", "application/x-zip-compressed"})


@router.get("/jobs/{job}/files", dependencies=READS)
def list_files(job: str, workspace: Served, paging: PagingOf) -> dict[str, Any]:
    """The files that a job left: outputs, logs and account, as a download would have them."""
    return paging.cut(workspace.jobs.list_files(job), show)


@router.get(
    "/jobs/{job}/files/{path:path}",
    dependencies=READS,
    response_class=StreamingResponse,
    response_model=None,
    responses={
        200: {"content": {_BINARY: {}}},
        206: {"description": "The range that was asked for.", "content": {_BINARY: {}}},
        416: {"description": "The range begins behind the file's end."},
    },
)
def read_file(
    job: str,
    path: str,
    workspace: Served,
    range_: Annotated[str | None, Header(alias="Range", description="bytes=FIRST-LAST")] = None,
    if_range: Annotated[str | None, Header(include_in_schema=False)] = None,
) -> Response:
    """One file, or a range of it."""
    file = workspace.jobs.get_file(job, path)
    size = file.byte_count
    headers = {
        "Accept-Ranges": "bytes",
        "Content-Disposition": f"attachment; filename*=UTF-8''{quote(file.name, safe='')}",
        "X-Content-Type-Options": "nosniff",
    }
    # Files have no ETag that a client could have read: it gets all of it rather than a mixture.
    span = None if if_range is not None else find_span(range_, size)
    if span is None:
        headers["Content-Length"] = str(size)
        return StreamingResponse(file.iter_bytes(), media_type=_BINARY, headers=headers)
    start, end = span
    if start >= end:
        headers["Content-Range"] = f"bytes */{size}"
        return Response(status_code=416, headers=headers)
    headers["Content-Length"] = str(end - start)
    headers["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
    return StreamingResponse(
        file.iter_bytes(start, end), status_code=206, media_type=_BINARY, headers=headers
    )


def find_span(header: str | None, size: int) -> tuple[int, int] | None:
    """First byte and the one behind the last that a Range header asks for.

    None is the whole file, also for a header that means nothing or several ranges; first = last
    is a range that no byte is in.
    """
    match = None if header is None else _RANGE.fullmatch(header.strip())
    if match is None or (not match["first"] and not match["last"]):
        return None
    if not match["first"]:
        return max(0, size - int(match["last"])), size
    first, last = int(match["first"]), int(match["last"] or size)
    if last < first:
        return None
    return min(first, size), min(last + 1, size)


@router.post(
    "/uploads",
    dependencies=INVOKES,
    status_code=201,
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                media_type: {"schema": {"type": "string", "format": "binary"}}
                for media_type in ("application/zip", _BINARY)
            },
        }
    },
)
async def upload(
    request: Request,
    workspace: Served,
    name: Annotated[str, Query(description="What the folder or file is called.")],
) -> dict[str, Any]:
    """Send a folder as a zip file, or one file as application/octet-stream.

    The answer's ``path`` is what jobs, models, code and data name it by.
    """
    media_type = request.headers.get("content-type", _BINARY).partition(";")[0].strip().lower()
    with unfinished_folder(workspace.folder / "cache") as scratch:
        file = scratch / "received"
        await _receive(request, file)
        return await run_in_threadpool(_store, workspace, file, name, media_type in _ZIP)


async def _receive(request: Request, file: Path) -> None:
    with file.open("xb") as sink:
        async for chunk in request.stream():
            await run_in_threadpool(sink.write, chunk)


def _store(workspace: Workspace, file: Path, name: str, is_archive: bool) -> dict[str, Any]:
    return show(workspace.datastores.upload(file, name=name, is_archive=is_archive))
