"""Gives every path of a resource one form before it is routed. Control plane.

``/subscriptions/{s}/resourceGroups/{g}/providers/Microsoft.MachineLearningServices/workspaces/{w}``
and ``/workspaces/{w}`` mean the same, in any case, and so does a scoring URI, which begins with
``/batchEndpoints``: routes are declared once. The root stays free for pages.
"""

from __future__ import annotations

import re

from starlette.types import ASGIApp, Receive, Scope, Send

from sparkscore.errors import NotFoundError, RequestError
from sparkscore.rest.errors import render_failure

_PREFIX = re.compile(
    r"(?P<prefix>(?:/subscriptions/[^/]+/resourceGroups/[^/]+"
    r"/providers/Microsoft\.MachineLearningServices)?/workspaces/(?P<workspace>[^/]+))"
    r"(?P<rest>/.*)?",
    re.IGNORECASE | re.DOTALL,
)
_SCORING = re.compile(r"/batchEndpoints/.*", re.IGNORECASE | re.DOTALL)


def get_resource_prefix(workspace_name: str) -> str:
    """What the routes of resources begin with: a path with the workspace's name where it can."""
    is_plain = re.fullmatch(r"[\w. -]+", workspace_name) is not None
    return f"/workspaces/{workspace_name if is_plain else 'served'}"


class PrefixMiddleware:
    """Pure ASGI: sets ``path`` and ``state.prefix``; 404 for a workspace that is not served."""

    def __init__(self, app: ASGIApp, *, workspace_name: str) -> None:
        self._app, self._workspace_name = app, workspace_name
        self._routed = get_resource_prefix(workspace_name)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if "\0" in scope["path"] or b"%00" in scope["query_string"]:
            await render_failure(scope, _refuse_nul())(scope, receive, send)
            return
        match = _PREFIX.fullmatch(scope["path"])
        if match is None:
            is_scoring = _SCORING.fullmatch(scope["path"]) is not None
            routed = {**scope, "path": self._routed + scope["path"]} if is_scoring else scope
            await self._app(routed, receive, send)
            return
        if match["workspace"].lower() != self._workspace_name.lower():
            await render_failure(scope, self._not_served(match["workspace"]))(scope, receive, send)
            return
        # The dictionary stays the same one: layers further out look into it.
        scope.setdefault("state", {})["prefix"] = match["prefix"]
        path = self._routed + (match["rest"] or "").rstrip("/")
        await self._app({**scope, "path": path}, receive, send)

    def _not_served(self, name: str) -> NotFoundError:
        return NotFoundError(
            f"workspace {name!r} is not served here: check the name",
            condition="WORKSPACE_NOT_FOUND",
            name=name,
        )


def _refuse_nul() -> RequestError:
    return RequestError("a NUL is in the address: it stands for no name")
