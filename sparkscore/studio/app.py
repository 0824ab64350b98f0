"""Puts Studio together and hangs it into the server. Control plane."""

from __future__ import annotations

from urllib.parse import quote

from fastapi import Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sparkscore.errors import SparkscoreError
from sparkscore.rest.oidc import OidcVerifier
from sparkscore.rest.oidc_login import OidcLogin
from sparkscore.studio.access import READS, LoginNeededError, check_forgery, find_session
from sparkscore.studio.pages import STATIC, redirect, render_page
from sparkscore.studio.routes import load_routers, login
from sparkscore.studio.sessions import Sessions

PREFIX = "/studio"

CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)


def add_studio(app: FastAPI) -> None:
    """Serve Studio below PREFIX of a server made by ``sparkscore.rest.app.create_app``."""
    studio = create_studio(app)
    app.mount(PREFIX, studio)

    @app.get(PREFIX, include_in_schema=False)
    @app.get("/", include_in_schema=False)
    def go_to_studio() -> RedirectResponse:
        return RedirectResponse(f"{PREFIX}/")


def create_studio(server: FastAPI) -> FastAPI:
    """Studio's own application; workspace, settings and verifiers are those of the server."""
    app = FastAPI(openapi_url=None, redirect_slashes=False, dependencies=[Depends(_note_route)])
    for name in ("workspace", "config", "verifiers"):
        setattr(app.state, name, getattr(server.state, name))
    app.state.sessions, app.state.server = Sessions(), server
    app.state.oidc_login = _make_oidc_login(server)
    _install_handlers(app)
    app.add_middleware(HeadersMiddleware)
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    app.include_router(login.router)
    for router in load_routers():
        app.include_router(router, dependencies=[*READS, Depends(check_forgery)])
    return app


def _make_oidc_login(server: FastAPI) -> OidcLogin | None:
    """People may log in at the issuer if it knows this server by an id."""
    settings = server.state.config.settings
    if not (settings.oidc_issuer and settings.oidc_client_id):
        return None
    verifiers = (one for one in server.state.verifiers if isinstance(one, OidcVerifier))
    return OidcLogin(settings, next(verifiers))


def _note_route(request: Request) -> None:
    """Leave the declared path for the metrics, and the session for the page."""
    path = getattr(request.scope.get("route"), "path", "none")
    request.state.route = f"{PREFIX}{path}"
    request.state.session = find_session(request)


class HeadersMiddleware:
    """Pure ASGI: what browsers may do with a page."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def watch(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.setdefault("Content-Security-Policy", CONTENT_SECURITY_POLICY)
                headers.setdefault("Cross-Origin-Opener-Policy", "same-origin")
                # With less, browsers send forms with "Origin: null".
                headers.setdefault("Referrer-Policy", "same-origin")
            await send(message)

        await self._app(scope, receive, watch)


def _install_handlers(app: FastAPI) -> None:
    @app.exception_handler(LoginNeededError)
    def ask_for_login(request: Request, error: LoginNeededError) -> Response:
        place = error.place.removeprefix(request.scope.get("root_path", ""))
        return redirect(request, f"/login?next={quote(place)}" if place else "/login")

    @app.exception_handler(SparkscoreError)
    def render_foreseen(request: Request, error: SparkscoreError) -> Response:
        request.state.condition = error.condition
        return render_error(request, error.http_status, error.condition, error.message)

    @app.exception_handler(RequestValidationError)
    def render_invalid(request: Request, error: RequestValidationError) -> Response:
        message = "; ".join(str(one["msg"]) for one in error.errors())
        return render_error(request, 400, "INVALID_REQUEST", message)

    @app.exception_handler(HTTPException)
    def render_unrouted(request: Request, error: HTTPException) -> Response:
        condition = {404: "UNKNOWN_PATH", 405: "METHOD_NOT_ALLOWED"}.get(error.status_code)
        return render_error(
            request, error.status_code, condition or "INVALID_REQUEST", str(error.detail)
        )


def render_error(request: Request, status: int, condition: str, message: str) -> Response:
    """The page that says what went wrong; a part of a page for htmx."""
    if not hasattr(request.state, "session"):
        request.state.session = find_session(request)
    template = "error_part.html" if "hx-request" in request.headers else "error.html"
    return render_page(
        request, template, status=status, condition=condition, message=message, code=status
    )
