"""The tables of the store, as the newest migration leaves them. Control plane.

Their names start with ``sparkscore_``: the database may be shared, for example with MLflow's.
"""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import (
    Boolean,
    Column,
    Dialect,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
)
from sqlalchemy.types import TypeDecorator

metadata = MetaData()


def render_document(value: Any) -> str:
    """A document as the text in which it is kept."""
    return json.dumps(value, separators=(",", ":"), allow_nan=False)


class Document(TypeDecorator[Any]):
    """JSON as text, keys in the order they came. ASCII only: PostgreSQL's text takes no NUL."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        if value is None:
            return None
        return render_document(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:
        return None if value is None else json.loads(value)


def _text(name: str, *, nullable: bool = False) -> Column[str]:
    return Column(name, Text, nullable=nullable)


def _time(name: str, *, nullable: bool = False) -> Column[float]:
    return Column(name, Double, nullable=nullable)


def _document(name: str, *, nullable: bool = False) -> Column[Any]:
    return Column(name, Document, nullable=nullable)


def _flag(name: str) -> Column[bool]:
    return Column(name, Boolean, nullable=False)


def _integer(name: str) -> Column[int]:
    return Column(name, Integer, nullable=False)


def _sequence() -> Column[int]:
    """A primary key that the database gives; numbers of deleted rows are not given again."""
    return Column("sequence", Integer, primary_key=True, autoincrement=True)


endpoints = Table(
    "sparkscore_endpoints",
    metadata,
    Column("key", Text, primary_key=True),
    _text("name"),
    _text("description", nullable=True),
    _text("auth_mode"),
    _document("tags"),
    _document("properties"),
    _text("default_deployment", nullable=True),
    _time("created_at"),
    _time("updated_at"),
    _integer("revision"),
)
"""``key`` is the name in lower case: names are unique regardless of case."""

deployments = Table(
    "sparkscore_deployments",
    metadata,
    Column(
        "endpoint_key",
        Text,
        ForeignKey(
            endpoints.c.key,
            name="sparkscore_deployments_endpoint",
            ondelete="CASCADE",
        ),
        primary_key=True,
    ),
    Column("name", Text, primary_key=True),
    _text("endpoint_name"),
    _document("document"),
    _time("created_at"),
    _time("updated_at"),
    _integer("revision"),
)

jobs = Table(
    "sparkscore_jobs",
    metadata,
    _sequence(),
    _text("name"),
    _text("status"),
    _text("status_before", nullable=True),
    _text("endpoint_key", nullable=True),
    _text("endpoint_name", nullable=True),
    _text("deployment_name", nullable=True),
    _document("deployment"),
    _document("compute"),
    _document("inputs"),
    _document("outputs"),
    _text("folder"),
    _text("request_digest"),
    _time("created_at"),
    _time("updated_at"),
    _time("started_at", nullable=True),
    _time("ended_at", nullable=True),
    _time("heartbeat_at", nullable=True),
    _text("display_name"),
    _text("experiment_name"),
    _text("description", nullable=True),
    _document("tags"),
    _document("properties"),
    _flag("is_archived"),
    _time("cancel_requested_at", nullable=True),
    _document("creator", nullable=True),
    _document("launcher", nullable=True),
    _document("driver", nullable=True),
    _document("error", nullable=True),
    _document("summary", nullable=True),
    _document("earlier_runs"),
    _text("retry_of", nullable=True),
    _document("remote", nullable=True),
    _integer("revision"),
    Index("sparkscore_jobs_name", "name", unique=True),
    Index("sparkscore_jobs_endpoint", "endpoint_key", "sequence"),
    Index("sparkscore_jobs_deployment", "endpoint_key", "deployment_name", "sequence"),
    Index("sparkscore_jobs_status", "status", "sequence"),
    Index("sparkscore_jobs_experiment", "experiment_name", "sequence"),
    Index("sparkscore_jobs_retry", "retry_of", "sequence"),
    sqlite_autoincrement=True,
)
"""Jobs outlive their endpoint, so that ``endpoint_key`` is no foreign key."""

assets = Table(
    "sparkscore_assets",
    metadata,
    _sequence(),
    _text("kind"),
    _text("name"),
    _text("version"),
    _document("document"),
    _text("digest"),
    _text("path"),
    _flag("is_generated"),
    _flag("is_archived"),
    _time("created_at"),
    Index("sparkscore_assets_version", "kind", "name", "version", unique=True),
    Index("sparkscore_assets_latest", "kind", "name", "sequence"),
    Index("sparkscore_assets_digest", "kind", "name", "digest"),
    sqlite_autoincrement=True,
)

datastores = Table(
    "sparkscore_datastores",
    metadata,
    Column("name", Text, primary_key=True),
    _document("document"),
    _flag("is_default"),
    _flag("is_archived"),
    _time("created_at"),
    _time("updated_at"),
)

computes = Table(
    "sparkscore_computes",
    metadata,
    Column("name", Text, primary_key=True),
    _document("document"),
    _flag("is_archived"),
    _time("created_at"),
    _time("updated_at"),
)

tokens = Table(
    "sparkscore_tokens",
    metadata,
    Column("name", Text, primary_key=True),
    _text("role"),
    _text("digest"),
    _time("created_at"),
    _time("expires_at", nullable=True),
)

VERSION_TABLE = "sparkscore_schema_version"
"""One row, the revision of the schema; Alembic writes it."""
