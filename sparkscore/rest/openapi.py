"""What ``/openapi.json`` says beyond the handlers' signatures. Control plane, pure."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI

PROBLEM = "application/problem+json"
JSON = "application/json"

_ANY_OBJECT: dict[str, Any] = {"type": "object", "additionalProperties": True}
_OPTIONAL_OBJECT: dict[str, Any] = {"type": ["object", "null"], "additionalProperties": True}
_TEXT: dict[str, Any] = {"type": "string"}


def _object(required: dict[str, Any], **optional: Any) -> dict[str, Any]:
    members = {**required, **optional}
    return {
        "type": "object",
        "properties": members,
        "required": list(required),
        "additionalProperties": False,
    }


_DETAIL = _object({"code": _TEXT, "message": _TEXT}, target=_TEXT, value={})
_SCHEMAS = {
    "Error": _object(
        {
            "error": _object(
                {
                    "code": {**_TEXT, "description": "The name of the condition."},
                    "message": _TEXT,
                    "details": {"type": "array", "items": _DETAIL},
                }
            )
        }
    ),
    "Problem": _object(
        {
            **dict.fromkeys(("type", "title", "detail", "instance", "code"), _TEXT),
            "status": {"type": "integer"},
            "attributes": _ANY_OBJECT,
        }
    ),
}


def _describe_error(description: str) -> dict[str, Any]:
    content = {JSON: "Error", PROBLEM: "Problem"}
    return {
        "description": description,
        "content": {
            media_type: {"schema": {"$ref": f"#/components/schemas/{name}"}}
            for media_type, name in content.items()
        },
    }


ERRORS: dict[int | str, dict[str, Any]] = {
    "4XX": _describe_error("The request cannot be done as it is."),
    "5XX": _describe_error("The server, or a service that it needs, cannot do it now."),
}
"""Every operation may answer so; RFC 9457 is for who accepts ``application/problem+json``."""

_MADE_CONTENT = {JSON: {"schema": _ANY_OBJECT}}

MADE: dict[int | str, dict[str, Any]] = {
    200: {"description": "It was there, and is as asked for now.", "content": _MADE_CONTENT},
    201: {"description": "It was made.", "content": _MADE_CONTENT},
}
"""Of handlers that use ``Started``."""

DELETED: dict[int | str, dict[str, Any]] = {
    200: {"description": "It was deleted."},
    204: {"description": "There was none."},
}

UNCHANGED: dict[int | str, dict[str, Any]] = {
    304: {"description": "It still has the ETag that the client named."}
}

TOLERANT_BODY: dict[str, Any] = {
    "requestBody": {
        "description": (
            "Keys are read in any case. Numbers may be texts, and commas may stand before closing "
            "brackets."
        ),
        "content": {
            JSON: {
                "schema": {
                    **_ANY_OBJECT,
                    "properties": {"properties": _OPTIONAL_OBJECT, "tags": _OPTIONAL_OBJECT},
                }
            }
        },
    }
}
"""``openapi_extra`` of handlers that take ``bodies.Body``."""


def install_document(app: FastAPI) -> None:
    """Add the schemas that ``ERRORS`` refers to."""
    describe = app.openapi

    def describe_all() -> dict[str, Any]:
        document = describe()
        document.setdefault("components", {}).setdefault("schemas", {}).update(_SCHEMAS)
        return document

    app.openapi = describe_all  # type: ignore[method-assign]
