"""One module for each kind of page. Control plane."""

from __future__ import annotations

from fastapi import APIRouter


def load_routers() -> list[APIRouter]:
    """The pages that need a session, in the order in which paths are matched."""
    from sparkscore.studio.routes import (
        api_page,
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

    modules = (
        *(home, api_page, invoke, endpoints, create, deployments, job, assets, uploads),
        *(jobs, job_actions, job_failures, job_logs, job_outputs, job_settings),
    )
    return [module.router for module in modules]
