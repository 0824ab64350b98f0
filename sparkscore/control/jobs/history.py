"""How many jobs there were on each of the last days. Control plane."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from sparkscore.messages.status import CANCELED, COMPLETED, FAILED
from sparkscore.state import JobFilter
from sparkscore.state.job_status import STATUSES as STATUSES

if TYPE_CHECKING:
    from sparkscore.control.workspace import Workspace

ACTIVE = "Active"
"""What jobs that have not ended count as."""

DAY_STATUSES = (COMPLETED, FAILED, CANCELED, ACTIVE)

_DAY_SECONDS = 86_400


@dataclass(frozen=True)
class JobDay:
    """One day of UTC, such as 2026-03-01; ``counts`` has jobs made then by DAY_STATUSES."""

    date: str
    counts: Mapping[str, int] = field(default_factory=dict)

    @property
    def total(self) -> int:
        """How many jobs were made on this day."""
        return sum(self.counts.values())


def count_jobs_by_day(
    workspace: Workspace,
    *,
    days: int = 30,
    endpoint_name: str | None = None,
    deployment_name: str | None = None,
    experiment_name: str | None = None,
    now: float | None = None,
) -> list[JobDay]:
    """The last ``days`` days, the oldest first, today last; archived jobs count too.

    Statuses are those that were recorded: no running job is looked at. ``now`` is in seconds
    since the epoch.
    """
    today = int((time.time() if now is None else now) // _DAY_SECONDS)
    first = today - days + 1
    wanted = JobFilter(
        endpoint=endpoint_name,
        deployment=deployment_name,
        experiment=experiment_name,
        archived="include",
    )
    with workspace.store.reading() as reader:
        found = reader.count_jobs_by_day(since=first * _DAY_SECONDS, wanted=wanted)
    counts: dict[int, dict[str, int]] = {day: {} for day in range(first, today + 1)}
    for (day, status), count in found.items():
        kind = status if status in DAY_STATUSES else ACTIVE
        of_day = counts.get(day)
        if of_day is not None:
            of_day[kind] = of_day.get(kind, 0) + count
    return [JobDay(_render_day(day), of_day) for day, of_day in counts.items()]


def _render_day(day: int) -> str:
    return datetime.fromtimestamp(day * _DAY_SECONDS, timezone.utc).strftime("%Y-%m-%d")
