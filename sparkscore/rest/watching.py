"""Sees every request from outside: counts, logs writes, adds headers. Control plane."""

from __future__ import annotations

import logging
import secrets
import time

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sparkscore.control.access.audit import AuditEntry, AuditLog
from sparkscore.rest.limits import get_address
from sparkscore.rest.metrics import Metrics

READING = frozenset({"GET", "HEAD", "OPTIONS"})
METHODS = READING | {"POST", "PUT", "PATCH", "DELETE"}

_logger = logging.getLogger("sparkscore.rest")
_SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
}


class WatchMiddleware:
    """Pure ASGI, around all others. A request's id is its ``X-Request-ID`` header's answer."""

    def __init__(self, app: ASGIApp, *, metrics: Metrics, audit: AuditLog) -> None:
        self._app, self._metrics, self._audit = app, metrics, audit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun, status, is_logged = time.monotonic(), 500, scope["method"] in READING
        request_id = secrets.token_hex(8)
        # One dictionary for all layers: they leave the principal and the condition in it.
        state = scope.setdefault("state", {})
        asked_path = scope["path"]

        async def log() -> None:
            nonlocal is_logged
            if not is_logged:
                is_logged = True
                seconds = time.monotonic() - begun
                entry = _describe(scope, state, request_id, asked_path, status, seconds)
                await run_in_threadpool(self._log, entry)

        async def watch(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                # Whoever reads the answer finds the line there.
                await log()
                headers = MutableHeaders(scope=message)
                headers["X-Request-ID"] = request_id
                for name, value in _SECURITY_HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        try:
            await self._app(scope, receive, watch)
        finally:
            self._count(scope, status, time.monotonic() - begun)
            await log()

    def _count(self, scope: Scope, status: int, seconds: float) -> None:
        method = scope["method"] if scope["method"] in METHODS else "other"
        route = scope["state"].get("route", "none")
        self._metrics.add(method=method, route=route, status=status, seconds=seconds)

    def _log(self, entry: AuditEntry) -> None:
        try:
            self._audit.append(entry)
        except OSError as error:
            _logger.error("%s cannot be written: %s: %s", self._audit.file, error, entry)


def _describe(
    scope: Scope, state: dict[str, object], request_id: str, path: str, status: int, seconds: float
) -> AuditEntry:
    principal = state.get("principal")
    role = getattr(principal, "role", None)
    condition = state.get("condition")
    return AuditEntry(
        request_id=request_id,
        caller=getattr(principal, "name", None),
        role=None if role is None else role.value,
        kind=getattr(principal, "kind", None),
        address=get_address(scope),
        method=scope["method"],
        path=path,
        status=status,
        condition=None if condition is None else str(condition),
        seconds=round(seconds, 6),
    )
