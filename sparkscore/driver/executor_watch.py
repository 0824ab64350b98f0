"""Notices that a cluster gives a job no executors. Spark driver process."""

from __future__ import annotations

import time

from pyspark import SparkContext

from sparkscore.driver.progress import Progress

WAIT_SECONDS = 15.0
"""How long a job may be without executors before it says so: a cluster needs some time."""

WAITING_FOR_EXECUTORS = "waiting_for_executors"
HINT = (
    "no executor works for this job: the cluster has no free worker with the cores, memory or GPUs "
    "asked for; the job goes on once there is one"
)

_LOOK_SECONDS = 1.0


class ExecutorWatch:
    """Says in events and status that a job waits for executors, and in the status no more once
    there are some. In local mode, and where Spark does not tell, it says nothing."""

    def __init__(self, context: SparkContext, progress: Progress) -> None:
        self._context, self._progress = context, progress
        master = context.master or ""
        self._can_tell = master != "local" and not master.startswith("local[")
        self._is_waiting = False
        self._seen_at = self._looked_at = time.monotonic()

    def look(self) -> None:
        """Cheap; to be called often while tasks are to run."""
        now = time.monotonic()
        if not self._can_tell or now - self._looked_at < _LOOK_SECONDS:
            return
        self._looked_at = now
        if self._has_executors():
            self._seen_at = now
            if self._is_waiting:
                self._is_waiting = False
                self._progress.hint(None)
        elif not self._is_waiting and now - self._seen_at >= WAIT_SECONDS:
            self._is_waiting = True
            self._progress.event(WAITING_FOR_EXECUTORS, seconds=round(now - self._seen_at, 1))
            self._progress.hint(HINT)

    def _has_executors(self) -> bool:
        try:
            stores = self._context._jsc.sc().getExecutorMemoryStatus().size()
        except Exception:  # a platform may forbid the question, and a session may have ended
            self._can_tell = False
            return True
        return int(stores) > 1  # the driver has one too
