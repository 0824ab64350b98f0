"""Revision 0002: resumed jobs, and jobs that score what failed in another one. Control plane."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_JOBS = "sparkscore_jobs"


def upgrade() -> None:
    op.add_column(_JOBS, sa.Column("earlier_runs", sa.Text, nullable=False, server_default="[]"))
    op.add_column(_JOBS, sa.Column("retry_of", sa.Text, nullable=True))
    op.create_index("sparkscore_jobs_retry", _JOBS, ["retry_of", "sequence"])
