"""Spark jobs of the calling thread that end when the job is to stop. Spark driver process."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from pyspark.sql import SparkSession

from sparkscore.errors import SparkscoreError

_LOOK_SECONDS = 0.2
_GROUP_KEYS = ("spark.jobGroup.id", "spark.job.description", "spark.job.interruptOnCancel")


@contextmanager
def canceling_jobs(spark: SparkSession, group: str, check: Callable[[], None]) -> Iterator[None]:
    """Cancels what the body runs on Spark once ``check`` raises, and then raises the same.

    A body that has ended all the same has ended: what it committed stays.
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
        if raised:
            raise raised[0] from error
        raise
    finally:
        ended.set()
        with suppress(Exception):
            for key, value in before.items():
                context.setLocalProperty(key, value)  # type: ignore[arg-type]
