"""What Spark 3.5 has and later ones have not, or the other way round. Spark driver process.

Everything else in the driver is written to what Spark 3.5 and 4 have in common. What is here is
looked up where it is needed, not concluded from a version: platforms mix them.
"""

from __future__ import annotations

import importlib
import inspect
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pyspark.util
from pyspark import InheritableThread
from pyspark.sql import SparkSession
from pyspark.sql.pandas.serializers import ArrowCollectSerializer

OLD_TIMES_AS_THEY_ARE = {
    "spark.sql.parquet.datetimeRebaseModeInWrite": "CORRECTED",
    "spark.sql.parquet.int96RebaseModeInWrite": "CORRECTED",
}
"""Spark 3.5 refuses to write days before 1582 and times before 1900 unless told how; 4.0 writes."""


def make_job_thread(work: Callable[[], None], spark: SparkSession) -> threading.Thread:
    """A thread, not started, whose Spark jobs have the settings of the thread that starts it.

    Those of the session too (its tags), where Spark keeps such: from 4.0.
    """
    if "session" in inspect.signature(InheritableThread).parameters:
        return InheritableThread(work, session=spark)
    return InheritableThread(work)


@contextmanager
def load_arrow_batches(socket: tuple[Any, Any]) -> Iterator[Iterator[Any]]:
    """What the JVM sends of a collected frame, read as it comes: record batches, then their order.

    ``socket`` is port (or path) and secret. Spark 3.5 has the reader elsewhere, and as a plain
    iterator.
    """
    load: Any = getattr(pyspark.util, "_load_from_socket", None)
    if load is None:
        load = importlib.import_module("pyspark.rdd")._load_from_socket
    serializer: Any = ArrowCollectSerializer
    loaded = load(socket, serializer())
    if hasattr(loaded, "__enter__"):
        with loaded as found:
            yield found
    else:
        yield loaded
