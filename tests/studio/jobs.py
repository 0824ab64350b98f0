"""Jobs of the stand-in driver, for pages to show."""

from __future__ import annotations

from typing import Any

from sparkscore.control import InvokeRequest, Job, Workspace

INPUT = "azureml://datastores/workspaceblobstore/paths/in"


def invoke_and_wait(workspace: Workspace, **fields: Any) -> Job:
    """A job of the endpoint ``mood`` that has ended."""
    request = InvokeRequest(**{"input": INPUT, **fields})
    return workspace.batch_endpoints.invoke("mood", request).wait(60)
