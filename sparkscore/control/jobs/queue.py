"""Whose turn it is: local jobs run in the order in which they were invoked. Control plane, pure.

At most ``max_running_jobs`` of a workspace run at once. A waiting job has its own launcher, which
asks here, or it is parked: it has none yet, and the launchers of jobs that the same process made
give it one in time, see ``parking``. A job whose processes are dead holds nobody up; neither does
one on another host whose heartbeat is stale. A job on a Spark cluster (``spark://...``) has its
driver here and its work there, one on a platform has both there: they take no place in the queue
and wait for nobody.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from sparkscore.control.jobs.refresh import STALE_SECONDS
from sparkscore.state.job_status import QUEUED, is_waiting
from sparkscore.state.records import JobRecord, ProcessIdentity

LAUNCH_SECONDS = 10.0
"""How long a job whose launcher is not there yet keeps its place."""

IsAlive = Callable[[ProcessIdentity | None], bool | None]


def takes_turns(record: JobRecord) -> bool:
    """Whether the job waits for its turn: local ones do."""
    is_on_cluster = str(record.compute.get("master") or "").startswith("spark://")
    return record.remote is None and not is_on_cluster


def count_ahead(
    record: JobRecord,
    active: Iterable[JobRecord],
    *,
    max_running: int,
    now: float,
    is_alive: IsAlive,
) -> int:
    """How many jobs must end or start before this one may start; 0 means now.

    ``active`` are the jobs that have not ended.
    """
    if not takes_turns(record):
        return 0
    listed = list(active)
    keepers = find_keepers(listed, now, is_alive)
    others = [
        other
        for other in listed
        if other.name != record.name
        and takes_turns(other)
        and (keeps_place(other, now, is_alive) or (is_parked(other) and other.creator in keepers))
    ]
    running = sum(not is_waiting(other) for other in others)
    earlier = sum(is_waiting(other) and other.sequence < record.sequence for other in others)
    return max(0, running + earlier + 1 - max_running)


def is_parked(record: JobRecord) -> bool:
    """Whether the job waits without a launcher of its own."""
    return record.status == QUEUED and record.launcher is None


def find_keepers(
    active: Iterable[JobRecord], now: float, is_alive: IsAlive
) -> set[ProcessIdentity | None]:
    """Creators whose parked jobs are cared for: a launcher of another job of theirs lives."""
    return {
        record.creator
        for record in active
        if record.launcher is not None and _has_launcher(record, now, is_alive)
    }


def _has_launcher(record: JobRecord, now: float, is_alive: IsAlive) -> bool:
    alive = is_alive(record.launcher)
    return _is_fresh(record, now) if alive is None else alive


def _is_fresh(record: JobRecord, now: float) -> bool:
    return now - (record.heartbeat_at or record.updated_at) <= STALE_SECONDS


def keeps_place(record: JobRecord, now: float, is_alive: IsAlive) -> bool:
    """Whether somebody still cares for the job."""
    if record.launcher is None:
        is_new = abs(now - record.updated_at) <= LAUNCH_SECONDS
        return is_new and is_alive(record.creator) is not False
    alive = (is_alive(record.launcher), is_alive(record.driver))
    if True in alive:
        return True
    return None in alive and _is_fresh(record, now)
