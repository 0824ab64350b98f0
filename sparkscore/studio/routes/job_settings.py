"""What a job ran with, and where it came from. Control plane."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from sparkscore.control.jobs.description import RUN_ID, RUN_URL, find_launch, hide_secrets
from sparkscore.rest.context import Served
from sparkscore.studio.job_tabs import SETTINGS, render_job
from sparkscore.studio.lineage import (
    find_asset_address,
    find_compute_address,
    find_web_address,
    list_lineage,
    shorten,
)

router = APIRouter()

_APART = frozenset({"spark_conf", "environment_variables"})


@router.get("/jobs/{job}/settings")
def show_settings(job: str, request: Request, workspace: Served) -> Response:
    """Resolved settings, versions, lineage, tags, earlier runs and the launch message."""
    found = workspace.jobs.get(job)
    document = hide_secrets(found.record.deployment)
    settings = document.get("settings") or {}
    launch = find_launch(found)
    conf = (launch or {}).get("spark_conf") or settings.get("spark_conf") or {}
    return render_job(
        request,
        "job_settings.html",
        found,
        tab=SETTINGS,
        steps=list_lineage(found),
        settings=list(iter_settings(settings)),
        variables=settings.get("environment_variables") or {},
        spark_conf=conf,
        versions=(found.record.summary or {}).get("versions") or {},
        references=list(_iter_references(document)),
        launch=launch,
        run_id=found.record.properties.get(RUN_ID),
        run_url=find_web_address(found.record.properties.get(RUN_URL)),
    )


def iter_settings(settings: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, str]]:
    """Names with dots and values as texts; what is empty, and maps of their own, are left out."""
    for key, value in settings.items():
        if key in _APART or value in (None, "", [], {}):
            continue
        if isinstance(value, Mapping):
            yield from iter_settings(value, f"{above}{key}.")
        elif isinstance(value, bool):
            yield f"{above}{key}", "true" if value else "false"
        elif isinstance(value, (list, tuple)):
            yield f"{above}{key}", ", ".join(map(str, value))
        else:
            yield f"{above}{key}", str(value)


def _iter_references(document: Mapping[str, Any]) -> Iterator[tuple[str, str, str | None]]:
    """Kind, name and address of what the deployment refers to."""
    code = document.get("code_configuration") or {}
    environment, compute = document.get("environment"), document.get("compute")
    if isinstance(code, Mapping) and code.get("code"):
        yield "Code", shorten(str(code["code"])), None
        yield "Scoring script", str(code.get("scoring_script") or ""), None
    if isinstance(environment, str) and environment:
        address = find_asset_address("environments", environment)
        yield "Environment", shorten(environment), address
    if isinstance(compute, str) and compute:
        name = compute.removeprefix("azureml:")
        yield "Compute", name, find_compute_address(name)
