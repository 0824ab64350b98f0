"""Tokens of the server below ``/api/v1``, for owners. Control plane."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from fastapi import APIRouter, Response

from sparkscore.control.access.tokens import DEFAULT_EXPIRES
from sparkscore.rest.context import Served
from sparkscore.rest.idempotency import KeyOf, find_token_name
from sparkscore.rest.v1.bodies import OWNS, PagingOf, show

router = APIRouter(tags=["v1: tokens"], dependencies=OWNS)


@dataclass(frozen=True)
class MakingToken:
    """``role`` is reader, invoker, contributor or owner; ``expires`` such as 12h, 90d or never."""

    role: str
    name: str | None = None
    expires: str = DEFAULT_EXPIRES
    __pydantic_config__: ClassVar[Mapping[str, Any]] = {"extra": "forbid"}


@router.post("/tokens", status_code=201)
def make_token(
    body: MakingToken, response: Response, workspace: Served, key: KeyOf
) -> dict[str, Any]:
    """Make a token; ``token`` in the answer is the only place where it stands whole.

    The same key again makes none: TOKEN_EXISTS, as the first answer is kept nowhere.
    """
    response.headers["Cache-Control"] = "no-store"
    name = body.name or find_token_name(key)
    made = workspace.tokens.create(role=body.role, name=name, expires=body.expires)
    return show(made)


@router.get("/tokens")
def list_tokens(workspace: Served, paging: PagingOf) -> dict[str, Any]:
    """List tokens by name, without their secrets."""
    return paging.cut(workspace.tokens.list(), show)


@router.delete("/tokens/{name}", status_code=204, response_model=None)
def revoke_token(name: str, workspace: Served) -> None:
    """Forget a token: it opens nothing from now on."""
    workspace.tokens.revoke(name)
