"""Requests that clients send again: the same key makes the same thing once. Control plane."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

from fastapi import Depends, Header, Request, Response

from sparkscore.control.access.answers import Answers
from sparkscore.errors import AlreadyExistsError
from sparkscore.rest.context import Served

_TEXT = "The same key again with the same body gives what was made, and makes nothing more."
_LONGEST = 255


async def read_key(
    idempotency_key: Annotated[str | None, Header(max_length=_LONGEST, description=_TEXT)] = None,
    repeatability_request_id: Annotated[
        str | None,
        Header(alias="repeatability_request-id", max_length=_LONGEST, description=_TEXT),
    ] = None,
) -> str | None:
    """The key that a client sent, under either name: a dependency."""
    return idempotency_key or repeatability_request_id


KeyOf = Annotated[str | None, Depends(read_key)]


def find_job_name(endpoint: str, key: str | None) -> str | None:
    """The name of the job that a key stands for at an endpoint, None without a key."""
    if key is None:
        return None
    digest = hashlib.sha256(f"{endpoint.lower()}\0{key}".encode()).digest()
    return f"batchjob-{uuid.UUID(bytes=digest[:16])}"


class Once:
    """Makes something for a request, unless an earlier one with its key has done so."""

    def __init__(self, folder: Path, *, place: str, request: str) -> None:
        self._folder, self._place, self._request = folder, place, request

    def run(self, response: Response, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """What ``make`` gives, or gave the first time, with status 200 then.

        Raises AlreadyExistsError (IDEMPOTENCY_KEY_REUSED) for another request with the key,
        StateError (IDEMPOTENCY_KEY_IN_USE), and what ``make`` does.
        """
        if not self._place:
            return make()
        with Answers(self._folder).taking(self._place) as kept:
            if kept.content is None:
                made = make()
                kept.keep({"request": self._request, "answer": made})
                return made
            if kept.content["request"] != self._request:
                raise AlreadyExistsError(
                    "the Idempotency-Key was sent before with another request: give each its own",
                    condition="IDEMPOTENCY_KEY_REUSED",
                )
            response.status_code = 200
            answer: dict[str, Any] = kept.content["answer"]
            return answer


async def read_once(request: Request, workspace: Served, key: KeyOf) -> Once:
    """A dependency of handlers that make things; keys of one caller say nothing to others."""
    if not key:
        return Once(workspace.folder, place="", request="")
    principal = request.state.principal
    place = _digest(principal.kind, principal.name, request.method, request.url.path, key)
    asked = _digest(request.url.query, (await request.body()).hex())
    return Once(workspace.folder, place=place, request=asked)


OnceOf = Annotated[Once, Depends(read_once)]


def find_token_name(key: str | None) -> str | None:
    """The name of the token that a key stands for, None without a key."""
    return None if key is None else f"token-{_digest(key)[:16]}"


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogateescape")).hexdigest()
