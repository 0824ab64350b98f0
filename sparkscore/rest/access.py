"""Who sends a request, and whether they may: ``Depends(require(Role.X))``. Control plane."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Protocol
from urllib.parse import urlsplit

from fastapi import Depends, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from sparkscore.control.access.roles import Role
from sparkscore.control.access.tokens import TOKEN_PREFIX, Tokens
from sparkscore.errors import RequestError

_LOOPBACK = frozenset({"127.0.0.1", "localhost", "[::1]", "::1"})
_bearer = HTTPBearer(auto_error=False, description="A token of `sparkscore token create`, or a JWT")


@dataclass(frozen=True)
class Principal:
    """Who sends a request: a token's name or a JWT's subject. ``kind``: token, oidc, local."""

    name: str
    role: Role
    kind: str


class Verifier(Protocol):
    """Tells who a bearer token belongs to."""

    def find(self, text: str) -> Principal | None:
        """None for a token that does not hold; RequestError (FORBIDDEN) for one without a role."""


class TokenVerifier:
    """Tokens of ``sparkscore token create``."""

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens

    def find(self, text: str) -> Principal | None:
        if not text.startswith(f"{TOKEN_PREFIX}."):
            return None
        token = self._tokens.find(text)
        return None if token is None else Principal(token.name, token.role, "token")


class NoVerifier:
    """For ``--no-auth``: everybody on this machine is its owner.

    A page in a browser of this machine is not: requests that name another host, or come from
    another site, are refused.
    """

    def check(self, request: Request) -> Principal:
        origin = request.headers.get("origin")
        is_here = _get_host(f"//{request.headers.get('host', '')}") in _LOOPBACK
        is_own = origin is None or origin.partition("://")[2] == request.headers.get("host")
        if not (is_here and is_own):
            raise RequestError(
                "without tokens this server answers this machine only: call it as 127.0.0.1, and "
                "not from a page of another site",
                condition="FORBIDDEN",
            )
        return Principal("local", Role.OWNER, "local")


def _get_host(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None


def get_principal(
    request: Request,
    given: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)],
) -> Principal:
    """Who sends the request. Raises RequestError: UNAUTHENTICATED, FORBIDDEN."""
    state = request.app.state
    if state.config.no_auth:
        principal = NoVerifier().check(request)
    else:
        principal = _verify(state.verifiers, None if given is None else given.credentials)
    request.state.principal = principal
    return principal


def _verify(verifiers: list[Verifier], text: str | None) -> Principal:
    if text is None:
        raise _unauthenticated("no token was given: send it as 'Authorization: Bearer TOKEN'")
    for verifier in verifiers:
        principal = verifier.find(text)
        if principal is not None:
            return principal
    raise _unauthenticated("the token is wrong, expired or revoked", was_given=True)


def _unauthenticated(reason: str, *, was_given: bool | None = None) -> RequestError:
    return RequestError(reason, condition="UNAUTHENTICATED", was_given=was_given)


def require(role: Role) -> Callable[..., Any]:
    """The dependency that lets only callers pass who have this role or a higher one.

    It gives the Principal. Raises RequestError: UNAUTHENTICATED, FORBIDDEN.
    """

    async def check(principal: Principal = Depends(get_principal)) -> Principal:  # noqa: B008 - FastAPI's way
        if not principal.role.covers(role):
            raise RequestError(
                f"this takes the role {role.value}; {principal.name} is {principal.role.value}",
                condition="FORBIDDEN",
                needed_role=role.value,
                role=principal.role.value,
            )
        return principal

    return check
