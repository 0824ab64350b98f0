"""All endpoints at a glance. Control plane."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sparkscore.control.endpoints.entities import Endpoint

if TYPE_CHECKING:
    from sparkscore.control.workspace import Workspace


@dataclass(frozen=True)
class NewestJob:
    """The last job that was started; ``status`` as it was recorded last."""

    name: str
    status: str


@dataclass(frozen=True)
class EndpointSummary:
    """What a list of endpoints shows of one."""

    endpoint: Endpoint
    deployment_count: int
    newest_job: NewestJob | None


def summarize_endpoints(workspace: Workspace) -> list[EndpointSummary]:
    """All endpoints by name; three queries, however many endpoints and jobs there are."""
    with workspace.store.reading() as reader:
        records = reader.list_endpoints()
        counts = reader.count_deployments()
        newest = reader.find_newest_jobs()
    summaries = []
    for record in records:
        key = record.name.lower()
        endpoint = Endpoint(record, workspace.name, workspace.config.server_url)
        job = NewestJob(*newest[key]) if key in newest else None
        summaries.append(EndpointSummary(endpoint, counts.get(key, 0), job))
    return summaries
