"""Spark jobs of the calling thread that end when the job is to stop. Spark driver process."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from pyspark.sql import SparkSession

from sparkscore.errors import SparkscoreError

_LOOK_SECONDS = 0.2
_TASKS_SECONDS = 45.0
_QUIET_SECONDS = 1.0
_GROUP_KEYS = ("spark.jobGroup.id", "spark.job.description", "spark.job.interruptOnCancel")


@contextmanager
def canceling_jobs(spark: SparkSession, group: str, check: Callable[[], None]) -> Iterator[None]:
    """Cancels what the body runs on Spark once ``check`` raises, and then raises the same.

    A body that has ended all the same has ended: what it committed stays. After an error nothing
    of the body runs any more, also where Spark has only asked its tasks to end.
    """
    check()
    context = spark.sparkContext
    raised: list[SparkscoreError] = []
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(_LOOK_SECONDS):
            try:
                check()
            except SparkscoreError as error:
                raised.append(error)
                with suppress(Exception):
                    context.cancelJobGroup(group)

    before = {key: context.getLocalProperty(key) for key in _GROUP_KEYS}
    context.setJobGroup(group, group, interruptOnCancel=False)
    watcher = threading.Thread(target=watch, name="publish watch", daemon=True)
    watcher.start()
    try:
        yield
    except Exception as error:
        ended.set()
        with suppress(Exception):
            context.cancelJobGroup(group)
            wait_for_tasks(context, group)
        if raised:
            raise raised[0] from error
        raise
    finally:
        ended.set()
        with suppress(Exception):
            for key, value in before.items():
                context.setLocalProperty(key, value)  # type: ignore[arg-type]


def wait_for_tasks(context: Any, group: str, timeout_seconds: float = _TASKS_SECONDS) -> None:
    """Wait until no task of a canceled group runs: Spark's jobs are over before their tasks are.

    Spark hears of a task that has just started a little later, so none must be seen for a while.
    """
    tracker = context.statusTracker()
    deadline = time.monotonic() + timeout_seconds
    seen_at = time.monotonic()
    while (now := time.monotonic()) < min(deadline, seen_at + _QUIET_SECONDS):
        jobs = [tracker.getJobInfo(job) for job in tracker.getJobIdsForGroup(group)]
        stages = [tracker.getStageInfo(stage) for job in jobs if job for stage in job.stageIds]
        if any(stage.numActiveTasks for stage in stages if stage):
            seen_at = now
        time.sleep(_LOOK_SECONDS)
