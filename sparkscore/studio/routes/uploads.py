"""Takes folders, files and zip files of a browser into the default datastore. Control plane.

Only requests of pages get here: the forgery token must be in a header, and is checked before the
first byte of the body is read.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from sparkscore.control.assets.content import unfinished_folder
from sparkscore.control.assets.uploads import Upload
from sparkscore.control.workspace import Workspace
from sparkscore.errors import InvalidFieldError, RequestError
from sparkscore.rest.context import Served
from sparkscore.studio.access import CHANGES, INVOKES
from sparkscore.studio.pages import render_page
from sparkscore.studio.uploads import Kind, Received, Receiver

router = APIRouter()

_FIELD = re.compile(r"[a-z][a-z0-9_]{0,63}")

FieldQuery = Annotated[str, Query(description="Field that holds the result.")]


@router.post("/uploads/input", dependencies=INVOKES)
async def upload_input(
    request: Request, workspace: Served, field: FieldQuery, kind: Kind = "folder"
) -> Response:
    """What a job is to score."""
    return await _upload(request, workspace, field, kind)


@router.post("/uploads/{purpose}", dependencies=CHANGES)
async def upload_asset(
    purpose: Literal["model", "code", "data"],
    request: Request,
    workspace: Served,
    field: FieldQuery,
    kind: Kind = "folder",
) -> Response:
    """What is to be registered."""
    del purpose
    return await _upload(request, workspace, field, kind)


async def _upload(request: Request, workspace: Workspace, field: str, kind: Kind) -> Response:
    """The fields that name the upload in the form around it."""
    if not _FIELD.fullmatch(field):
        raise InvalidFieldError("field is no name of a field", condition="INVALID_REQUEST")
    with unfinished_folder(workspace.folder / "cache") as scratch:
        received = await _receive(request, scratch, kind)
        stored = await run_in_threadpool(_store, workspace, received, kind)
    form_kind = "file" if kind == "file" else "folder"
    return render_page(
        request, "upload_done.html", status=201, field=field, stored=stored, kind=form_kind
    )


async def _receive(request: Request, scratch: Path, kind: Kind) -> Received:
    max_files = request.app.state.config.settings.max_upload_files
    content_type = request.headers.get("content-type", "")
    with Receiver(content_type, scratch, kind=kind, max_files=max_files) as receiver:
        try:
            async for piece in request.stream():
                await run_in_threadpool(receiver.write, piece)
        except ClientDisconnect as error:
            raise RequestError("the upload was broken off", condition="MALFORMED_BODY") from error
        return receiver.finish()


def _store(workspace: Workspace, received: Received, kind: Kind) -> Upload:
    return workspace.datastores.upload(received.path, name=received.name, is_archive=kind == "zip")
