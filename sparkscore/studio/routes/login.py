"""Log in and out: a token, a one-time link, the issuer, or this machine alone. Control plane."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from sparkscore.errors import RequestError
from sparkscore.rest.access import NoVerifier, Principal
from sparkscore.rest.oidc_login import LOGIN_SECONDS, OidcLogin
from sparkscore.studio.access import COOKIE, check_origin, find_session
from sparkscore.studio.forms import Form, FormOf
from sparkscore.studio.pages import redirect, render_page
from sparkscore.studio.sessions import SESSION_SECONDS

router = APIRouter()

LOGIN_COOKIE = "sparkscore_login"


@router.get("/login")
def show_login(request: Request, form: FormOf) -> Response:
    """The login page; whoever needs no login is let in."""
    place = _find_place(form.get("next"))
    if find_session(request) is not None:
        return redirect(request, place)
    if request.app.state.config.no_auth:
        return _let_in(request, NoVerifier().check(request), place)
    return _ask(request, form, place)


@router.post("/login")
def log_in(request: Request, form: FormOf) -> Response:
    """Open a session for whom the token belongs to."""
    check_origin(request)
    place = _find_place(form.get("next"))
    code = form.find("code")
    principal = _use_link(request, code) if code else find_principal(request, form.get("token"))
    if principal is not None:
        return _let_in(request, principal, place)
    if code:
        form.refuse("", "This link was used before, or is older than 5 minutes: make another one.")
    else:
        form.refuse("token", "This token is wrong, expired or revoked.")
    return _ask(request, Form(errors=form.errors), place, status=401)


@router.get("/login/issuer")
def go_to_issuer(request: Request, form: FormOf) -> Response:
    """Send the browser to the issuer, which sends it back to ``come_back``."""
    login = _get_oidc_login(request)
    base = f"{request.url.scheme}://{request.url.netloc}{request.scope.get('root_path', '')}"
    place = _find_place(form.get("next"))
    begun, address = login.begin(place=place, redirect_uri=f"{base}/login/issuer/back")
    response = RedirectResponse(address, status_code=303)
    _set_cookie(request, response, LOGIN_COOKIE, begun.id, seconds=LOGIN_SECONDS)
    return response


@router.get("/login/issuer/back")
def come_back(request: Request, form: FormOf) -> Response:
    """Open a session for whom the issuer names."""
    login = _get_oidc_login(request)
    begun = login.take(request.cookies.get(LOGIN_COOKIE), form.get("state"))
    try:
        if begun is None:
            raise _refuse("this login was not begun here, or took too long")
        if not form.find("code"):
            told = form.get("error_description") or form.get("error") or "it gave no code"
            raise _refuse(f"the issuer let nobody in: {told[:300]}")
        principal = login.finish(begun, form.get("code"))
    except RequestError as error:
        request.state.condition = error.condition
        failed = Form(errors={"": error.message})
        response = _ask(request, failed, "/", status=error.http_status)
    else:
        response = _let_in(request, principal, begun.place)
    _drop_cookie(request, response, LOGIN_COOKIE)
    return response


def _get_oidc_login(request: Request) -> OidcLogin:
    login: OidcLogin | None = request.app.state.oidc_login
    if login is None:
        raise RequestError("nobody logs in at an issuer here", condition="UNKNOWN_PATH")
    return login


def _refuse(reason: str) -> RequestError:
    return RequestError(reason, condition="UNAUTHENTICATED")


@router.post("/logout")
def log_out(request: Request) -> Response:
    """Close the session."""
    check_origin(request)
    request.app.state.sessions.close(request.cookies.get(COOKIE))
    response = redirect(request, "/login")
    _drop_cookie(request, response, COOKIE)
    return response


def _ask(request: Request, form: Form, place: str, status: int = 200) -> Response:
    """The login page. A link's code is in a form that is sent by a script, or by the person.

    Programs that look at links before people do only read pages, so they use no code up.
    """
    return render_page(
        request,
        "login.html",
        status=status,
        form=form,
        next=place,
        code=form.find("code"),
        has_issuer=request.app.state.oidc_login is not None,
    )


def _use_link(request: Request, code: str) -> Principal | None:
    login = request.app.state.workspace.tokens.use_login(code)
    return None if login is None else Principal(login.person, login.role, "link")


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
    # Nobody goes on in a visit that somebody else began.
    request.app.state.sessions.close(request.cookies.get(COOKIE))
    session = request.app.state.sessions.open(principal)
    response = redirect(request, place)
    _set_cookie(request, response, COOKIE, session.id, seconds=SESSION_SECONDS)
    return response


def _set_cookie(
    request: Request, response: Response, name: str, value: str, *, seconds: float
) -> None:
    response.set_cookie(
        name,
        value,
        max_age=int(seconds),
        path=_get_cookie_path(request),
        secure=request.url.scheme == "https",
        httponly=True,
        samesite="lax",
    )


def _drop_cookie(request: Request, response: Response, name: str) -> None:
    response.delete_cookie(name, path=_get_cookie_path(request))


def _get_cookie_path(request: Request) -> str:
    return request.scope.get("root_path", "") or "/"


def _find_place(text: str) -> str:
    """A path of Studio to go to; anything else leads home."""
    is_path = text.startswith("/") and not text.startswith(("//", "/\\", "/login", "/logout"))
    is_plain = all(" " < letter < "\x7f" and letter != "\\" for letter in text)
    return text if is_path and is_plain else "/"
