"""Logs of jobs below ``/api/v1``: so far, or followed to the job's end. Control plane.

Nothing waits in a thread: a thread reads what is there, the loop sleeps.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator
from contextlib import aclosing
from itertools import chain, islice
from typing import Annotated

from fastapi import APIRouter, Header, Query
from starlette.concurrency import run_in_threadpool
from starlette.responses import StreamingResponse

from sparkscore.control import Workspace
from sparkscore.rest.context import Served
from sparkscore.rest.v1.bodies import READS

router = APIRouter(tags=["v1: jobs"])

LOOK_SECONDS = 0.5
SILENCE_SECONDS = 15.0
"""How often logs are looked at, and after which silence a comment keeps the connection."""

_BLOCK_CHARACTERS = 64 * 1024
_EVENTS = "text/event-stream"
_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}

Polled = Generator[str | None, None, None]
Blocks = AsyncGenerator[list[str], None]


@router.get(
    "/jobs/{job}/logs",
    dependencies=READS,
    response_class=StreamingResponse,
    response_model=None,
    responses={200: {"content": {"text/plain": {}, _EVENTS: {}}}},
)
def read_logs(
    job: str,
    workspace: Served,
    follow: Annotated[bool, Query(description="Go on until the job has ended.")] = False,
    mini_batch: Annotated[
        int | None, Query(ge=0, description="Only what the script said of this one.")
    ] = None,
    accept: Annotated[str | None, Header(include_in_schema=False)] = None,
) -> StreamingResponse:
    """The lines of the job's logs, a header before each file; or those of a mini-batch.

    With ``follow`` and ``Accept: text/event-stream`` they come as server-sent events: ``lines``,
    and ``end`` with the job's status.
    """
    polled = workspace.jobs.poll_logs(job, follow=follow, mini_batch=mini_batch)
    # The first line is read before the answer begins, so that an error is one.
    first = list(islice(polled, 1))
    blocks = iter_blocks(first, polled)
    if follow and _EVENTS in (accept or "").lower():
        return StreamingResponse(
            iter_events(workspace, job, blocks), media_type=_EVENTS, headers=_HEADERS
        )
    return StreamingResponse(
        _iter_text(blocks), media_type="text/plain; charset=utf-8", headers=_HEADERS
    )


async def iter_blocks(first: list[str | None], polled: Polled) -> Blocks:
    """Lines as they come, many at a time; an empty list where there was nothing new for a while."""
    lines = chain(first, polled)
    try:
        while True:
            block, is_over, pauses = await run_in_threadpool(_read_block, lines)
            if block or pauses:
                yield block
            if is_over:
                return
            if pauses:
                await asyncio.sleep(LOOK_SECONDS)
    finally:
        polled.close()


def _read_block(lines: Iterator[str | None]) -> tuple[list[str], bool, bool]:
    """Lines up to a pause, the end or what goes in one piece; whether it is over, or pauses."""
    block: list[str] = []
    size = 0
    for line in lines:
        if line is None:
            return block, False, True
        block.append(line)
        size += len(line)
        if size >= _BLOCK_CHARACTERS:
            return block, False, False
    return block, True, False


async def _iter_text(blocks: Blocks) -> AsyncIterator[bytes]:
    async with aclosing(blocks):
        async for block in blocks:
            if block:
                yield _encode("".join(f"{line}\n" for line in block))


async def iter_events(workspace: Workspace, job: str, blocks: Blocks) -> AsyncIterator[bytes]:
    """The lines as server-sent events, until the job has ended."""
    said_at = time.monotonic()
    async with aclosing(blocks):
        async for block in blocks:
            if block:
                said_at = time.monotonic()
                # A carriage return would end the event's line as well.
                data = "\n".join(block).replace("\r", "\n").replace("\n", "\ndata: ")
                yield _encode(f"event: lines\ndata: {data}\n\n")
            elif time.monotonic() - said_at > SILENCE_SECONDS:
                said_at = time.monotonic()
                yield b": the job goes on\n\n"
    ended = await run_in_threadpool(workspace.jobs.get, job)
    yield _encode(f"event: end\ndata: {json.dumps({'status': ended.status})}\n\n")


def _encode(text: str) -> bytes:
    return text.encode("utf-8", "backslashreplace")
