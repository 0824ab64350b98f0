"""Endpoints and deployments as callers see them. Control plane, pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sparkscore.control.endpoints.precondition import get_etag
from sparkscore.control.times import render_time
from sparkscore.state.records import DeploymentRecord, EndpointRecord

SUCCEEDED = "Succeeded"
"""The provisioning state of whatever is stored: nothing half-made ever is."""


@dataclass(frozen=True)
class Endpoint:
    """An endpoint. ``scoring_uri`` is the address that REST clients post jobs to."""

    record: EndpointRecord
    workspace_name: str
    server_url: str

    @property
    def name(self) -> str:
        """The name, as it was given when the endpoint was made."""
        return self.record.name

    @property
    def default_deployment(self) -> str | None:
        """The deployment that an invocation runs unless it names another one."""
        return self.record.default_deployment

    @property
    def id(self) -> str:
        """The resource's path."""
        return f"/workspaces/{self.workspace_name}/batchEndpoints/{self.name}"

    @property
    def etag(self) -> str:
        """Another text after each change; see Precondition."""
        return get_etag(self.record)

    @property
    def scoring_uri(self) -> str:
        """The address that starts jobs."""
        return f"{self.server_url}/batchEndpoints/{self.name}/jobs"

    def to_dict(self) -> dict[str, Any]:
        """What ``batch-endpoint show`` prints."""
        record = self.record
        return {
            "name": record.name,
            "id": self.id,
            "description": record.description,
            "auth_mode": record.auth_mode,
            "defaults": {"deployment_name": record.default_deployment},
            "location": "local",
            "openapi_uri": f"{self.server_url}/openapi.json",
            "provisioning_state": SUCCEEDED,
            "scoring_uri": self.scoring_uri,
            "tags": record.tags,
            "properties": record.properties,
            "creation_context": {
                "created_at": render_time(record.created_at),
                "last_modified_at": render_time(record.updated_at),
            },
        }

    def __repr__(self) -> str:
        return f"Endpoint({self.name!r}, default_deployment={self.default_deployment!r})"


@dataclass(frozen=True)
class Deployment:
    """A deployment of an endpoint; ``is_default`` where the endpoint says so."""

    record: DeploymentRecord
    workspace_name: str
    is_default: bool

    @property
    def name(self) -> str:
        """The name, unique within its endpoint."""
        return self.record.name

    @property
    def endpoint_name(self) -> str:
        """The endpoint that it belongs to."""
        return self.record.endpoint_name

    @property
    def id(self) -> str:
        """The resource's path."""
        endpoint = f"/workspaces/{self.workspace_name}/batchEndpoints/{self.endpoint_name}"
        return f"{endpoint}/deployments/{self.name}"

    @property
    def etag(self) -> str:
        """Another text after each change; see Precondition."""
        return get_etag(self.record)

    def to_dict(self) -> dict[str, Any]:
        """What ``batch-deployment show`` prints: the later layout, with all defaults."""
        document = self.record.document
        first = {
            "name": self.name,
            "endpoint_name": self.endpoint_name,
            "id": self.id,
            "is_default": self.is_default,
            "provisioning_state": SUCCEEDED,
        }
        rest = {key: value for key, value in document.items() if key not in first}
        return {
            **first,
            **rest,
            "creation_context": {
                "created_at": render_time(self.record.created_at),
                "last_modified_at": render_time(self.record.updated_at),
            },
        }

    def __repr__(self) -> str:
        return f"Deployment({self.name!r}, endpoint_name={self.endpoint_name!r})"
