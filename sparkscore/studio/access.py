"""Who looks at a page, and whether a form came from one of ours. Control plane."""

from __future__ import annotations

import hmac
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import Depends, Request

from sparkscore.control.access.roles import Role
from sparkscore.errors import RequestError
from sparkscore.rest.access import NoVerifier
from sparkscore.rest.limits import UPLOAD_PATHS
from sparkscore.studio.sessions import Session

COOKIE = "sparkscore_session"
CSRF_FIELD = "csrf_token"
CSRF_HEADER = "x-csrf-token"

_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


class LoginNeededError(Exception):
    """Nobody is logged in: the browser is sent to the login page, and back to ``place``."""

    def __init__(self, place: str) -> None:
        super().__init__(place)
        self.place = place


def find_session(request: Request) -> Session | None:
    """The session of the request's cookie, if it goes on and its token still holds."""
    state = request.app.state
    session: Session | None = state.sessions.find(request.cookies.get(COOKIE))
    if session is None:
        return None
    principal = session.principal
    if principal.kind == "token" and not state.workspace.tokens.holds(
        principal.name, since=session.opened_at
    ):
        state.sessions.close(session.id)
        return None
    return session


def get_session(request: Request) -> Session:
    """The visit that a request belongs to. Raises LoginNeededError or RequestError (FORBIDDEN)."""
    if request.app.state.config.no_auth:
        NoVerifier().check(request)
    session = find_session(request)
    if session is None:
        raise LoginNeededError(_render_place(request))
    request.state.principal = session.principal
    return session


def _render_place(request: Request) -> str:
    """Where to come back to: never to a form's address."""
    if request.method not in _SAFE or "hx-request" in request.headers:
        return ""
    query = f"?{request.url.query}" if request.url.query else ""
    return quote(request.scope["path"], safe="/:@") + query


async def check_forgery(
    request: Request, session: Annotated[Session, Depends(get_session)]
) -> None:
    """Refuse what another site lets a browser send. Raises RequestError (FORGED_REQUEST).

    Uploads must have the token in a header: nothing of their bodies is read before.
    """
    if request.method in _SAFE:
        return
    check_origin(request)
    given = request.headers.get(CSRF_HEADER)
    if given is None and not request.url.path.startswith(UPLOAD_PATHS):
        given = str((await request.form()).get(CSRF_FIELD, ""))
    if given is None or not hmac.compare_digest(given.encode(), session.csrf_token.encode()):
        raise _forged()


def check_origin(request: Request) -> None:
    """Raise RequestError (FORGED_REQUEST) for a request that says it comes from elsewhere."""
    origin = request.headers.get("origin")
    if origin is not None and origin.partition("://")[2] != request.headers.get("host"):
        raise _forged()


def _forged() -> RequestError:
    return RequestError(
        "this form is not from a page of this visit: load the page again and repeat",
        condition="FORGED_REQUEST",
    )


def require(role: Role) -> Any:
    """The dependency that lets only people of this role or a higher one pass; gives the Session.

    Raises LoginNeededError, RequestError (FORBIDDEN).
    """

    def check(session: Annotated[Session, Depends(get_session)]) -> Session:
        principal = session.principal
        if not principal.role.covers(role):
            raise RequestError(
                f"this takes the role {role.value}; {principal.name} is {principal.role.value}",
                condition="FORBIDDEN",
                needed_role=role.value,
                role=principal.role.value,
            )
        return session

    return Depends(check)


Visit = Annotated[Session, Depends(get_session)]
READS = [require(Role.READER)]
INVOKES = [require(Role.INVOKER)]
CHANGES = [require(Role.CONTRIBUTOR)]
OWNS = [require(Role.OWNER)]
