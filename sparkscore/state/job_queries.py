"""Which jobs a listing shows. Control plane."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import Boolean, ColumnElement, Select, column, func, select

from sparkscore.state.job_status import ACTIVE
from sparkscore.state.tables import jobs

Archived = Literal["exclude", "include", "only"]


@dataclass(frozen=True, kw_only=True)
class JobFilter:
    """All of these must hold; None is any. ``endpoint`` is compared regardless of case."""

    endpoint: str | None = None
    deployment: str | None = None
    statuses: tuple[str, ...] | None = None
    archived: Archived = "exclude"
    experiment: str | None = None


def select_jobs(
    wanted: JobFilter, *, limit: int | None = None, before_sequence: int | None = None
) -> Select[Any]:
    """Jobs, the newest first, that are older than ``before_sequence``."""
    query = select(jobs).where(*_conditions(wanted)).order_by(jobs.c.sequence.desc()).limit(limit)
    return query if before_sequence is None else query.where(jobs.c.sequence < before_sequence)


def select_job_count(wanted: JobFilter) -> Select[Any]:
    return select(func.count()).select_from(jobs).where(*_conditions(wanted))


def select_status_counts(wanted: JobFilter) -> Select[Any]:
    conditions = _conditions(wanted)
    return select(jobs.c.status, func.count()).where(*conditions).group_by(jobs.c.status)


def select_active_jobs() -> Select[Any]:
    """Jobs that may still change, the oldest first."""
    return select(jobs).where(jobs.c.status.in_(ACTIVE)).order_by(jobs.c.sequence)


def archived_condition(archived: Archived) -> list[ColumnElement[bool]]:
    """For any table that has ``is_archived``."""
    if archived == "include":
        return []
    return [column("is_archived", Boolean).is_(archived == "only")]


def _conditions(wanted: JobFilter) -> list[ColumnElement[bool]]:
    conditions = archived_condition(wanted.archived)
    if wanted.endpoint is not None:
        conditions.append(jobs.c.endpoint_key == wanted.endpoint.lower())
    if wanted.deployment is not None:
        conditions.append(jobs.c.deployment_name == wanted.deployment)
    if wanted.statuses is not None:
        conditions.append(jobs.c.status.in_(wanted.statuses))
    if wanted.experiment is not None:
        conditions.append(jobs.c.experiment_name == wanted.experiment)
    return conditions
