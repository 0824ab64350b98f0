"""Which jobs a listing shows. Control plane."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    Select,
    Text,
    cast,
    column,
    func,
    or_,
    select,
)

from sparkscore.state.job_status import ACTIVE, QUEUED, WAITING
from sparkscore.state.records import ProcessIdentity
from sparkscore.state.tables import endpoints, jobs, render_document

Archived = Literal["exclude", "include", "only"]

DAY_SECONDS = 86_400


@dataclass(frozen=True, kw_only=True)
class JobFilter:
    """All of these must hold; None is any. ``endpoint`` is compared regardless of case."""

    endpoint: str | None = None
    deployment: str | None = None
    statuses: tuple[str, ...] | None = None
    archived: Archived = "exclude"
    experiment: str | None = None
    compute: str | None = None


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


def select_day_counts(wanted: JobFilter, *, since: float) -> Select[Any]:
    """Day of creation (counted from the epoch, UTC), status and number of jobs made since then."""
    day = cast(jobs.c.created_at, BigInteger) // DAY_SECONDS
    conditions = (*_conditions(wanted), jobs.c.created_at >= since)
    return select(day, jobs.c.status, func.count()).where(*conditions).group_by(day, jobs.c.status)


def select_active_jobs(*, ahead_of: int | None = None) -> Select[Any]:
    """Jobs that may still change, the oldest first; not those that wait behind this sequence."""
    query = select(jobs).where(jobs.c.status.in_(ACTIVE)).order_by(jobs.c.sequence)
    if ahead_of is None:
        return query
    return query.where(or_(jobs.c.sequence <= ahead_of, jobs.c.status.not_in(WAITING)))


def select_queued_jobs(
    creator: ProcessIdentity | None, *, limit: int, before_sequence: int | None = None
) -> Select[Any]:
    """Jobs of this creator that are Queued, the oldest first."""
    query = (
        select(jobs)
        .where(jobs.c.status == QUEUED, jobs.c.creator == _as_document(creator))
        .order_by(jobs.c.sequence)
        .limit(limit)
    )
    return query if before_sequence is None else query.where(jobs.c.sequence < before_sequence)


def select_launched_jobs(creator: ProcessIdentity | None) -> Select[Any]:
    """Jobs of this creator that may still change and have had a launcher."""
    return select_active_jobs().where(
        jobs.c.launcher.is_not(None), jobs.c.creator == _as_document(creator)
    )


def _as_document(process: ProcessIdentity | None) -> dict[str, Any] | None:
    return None if process is None else asdict(process)


def select_newest_jobs() -> Select[Any]:
    """Endpoint key, name and status of the newest job of each endpoint that is there.

    One look into the index for each endpoint: their jobs are not counted through.
    """
    others = jobs.alias("others")
    newest = (
        select(func.max(others.c.sequence))
        .where(others.c.endpoint_key == endpoints.c.key, others.c.is_archived.is_(False))
        .correlate(endpoints)
        .scalar_subquery()
    )
    rows = endpoints.join(jobs, jobs.c.sequence == newest)
    return select(endpoints.c.key, jobs.c.name, jobs.c.status).select_from(rows)


def archived_condition(archived: Archived) -> list[ColumnElement[bool]]:
    """For any table that has ``is_archived``."""
    if archived == "include":
        return []
    return [column("is_archived", Boolean).is_(archived == "only")]


def _begins(documents: Column[Any], start: dict[str, Any]) -> ColumnElement[bool]:
    """Whether documents have these keys first, which is how a job's compute has its name: they
    are kept as text, with keys in the order they came, and no database has to read it as JSON."""
    text = render_document(start).removesuffix("}")
    return func.substr(documents, 1, len(text) + 1, type_=Text).in_([f"{text},", f"{text}}}"])


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
    if wanted.compute is not None:
        conditions.append(_begins(jobs.c.compute, {"name": wanted.compute}))
    return conditions
