"""Requests that clients send again: the same key is the same job. Control plane, pure."""

from __future__ import annotations

import hashlib
import uuid
from typing import Annotated

from fastapi import Depends, Header

_TEXT = "The same key again with the same body gives the same job, and starts no other."
_LONGEST = 255


def read_key(
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
