"""Bodies of requests as the reference's scripts send them. Control plane.

They are JSON with commas before closing brackets, and numbers as texts; ``fields`` reads the
latter.
"""

from __future__ import annotations

import json
import math
import re
from typing import Annotated, Any

from fastapi import Depends, Request

from sparkscore.errors import RequestError

_TEXT_OR_COMMA = re.compile(r'"(?:[^"\\]|\\.)*(?:"|\\?\Z)|,(?=\s*[}\]])', re.DOTALL)
# A text that never ends is matched to the end, or each of its quotes would be tried again.
_MAX_DEPTH = 64
_BAD_TEXT = re.compile("[\0\ud800-\udfff]")


def parse_body(raw: bytes) -> dict[str, Any]:
    """The JSON object in a body, empty for none; commas before a closing bracket are left out.

    Raises RequestError (MALFORMED_BODY) with line and column.
    """
    if not raw.strip():
        return {}
    try:
        text = _TEXT_OR_COMMA.sub(_drop_comma, raw.decode("utf-8-sig"))
        body = json.loads(text, parse_constant=_refuse_constant)
        check_content(body)
    except UnicodeDecodeError as error:
        raise _malformed(f"it is not UTF-8 at byte {error.start}") from error
    except json.JSONDecodeError as error:
        where = f"{error.msg} in line {error.lineno}, column {error.colno}"
        raise _malformed(where, line=error.lineno, column=error.colno) from error
    except (ValueError, RecursionError) as error:
        raise _malformed(str(error)) from error
    if not isinstance(body, dict):
        raise _malformed("it must be an object, {...}")
    return body


def check_content(value: object, depth: int = 0) -> None:
    """Raise ValueError for what nests deeper than anything that is meant, and for bad texts.

    NUL and halves of characters are in no name, path or description: what they would do further in
    depends on who reads them.
    """
    if depth > _MAX_DEPTH:
        raise ValueError(f"it nests more than {_MAX_DEPTH} deep")
    if isinstance(value, str) and _BAD_TEXT.search(value):
        raise ValueError("a text in it holds NUL or half a character")
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{value} is no JSON")
    if isinstance(value, (dict, list)):
        for member in (*value, *value.values()) if isinstance(value, dict) else value:
            check_content(member, depth + 1)


async def check_json(request: Request) -> None:
    """The same for a body that FastAPI has read: a dependency. Raises RequestError."""
    if "json" not in request.headers.get("content-type", ""):
        return
    try:
        content = await request.json()
    except (ValueError, RecursionError):
        return  # an operation that takes a body has refused it
    try:
        check_content(content)
    except ValueError as error:
        raise _malformed(str(error)) from error


def _drop_comma(match: re.Match[str]) -> str:
    return "" if match[0] == "," else match[0]


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def _malformed(reason: str, **attributes: int) -> RequestError:
    return RequestError(
        f"the body is no JSON that can be read: {reason}", condition="MALFORMED_BODY", **attributes
    )


async def read_body(request: Request) -> dict[str, Any]:
    """The tolerant body of a request: a dependency."""
    return parse_body(await request.body())


Body = Annotated[dict[str, Any], Depends(read_body)]
"""For handlers of the reference's paths; the document says of it
``openapi_extra=TOLERANT_BODY``."""
