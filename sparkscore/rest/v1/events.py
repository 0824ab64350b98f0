"""How a job goes, as server-sent events. Control plane.

Nothing waits in a thread: the loop looks at the job, and sleeps.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from typing import Any

from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool
from starlette.responses import StreamingResponse

from sparkscore.control import Job, Workspace
from sparkscore.rest.context import Served
from sparkscore.rest.v1.bodies import READS, show

router = APIRouter(tags=["v1: jobs"])

LOOK_SECONDS = 0.5
SILENCE_SECONDS = 15.0
"""How often the job is looked at, and after which silence a comment keeps the connection."""

_CHANGING = ("name", "status", "start_time", "end_time", "progress", "input_counts", "error")


@router.get(
    "/jobs/{job}/events",
    dependencies=READS,
    response_class=StreamingResponse,
    response_model=None,
    responses={200: {"content": {"text/event-stream": {}}}},
)
async def stream_events(job: str, workspace: Served) -> StreamingResponse:
    """``status`` with each change of status or progress; ``end`` with the whole job at its end."""
    first = await run_in_threadpool(workspace.jobs.get, job)
    return StreamingResponse(
        iter_events(workspace, first),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


async def iter_events(workspace: Workspace, job: Job) -> AsyncIterator[str]:
    """The events of a job until it has ended."""
    said: dict[str, Any] = {}
    number, said_at = 0, time.monotonic()
    while True:
        shown = show(job)
        news = {key: shown[key] for key in _CHANGING}
        if news != said:
            said, number, said_at = news, number + 1, time.monotonic()
            yield _render("status", news, number)
        if job.is_ended:
            yield _render("end", shown, number + 1)
            return
        if time.monotonic() - said_at > SILENCE_SECONDS:
            said_at = time.monotonic()
            yield ": the job goes on\n\n"
        await asyncio.sleep(LOOK_SECONDS)
        job = await run_in_threadpool(workspace.jobs.get, job.name)


def _render(event: str, content: dict[str, Any], number: int) -> str:
    """One event; JSON holds no line break."""
    return f"event: {event}\nid: {number}\ndata: {json.dumps(content, default=str)}\n\n"
