"""Bodies of requests as the reference's scripts send them. Control plane.

They are JSON with commas before closing brackets, and numbers as texts; ``fields`` reads the
latter.
"""

from __future__ import annotations

import json
import re
from typing import Annotated, Any

from fastapi import Depends, Request

from sparkscore.errors import RequestError

_TEXT_OR_COMMA = re.compile(r'"(?:[^"\\]|\\.)*(?:"|\\?\Z)|,(?=\s*[}\]])', re.DOTALL)
# A text that never ends is matched to the end, or each of its quotes would be tried again.
_MAX_DEPTH = 64


def parse_body(raw: bytes) -> dict[str, Any]:
    """The JSON object in a body, empty for none; commas before a closing bracket are left out.

    Raises RequestError (MALFORMED_BODY) with line and column.
    """
    if not raw.strip():
        return {}
    try:
        text = _TEXT_OR_COMMA.sub(_drop_comma, raw.decode("utf-8-sig"))
        body = json.loads(text, parse_constant=_refuse_constant)
        check_depth(body)
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


def check_depth(value: object, depth: int = 0) -> None:
    """Raise ValueError for what nests deeper than anything that is meant."""
    if depth > _MAX_DEPTH:
        raise ValueError(f"it nests more than {_MAX_DEPTH} deep")
    members = value.values() if isinstance(value, dict) else value
    if isinstance(value, (dict, list)):
        for member in members:  # type: ignore[attr-defined]
            check_depth(member, depth + 1)


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
"""For handlers of the reference's paths; what it must look like is said by ``openapi_extra``."""
