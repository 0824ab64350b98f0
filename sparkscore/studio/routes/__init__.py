"""One module for each kind of page. Control plane."""

from __future__ import annotations

from fastapi import APIRouter


def load_routers() -> list[APIRouter]:
    """The pages that need a session, in the order in which paths are matched."""
    from sparkscore.studio.routes import (
        assets,
        create,
        deployments,
        endpoints,
        home,
        invoke,
        job,
        job_actions,
        job_failures,
        job_logs,
        job_outputs,
        job_settings,
        jobs,
        uploads,
    )

    return [
        *(home.router, invoke.router, endpoints.router, create.router, deployments.router),
        job.router,
        *(assets.router, uploads.router),
        *(jobs.router, job_actions.router, job_failures.router, job_logs.router),
        *(job_outputs.router, job_settings.router),
    ]
