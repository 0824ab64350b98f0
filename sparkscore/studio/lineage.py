"""What a job came from and what came of it, as boxes in a row. Control plane, pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from sparkscore.control.jobs.job import Job
from sparkscore.studio.pages import render_segment

_VERSIONED = re.compile(r"(?:azureml:|models:/)(?P<name>[^:/@]+)[:/](?P<version>[^:/]+)")

_COMPUTE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True)
class Step:
    """One thing. ``address`` is its page below Studio's own address, None if it has none."""

    kind: str
    name: str
    address: str | None = None


def list_lineage(job: Job) -> list[Step]:
    """Endpoint, deployment, model, data, an earlier job, this job, its output, later jobs."""
    return list(_iter_steps(job))


def find_asset_address(kind: str, reference: str) -> str | None:
    """The page of ``azureml:NAME:VERSION``; ``kind`` is models, data or environments."""
    found = _VERSIONED.fullmatch(reference)
    if found is None:
        return None
    return f"/{kind}/{render_segment(found['name'])}/{render_segment(found['version'])}"


def find_compute_address(name: str) -> str | None:
    """The page of a compute of this name; what is written as a master has none."""
    return f"/computes/{render_segment(name)}" if _COMPUTE_NAME.fullmatch(name) else None


def find_web_address(text: str | None) -> str | None:
    """The text if browsers may follow it as a link to a page of another system."""
    return text if text is not None and text.startswith(("http://", "https://")) else None


def shorten(reference: str) -> str:
    """``NAME, version VERSION`` for a reference, other texts as they are."""
    found = _VERSIONED.fullmatch(reference)
    return reference if found is None else f"{found['name']}, version {found['version']}"


def _iter_steps(job: Job) -> Iterator[Step]:
    record = job.record
    place = f"/jobs/{render_segment(job.name)}"
    if record.endpoint_name:
        endpoint = f"/endpoints/{render_segment(record.endpoint_name)}"
        yield Step("Endpoint", record.endpoint_name, endpoint)
        if record.deployment_name:
            address = f"{endpoint}/deployments/{render_segment(record.deployment_name)}"
            yield Step("Deployment", record.deployment_name, address)
    model = record.deployment.get("model")
    if isinstance(model, str) and model:
        yield Step("Model", shorten(model), find_asset_address("models", model))
    for source in record.inputs.values():
        name = str(source.get("path") or source.get("uri") or "")
        yield Step("Data", shorten(name), find_asset_address("data", name))
    if record.retry_of:
        yield Step("Failed inputs of", record.retry_of, f"/jobs/{render_segment(record.retry_of)}")
    yield Step("Job", job.name, place)
    output = (record.summary or {}).get("output")
    if output is not None:
        name = str(output.get("table") or output.get("path"))
        yield Step("Output", name.rstrip("/").rpartition("/")[2] or name, f"{place}/outputs")
    for name in job.retried_by:
        yield Step("Retried by", name, f"/jobs/{render_segment(name)}")
