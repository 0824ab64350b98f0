"""Puts the application together. Control plane.

Handlers are plain functions, which run in the thread pool: ``control`` waits for disks and
databases. Dependencies that wait for nothing are coroutines: the way to a thread and back would
take longer than they do.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

from fastapi import Depends, FastAPI, Request
from starlette.middleware import Middleware

import sparkscore
from sparkscore.control.access.audit import AuditLog
from sparkscore.control.access.places import PlacePolicy
from sparkscore.control.access.roles import Role
from sparkscore.control.workspace import Workspace
from sparkscore.rest.access import TokenVerifier, Verifier, require
from sparkscore.rest.bodies import check_json
from sparkscore.rest.config import ServerConfig
from sparkscore.rest.errors import AsciiJson, BugMiddleware, install_handlers
from sparkscore.rest.limits import LimitMiddleware, RateLimiter
from sparkscore.rest.metrics import Metrics
from sparkscore.rest.openapi import ERRORS, install_document
from sparkscore.rest.paths import PrefixMiddleware, get_resource_prefix
from sparkscore.rest.routes import load_own_routers, load_resource_routers, server
from sparkscore.rest.v1 import PREFIX as OWN_PREFIX
from sparkscore.rest.v1 import files
from sparkscore.rest.watching import WatchMiddleware


def create_app(workspace: Workspace, config: ServerConfig) -> FastAPI:
    """The application that serves one workspace; limits which places its callers may name.

    Jobs that it makes are parked while they wait far down in the queue.

    Raises OutputNotWritableError (AUDIT_NOT_WRITABLE), or InvalidFieldError for settings.
    """
    settings = config.settings
    audit = AuditLog(workspace.folder)
    audit.check()
    workspace.places = PlacePolicy(settings.allowed_hosts)
    workspace.parks_beyond = workspace.config.max_running_jobs
    _open_parts(workspace)
    metrics = Metrics()
    limits: dict[str, Any] = {
        "limiter": RateLimiter(settings.requests_per_minute),
        "max_body_bytes": settings.max_body_bytes,
        "max_upload_bytes": settings.max_upload_bytes,
    }
    app = FastAPI(
        title="sparkscore",
        version=sparkscore.__version__,
        description="Batch endpoints and batch deployments on Apache Spark.",
        default_response_class=AsciiJson,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        dependencies=[Depends(note_route)],
        responses=ERRORS,
        middleware=[
            Middleware(WatchMiddleware, metrics=metrics, audit=audit),
            Middleware(LimitMiddleware, **limits),
            Middleware(BugMiddleware),
            Middleware(PrefixMiddleware, workspace_name=workspace.name),
        ],
    )
    app.state.workspace, app.state.config, app.state.metrics = workspace, config, metrics
    app.state.verifiers = _make_verifiers(workspace, config)
    install_handlers(app)
    install_document(app)
    app.include_router(server.open_router)
    # Every route takes at least a reader, whatever it says itself.
    anybody = [Depends(require(Role.READER))]
    app.include_router(server.router, dependencies=anybody)
    for router in load_resource_routers():
        prefix = get_resource_prefix(workspace.name)
        app.include_router(router, prefix=prefix, dependencies=anybody)
    for router in load_own_routers():
        checks = [] if router is files.router else [Depends(check_json)]
        app.include_router(router, prefix=OWN_PREFIX, dependencies=[*anybody, *checks])
    return app


def _open_parts(workspace: Workspace) -> None:
    """Before the first requests race to do so: cached properties have no lock."""
    for name, value in vars(Workspace).items():
        if isinstance(value, cached_property):
            getattr(workspace, name)


async def note_route(request: Request) -> None:
    """Leave the declared path for the metrics."""
    request.state.route = getattr(request.scope.get("route"), "path", "none")


def _make_verifiers(workspace: Workspace, config: ServerConfig) -> list[Verifier]:
    verifiers: list[Verifier] = [TokenVerifier(workspace.tokens)]
    if config.settings.oidc_issuer:
        from sparkscore.rest.oidc import OidcVerifier

        verifiers.append(OidcVerifier(config.settings))
    return verifiers
