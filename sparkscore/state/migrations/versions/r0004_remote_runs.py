"""Revision 0004: jobs whose drivers run on a platform. Control plane."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.add_column("sparkscore_jobs", sa.Column("remote", sa.Text, nullable=True))
