"""How often clients may ask, how much they may send, and how slowly. Control plane.

Each address has a bucket of requests that fills up again all the time. A wrong token costs as much
as many requests, so that nobody can try tokens.
"""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sparkscore.errors import RequestError
from sparkscore.rest.errors import render_failure

UPLOAD_PATHS = ("/api/v1/uploads", "/studio/uploads")
"""Below these bodies may be as big as ``max_upload_bytes``."""

FAILED_LOGIN_COST = 50
BODY_GRACE_SECONDS = 30.0
BODY_BYTES_PER_SECOND = 1024.0
"""A body may keep the server waiting so long, and longer the more of it has come."""

_MAX_CLIENTS = 10_000


class RateLimiter:
    """Buckets by client; safe for threads. ``clock`` gives seconds."""

    def __init__(
        self, requests_per_minute: int, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._size = float(requests_per_minute)
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self._lock = threading.Lock()

    def take(self, client: str, cost: float = 1.0) -> float:
        """Take ``cost`` requests out; 0.0, or the seconds until there is one again."""
        with self._lock:
            now = self._clock()
            left, since = self._buckets.pop(client, (self._size, now))
            left = min(self._size, left + (now - since) * self._size / 60)
            is_there = left >= 1
            if is_there:
                left -= cost
            self._buckets[client] = (left, now)
            while len(self._buckets) > _MAX_CLIENTS:
                self._buckets.popitem(last=False)
            return 0.0 if is_there else (1 - left) * 60 / self._size


class LimitMiddleware:
    """Pure ASGI: 429 for clients that ask too often, 413 for bodies that are too big, 408 for those
    that come too slowly."""

    def __init__(
        self, app: ASGIApp, *, limiter: RateLimiter, max_body_bytes: int, max_upload_bytes: int
    ) -> None:
        self._app, self._limiter = app, limiter
        self._max_body_bytes, self._max_upload_bytes = max_body_bytes, max_upload_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        client = get_address(scope) or ""
        wait_seconds = self._limiter.take(client)
        if wait_seconds:
            await render_failure(scope, _too_many(wait_seconds))(scope, receive, send)
            return
        limit = self._get_limit(scope)
        if _get_length(scope) > limit:
            await render_failure(scope, _too_big(limit))(scope, receive, send)
            return

        async def watch(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] == 401:
                self._limiter.take(client, FAILED_LOGIN_COST)
            await send(message)

        await self._app(scope, _watched(receive, limit), watch)

    def _get_limit(self, scope: Scope) -> int:
        is_upload = scope["path"].startswith(UPLOAD_PATHS)
        return self._max_upload_bytes if is_upload else self._max_body_bytes


def get_address(scope: Scope) -> str | None:
    """The client's address; behind a trusted proxy the one that this says."""
    client = scope.get("client")
    return None if client is None else str(client[0])


def _watched(receive: Receive, limit: int) -> Receive:
    """``receive`` that raises RequestError: BODY_TOO_LARGE, BODY_TOO_SLOW."""
    count, waited_seconds, is_whole = 0, 0.0, False

    async def receive_watched() -> Message:
        nonlocal count, waited_seconds, is_whole
        if is_whole:
            return await receive()  # which tells when the client goes
        begun = time.monotonic()
        allowed = BODY_GRACE_SECONDS + count / BODY_BYTES_PER_SECOND - waited_seconds
        try:
            message = await asyncio.wait_for(receive(), max(allowed, 0.0))
        except asyncio.TimeoutError:
            raise _too_slow(count) from None
        waited_seconds += time.monotonic() - begun
        count += len(message.get("body", b""))
        is_whole = not message.get("more_body", False)
        if count > limit:
            raise _too_big(limit)
        return message

    return receive_watched


def _get_length(scope: Scope) -> int:
    """What the header promises; 0 if it says nothing that is a number."""
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit():
            return int(value)
    return 0


def _too_many(wait_seconds: float) -> RequestError:
    seconds = math.ceil(wait_seconds)
    return RequestError(
        f"too many requests came from this address: wait {seconds} s",
        condition="TOO_MANY_REQUESTS",
        retry_after_seconds=seconds,
    )


def _too_slow(count: int) -> RequestError:
    return RequestError(
        f"the body came too slowly: {count} bytes are here, and the rest was waited for",
        condition="BODY_TOO_SLOW",
        received_bytes=count,
    )


def _too_big(limit: int) -> RequestError:
    return RequestError(
        f"the body has more than {limit:,} bytes, the most that is taken here",
        condition="BODY_TOO_LARGE",
        limit_bytes=limit,
    )
