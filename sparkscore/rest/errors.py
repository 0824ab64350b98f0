"""Errors as responses: ``{error: {code, message, details}}``, or RFC 9457. Control plane.

A foreseen error has the HTTP status that ``sparkscore.errors`` gives it. For any other one the
client gets an id, and the server's log the traceback under it.
"""

from __future__ import annotations

import json
import logging
import secrets
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse
from starlette.routing import Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sparkscore.errors import RequestError, SparkscoreError
from sparkscore.rest.openapi import PROBLEM

REALM = "sparkscore"
METHODS = ("DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT")

_logger = logging.getLogger("sparkscore.rest")
_BUSY_SECONDS = 1


class AsciiJson(JSONResponse):
    """JSON in ASCII: names of files may hold bytes that are no UTF-8."""

    def render(self, content: Any) -> bytes:
        return json.dumps(content, separators=(",", ":"), allow_nan=False, default=str).encode()


def install_handlers(app: FastAPI) -> None:
    """Make handlers' errors the responses of this module."""

    @app.exception_handler(SparkscoreError)
    def render_foreseen(request: Request, error: SparkscoreError) -> AsciiJson:
        return render_failure(request.scope, error)

    @app.exception_handler(RequestValidationError)
    def render_invalid(request: Request, error: RequestValidationError) -> AsciiJson:
        return render_failure(request.scope, _describe_invalid(error))

    @app.exception_handler(HTTPException)
    def render_unrouted(request: Request, error: HTTPException) -> AsciiJson:
        # FastAPI wraps what went wrong while a body was read.
        cause = error.__cause__
        if isinstance(cause, SparkscoreError):
            return render_failure(request.scope, cause)
        failure = _describe_unrouted(request, error)
        headers = {"Allow": _list_methods(request)} if error.status_code == 405 else error.headers
        return render_failure(request.scope, failure, headers)


def render_failure(
    scope: Scope, error: SparkscoreError, headers: Mapping[str, str] | None = None
) -> AsciiJson:
    """The response for an error; ``scope`` is the request's."""
    scope.setdefault("state", {})["condition"] = error.condition
    sent = {**(headers or {}), **_get_headers(error)}
    if _wants_problem(scope):
        body = _render_problem(scope, error)
        return AsciiJson(body, error.http_status, headers=sent, media_type=PROBLEM)
    return AsciiJson({"error": _render_error(error)}, error.http_status, headers=sent)


def _render_error(error: SparkscoreError) -> dict[str, Any]:
    details = error.attributes.get("details")
    if not isinstance(details, list):
        details = [
            {"code": name, "message": _as_text(value), "value": value}
            for name, value in error.attributes.items()
            if value is not None
        ]
    return {"code": error.condition, "message": error.message, "details": details}


def _render_problem(scope: Scope, error: SparkscoreError) -> dict[str, Any]:
    return {
        "type": f"urn:sparkscore:error:{error.condition}",
        "title": error.condition.replace("_", " ").capitalize(),
        "status": error.http_status,
        "detail": error.message,
        "instance": scope["path"],
        "code": error.condition,
        "attributes": error.attributes,
    }


def _as_text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str)


def _wants_problem(scope: Scope) -> bool:
    accepted = (value for name, value in scope.get("headers", ()) if name == b"accept")
    return any(PROBLEM.encode() in value.lower() for value in accepted)


def _get_headers(error: SparkscoreError) -> dict[str, str]:
    if error.http_status == 401:
        problem = ', error="invalid_token"' if error.attributes.get("was_given") else ""
        return {"WWW-Authenticate": f'Bearer realm="{REALM}"{problem}'}
    if error.http_status == 429:
        return {"Retry-After": str(error.attributes["retry_after_seconds"])}
    return {"Retry-After": str(_BUSY_SECONDS)} if error.condition == "STORE_BUSY" else {}


def _describe_invalid(error: RequestValidationError) -> RequestError:
    details = [
        {"code": str(one["type"]), "message": one["msg"], "target": _render_place(one["loc"])}
        for one in error.errors()
    ]
    first = details[0]
    return RequestError(
        f"{first['target']}: {first['message']}", condition="INVALID_REQUEST", details=details
    )


def _render_place(place: tuple[Any, ...]) -> str:
    return ".".join(map(str, place))


def _describe_unrouted(request: Request, error: HTTPException) -> RequestError:
    if error.status_code == 405:
        return RequestError(
            f"{request.method} is not possible on {request.url.path}",
            condition="METHOD_NOT_ALLOWED",
            method=request.method,
        )
    if error.status_code == 404:
        return RequestError(
            f"nothing is at {request.url.path}: see /openapi.json", condition="UNKNOWN_PATH"
        )
    described = RequestError(str(error.detail))
    described.http_status = error.status_code
    return described


def _list_methods(request: Request) -> str:
    """The methods of all routes of the path, for the header Allow."""
    routes = request.app.routes
    scopes = {method: {**request.scope, "method": method} for method in METHODS}
    return ", ".join(
        method
        for method, scope in scopes.items()
        if any(route.matches(scope)[0] is Match.FULL for route in routes)
    )


class BugMiddleware:
    """Pure ASGI: an error that nobody foresaw becomes 500 with an id; the log has the rest."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        has_begun = False

        async def watch(message: Message) -> None:
            nonlocal has_begun
            has_begun = True
            await send(message)

        try:
            await self._app(scope, receive, watch)
        except ClientDisconnect:
            await render_failure(scope, _describe_gone())(scope, receive, send)
        except Exception as error:
            failure_id = secrets.token_hex(8)
            _logger.exception("failure %s: %s %s", failure_id, scope["method"], scope["path"])
            if has_begun:
                raise
            await render_failure(scope, _describe_bug(failure_id, error))(scope, receive, send)


def _describe_gone() -> RequestError:
    """Nobody reads it: it is for the log of writes."""
    return RequestError("the client went before its request was whole", condition="CLIENT_GONE")


def _describe_bug(failure_id: str, error: Exception) -> SparkscoreError:
    del error  # what it says may be nobody's business
    return SparkscoreError(
        f"the server failed in a way that it did not foresee; its log says more under {failure_id}",
        condition="INTERNAL_ERROR",
        id=failure_id,
    )
