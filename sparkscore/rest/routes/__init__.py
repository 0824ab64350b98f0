"""One module for each kind of resource. Control plane.

Paths are declared without a prefix (``/batchEndpoints/{endpoint}``); ``sparkscore.rest.paths`` says
in which forms they come in.
"""

from __future__ import annotations

from fastapi import APIRouter


def load_resource_routers() -> list[APIRouter]:
    """The resources of the workspace, in the order in which paths are matched."""
    from sparkscore.rest.routes import (
        assets,
        batch_endpoints,
        deployments,
        operations,
        places,
        scoring,
        server,
    )

    return [
        server.workspace_router,
        batch_endpoints.router,
        deployments.router,
        scoring.scoring,
        scoring.jobs,
        assets.router,
        places.router,
        operations.router,
    ]


def load_own_routers() -> list[APIRouter]:
    """What stands below ``/api/v1``."""
    from sparkscore.rest.v1 import (
        assets,
        endpoints,
        events,
        files,
        jobs,
        logs,
        mini_batches,
        recovery,
        tokens,
    )

    return [
        endpoints.router,
        assets.router,
        jobs.router,
        logs.router,
        mini_batches.router,
        recovery.router,
        files.router,
        events.router,
        tokens.router,
    ]
