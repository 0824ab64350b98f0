"""Revision 0001: the first schema. Control plane."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    _create_endpoints()
    _create_deployments()
    _create_jobs()
    _create_assets()
    _create_datastores()
    _create_computes()


def _text(name: str, *, nullable: bool = False, primary_key: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=nullable, primary_key=primary_key)


def _double(name: str, *, nullable: bool = False) -> sa.Column[float]:
    return sa.Column(name, sa.Double, nullable=nullable)


def _flag(name: str) -> sa.Column[bool]:
    return sa.Column(name, sa.Boolean, nullable=False)


def _create_endpoints() -> None:
    op.create_table(
        "sparkscore_endpoints",
        _text("key", primary_key=True),
        _text("name"),
        _text("description", nullable=True),
        _text("auth_mode"),
        _text("tags"),
        _text("properties"),
        _text("default_deployment", nullable=True),
        _double("created_at"),
        _double("updated_at"),
        sa.Column("revision", sa.Integer, nullable=False),
    )


def _create_deployments() -> None:
    op.create_table(
        "sparkscore_deployments",
        _text("endpoint_key", primary_key=True),
        _text("name", primary_key=True),
        _text("endpoint_name"),
        _text("document"),
        _double("created_at"),
        _double("updated_at"),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.ForeignKeyConstraint(
            ["endpoint_key"],
            ["sparkscore_endpoints.key"],
            name="sparkscore_deployments_endpoint",
            ondelete="CASCADE",
        ),
    )


def _create_jobs() -> None:
    table = "sparkscore_jobs"
    op.create_table(
        table,
        sa.Column("sequence", sa.Integer, primary_key=True, autoincrement=True),
        _text("name"),
        _text("status"),
        _text("status_before", nullable=True),
        _text("endpoint_key", nullable=True),
        _text("endpoint_name", nullable=True),
        _text("deployment_name", nullable=True),
        *(_text(name) for name in ("deployment", "compute", "inputs", "outputs")),
        _text("folder"),
        _text("request_digest"),
        _double("created_at"),
        _double("updated_at"),
        *(_double(name, nullable=True) for name in ("started_at", "ended_at", "heartbeat_at")),
        _text("display_name"),
        _text("experiment_name"),
        _text("description", nullable=True),
        _text("tags"),
        _text("properties"),
        _flag("is_archived"),
        _double("cancel_requested_at", nullable=True),
        *(_text(name, nullable=True) for name in ("creator", "launcher", "driver")),
        _text("error", nullable=True),
        _text("summary", nullable=True),
        sa.Column("revision", sa.Integer, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("sparkscore_jobs_name", table, ["name"], unique=True)
    op.create_index("sparkscore_jobs_endpoint", table, ["endpoint_key", "sequence"])
    op.create_index(
        "sparkscore_jobs_deployment", table, ["endpoint_key", "deployment_name", "sequence"]
    )
    op.create_index("sparkscore_jobs_status", table, ["status", "sequence"])
    op.create_index("sparkscore_jobs_experiment", table, ["experiment_name", "sequence"])


def _create_assets() -> None:
    table = "sparkscore_assets"
    op.create_table(
        table,
        sa.Column("sequence", sa.Integer, primary_key=True, autoincrement=True),
        *(_text(name) for name in ("kind", "name", "version", "document", "digest", "path")),
        _flag("is_generated"),
        _flag("is_archived"),
        _double("created_at"),
        sqlite_autoincrement=True,
    )
    op.create_index("sparkscore_assets_version", table, ["kind", "name", "version"], unique=True)
    op.create_index("sparkscore_assets_latest", table, ["kind", "name", "sequence"])
    op.create_index("sparkscore_assets_digest", table, ["kind", "name", "digest"])


def _create_datastores() -> None:
    op.create_table(
        "sparkscore_datastores",
        _text("name", primary_key=True),
        _text("document"),
        _flag("is_default"),
        _flag("is_archived"),
        _double("created_at"),
        _double("updated_at"),
    )


def _create_computes() -> None:
    op.create_table(
        "sparkscore_computes",
        _text("name", primary_key=True),
        _text("document"),
        _flag("is_archived"),
        _double("created_at"),
        _double("updated_at"),
    )
