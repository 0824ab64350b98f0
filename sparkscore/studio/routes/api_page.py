"""The REST API for people: every operation of ``/openapi.json``. Control plane."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from sparkscore.studio.pages import render_page

router = APIRouter()

_METHODS = ("get", "put", "post", "patch", "delete")


@dataclass(frozen=True, kw_only=True)
class Operation:
    """One verb on one path. ``parameters`` are name, place, description and whether needed."""

    method: str
    path: str
    summary: str
    description: str
    parameters: list[tuple[str, str, str, bool]] = field(default_factory=list)
    body: dict[str, Any] | None = None
    statuses: list[tuple[str, str]] = field(default_factory=list)

    @property
    def id(self) -> str:
        """Its anchor in the page."""
        letters = "".join(letter if letter.isalnum() else "-" for letter in self.path)
        return f"{self.method.lower()}{letters}"


@router.get("/api")
def show_api(request: Request) -> Response:
    """The operations by tag, as the document of the server declares them."""
    document = request.app.state.server.openapi()
    return render_page(request, "api.html", groups=group_operations(document), info=document)


def group_operations(document: dict[str, Any]) -> dict[str, list[Operation]]:
    """The operations of an OpenAPI document by their first tag, as they stand there."""
    groups: dict[str, list[Operation]] = {}
    for path, methods in document["paths"].items():
        for method in _METHODS:
            if method in methods:
                tag = (methods[method].get("tags") or ["server"])[0]
                groups.setdefault(tag, []).append(_read(document, path, method, methods[method]))
    return groups


def _read(document: dict[str, Any], path: str, method: str, content: dict[str, Any]) -> Operation:
    description = str(content.get("description", "")).strip()
    first, _, rest = description.partition("\n")
    parameters = [_resolve(document, one) for one in content.get("parameters", [])]
    return Operation(
        method=method.upper(),
        path=path,
        summary=first or str(content.get("summary", "")),
        description=rest.strip(),
        parameters=[
            (one["name"], one["in"], str(one.get("description", "")), bool(one.get("required")))
            for one in parameters
        ],
        body=_find_body(document, content),
        statuses=[
            (status, str(_resolve(document, one).get("description", "")))
            for status, one in content.get("responses", {}).items()
        ],
    )


def _find_body(document: dict[str, Any], content: dict[str, Any]) -> dict[str, Any] | None:
    """The schema of the body, its first level spelled out; None for no body."""
    kinds = _resolve(document, content.get("requestBody", {})).get("content", {})
    if not kinds:
        return None
    schema = next(iter(kinds.values())).get("schema", {})
    found = _resolve(document, schema)
    return {"content_types": sorted(kinds), "schema": found}


def _resolve(document: dict[str, Any], part: dict[str, Any]) -> dict[str, Any]:
    """What a part refers to, or the part itself."""
    while "$ref" in part:
        found: Any = document
        for name in str(part["$ref"]).removeprefix("#/").split("/"):
            found = found[name]
        part = found
    return part
