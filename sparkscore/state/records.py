"""What the store keeps, as frozen dataclasses. Control plane, no library needed.

Times are seconds since the epoch, UTC. ``revision`` is 0 in a record that was never stored and
grows by one with each write. Documents are of JSON types.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

AssetKind = Literal["environment", "data", "code"]


@dataclass(frozen=True, kw_only=True)
class EndpointRecord:
    """A name under which deployments are invoked; unique regardless of case."""

    name: str
    description: str | None = None
    auth_mode: str = "aad_token"
    tags: dict[str, str] = field(default_factory=dict)
    properties: dict[str, str] = field(default_factory=dict)
    default_deployment: str | None = None
    created_at: float
    updated_at: float
    revision: int = 0


@dataclass(frozen=True, kw_only=True)
class DeploymentRecord:
    """A deployment of an endpoint; ``document`` is the nested layout, references resolved."""

    endpoint_name: str
    name: str
    document: dict[str, Any]
    created_at: float
    updated_at: float
    revision: int = 0


@dataclass(frozen=True, kw_only=True)
class ProcessIdentity:
    """A process that is told apart from a later one with the same id.

    ``start_token`` is boot id and start time in clock ticks.
    """

    host: str
    process_id: int
    start_token: str


@dataclass(frozen=True, kw_only=True)
class JobRecord:
    """One scoring of one input by one deployment.

    ``deployment`` is exactly what it ran, overrides applied. ``status_before`` is what a job that
    is NotResponding, Paused or Unknown returns to, else None. ``sequence`` is given by the store
    and grows from job to job. ``request_digest`` covers everything the caller asked for.
    ``folder`` is the local job folder. ``summary`` is there once the job has ended.
    ``earlier_runs`` says how each run before the last resume ended, ``retry_of`` names the job
    whose failed inputs this one scores. ``remote`` is there for a job whose driver runs on a
    platform: ``platform``, ``run_id``, ``url``, ``state``, ``message``, ``folder`` (a URI) with its
    ``options``, ``run`` (how often it was resumed) and the compute's ``document``.
    """

    name: str
    status: str
    status_before: str | None = None
    sequence: int = 0
    endpoint_name: str | None = None
    deployment_name: str | None = None
    deployment: dict[str, Any] = field(default_factory=dict)
    compute: dict[str, Any] = field(default_factory=dict)
    inputs: dict[str, dict[str, Any]] = field(default_factory=dict)
    outputs: dict[str, dict[str, Any]] = field(default_factory=dict)
    folder: str
    request_digest: str
    created_at: float
    updated_at: float
    started_at: float | None = None
    ended_at: float | None = None
    heartbeat_at: float | None = None
    display_name: str
    experiment_name: str
    description: str | None = None
    tags: dict[str, str] = field(default_factory=dict)
    properties: dict[str, str] = field(default_factory=dict)
    is_archived: bool = False
    cancel_requested_at: float | None = None
    creator: ProcessIdentity | None = None
    launcher: ProcessIdentity | None = None
    driver: ProcessIdentity | None = None
    error: dict[str, Any] | None = None
    summary: dict[str, Any] | None = None
    earlier_runs: list[dict[str, Any]] = field(default_factory=list)
    retry_of: str | None = None
    remote: dict[str, Any] | None = None
    revision: int = 0


@dataclass(frozen=True, kw_only=True)
class AssetRecord:
    """One version of an environment, of data or of code; its content never changes.

    ``path`` is a URI or a local path, empty if there is none. ``sequence`` is given by the store
    and grows from version to version.
    """

    kind: AssetKind
    name: str
    version: str
    document: dict[str, Any]
    digest: str
    path: str = ""
    is_generated: bool = False
    is_archived: bool = False
    created_at: float
    sequence: int = 0


@dataclass(frozen=True, kw_only=True)
class DatastoreRecord:
    """A named place for data; at most one is the default."""

    name: str
    document: dict[str, Any]
    is_default: bool = False
    is_archived: bool = False
    created_at: float
    updated_at: float


@dataclass(frozen=True, kw_only=True)
class TokenRecord:
    """What is known of a bearer token: never the token, only the digest of its secret part.

    ``name`` is part of the token. ``expires_at`` None: it does not expire.
    """

    name: str
    role: str
    digest: str
    created_at: float
    expires_at: float | None = None


@dataclass(frozen=True, kw_only=True)
class ComputeRecord:
    """A named place to run."""

    name: str
    document: dict[str, Any]
    is_archived: bool = False
    created_at: float
    updated_at: float
