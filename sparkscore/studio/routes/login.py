"""Log in and out: with a token, a one-time link, or without one on this machine. Control plane."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from sparkscore.errors import RequestError
from sparkscore.rest.access import NoVerifier, Principal
from sparkscore.studio.access import COOKIE, check_origin, find_session
from sparkscore.studio.forms import FormOf
from sparkscore.studio.pages import redirect, render_page
from sparkscore.studio.sessions import SESSION_SECONDS

router = APIRouter()


@router.get("/login")
def show_login(request: Request, form: FormOf) -> Response:
    """The login page; whoever needs no login is let in."""
    place = _find_place(form.get("next"))
    if find_session(request) is not None:
        return redirect(request, place)
    if request.app.state.config.no_auth:
        return _let_in(request, NoVerifier().check(request), place)
    return render_page(request, "login.html", form=form, next=place)


@router.post("/login")
def log_in(request: Request, form: FormOf) -> Response:
    """Open a session for whom the token belongs to."""
    check_origin(request)
    place = _find_place(form.get("next"))
    principal = find_principal(request, form.get("token"))
    if principal is None:
        form.refuse("token", "This token is wrong, expired or revoked.")
        return render_page(request, "login.html", status=401, form=form, next=place)
    return _let_in(request, principal, place)


@router.post("/logout")
def log_out(request: Request) -> Response:
    """Close the session."""
    check_origin(request)
    request.app.state.sessions.close(request.cookies.get(COOKIE))
    response = redirect(request, "/login")
    response.delete_cookie(COOKIE, path=request.scope.get("root_path", "") or "/")
    return response


def find_principal(request: Request, token: str) -> Principal | None:
    """Whom a token belongs to; None for one that does not hold or has no role."""
    for verifier in request.app.state.verifiers:
        try:
            principal: Principal | None = verifier.find(token)
        except RequestError:
            continue
        if principal is not None:
            return principal
    return None


def _let_in(request: Request, principal: Principal, place: str) -> Response:
    request.state.principal = principal
    session = request.app.state.sessions.open(principal)
    response = redirect(request, place)
    response.set_cookie(
        COOKIE,
        session.id,
        max_age=int(SESSION_SECONDS),
        path=request.scope.get("root_path", "") or "/",
        secure=request.url.scheme == "https",
        httponly=True,
        samesite="lax",
    )
    return response


def _find_place(text: str) -> str:
    """A path of Studio to go to; anything else leads home."""
    is_path = text.startswith("/") and not text.startswith(("//", "/\\", "/login", "/logout"))
    is_plain = all(" " < letter < "\x7f" and letter != "\\" for letter in text)
    return text if is_path and is_plain else "/"
