"""ETag, If-Match and If-None-Match: nobody overwrites what they have not read. Control plane."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Depends, Header, Response

from sparkscore.control.endpoints.precondition import Precondition

IF_MATCH_TEXT = "Change only what still has this ETag; * for anything that is there."
IF_NONE_MATCH_TEXT = "* to make only what is not there yet."


async def read_precondition(
    if_match: Annotated[str | None, Header(description=IF_MATCH_TEXT)] = None,
    if_none_match: Annotated[str | None, Header(description=IF_NONE_MATCH_TEXT)] = None,
) -> Precondition:
    """What the headers ask for: a dependency of handlers that change things."""
    is_absent = if_none_match is not None and if_none_match.strip() == "*"
    if if_match is None:
        return Precondition(is_absent=is_absent)
    return Precondition(frozenset(_iter_tags(if_match)), is_absent)


KnownTag = Annotated[
    str | None, Header(alias="If-None-Match", description="304 for what still has this ETag.")
]
ConditionOf = Annotated[Precondition, Depends(read_precondition)]


def set_etag(response: Response, entity: Any) -> None:
    """Tell the client which state it was shown."""
    response.headers["ETag"] = f'"{entity.etag}"'


def is_known(entity: Any, if_none_match: str | None) -> bool:
    """Whether the client has this state already."""
    if if_none_match is None:
        return False
    return if_none_match.strip() == "*" or entity.etag in _iter_tags(if_none_match)


def find_unchanged(response: Response, entity: Any, if_none_match: str | None) -> Response | None:
    """304 for a client that has this state already; else None, and the ETag is set."""
    if is_known(entity, if_none_match):
        return Response(status_code=304, headers={"ETag": f'"{entity.etag}"'})
    set_etag(response, entity)
    return None


def _iter_tags(header: str) -> list[str]:
    """The tags without quotes; none for ``*``. A weak one never matches."""
    if header.strip() == "*":
        return []
    tags = [tag.strip() for tag in header.split(",")]
    return [tag.removeprefix('"').removesuffix('"') for tag in tags if tag] or [""]
