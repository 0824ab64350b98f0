"""What an error of Spark or of the operating system means to a user. Spark driver process."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator

from py4j.protocol import Py4JError
from pyspark.errors import PySparkException

from sparkscore.errors import ScoringError, SparkscoreError, StorageError

_STORAGE = (
    (
        errno.ENOSPC,
        re.compile(r"No space left on device", re.IGNORECASE),
        "NO_SPACE_LEFT",
        "no space is left where the job writes: free some and run the job again",
    ),
    (
        errno.EROFS,
        re.compile(r"Read-only file system", re.IGNORECASE),
        "READ_ONLY_STORAGE",
        "a folder that the job writes to is read-only",
    ),
)

_OF_PLATFORM = (PySparkException, Py4JError, OSError)

_RAISED = re.compile(r"[\w.]+(Error|Exception)\b.*:")


def explain_failure(error: BaseException, *, doing: str) -> SparkscoreError:
    """A named error for what ended the job while ``doing`` something.

    Storage faults are looked for in the whole chain of causes: Spark wraps them several times.
    What neither Spark nor the system raised is a bug of ours: INTERNAL_ERROR, exit code 1.
    """
    if isinstance(error, SparkscoreError):
        return error
    texts = [f"{type(cause).__name__}: {cause}" for cause in iter_causes(error)]
    for cause in iter_causes(error):
        for number, pattern, condition, message in _STORAGE:
            if getattr(cause, "errno", None) == number or any(map(pattern.search, texts)):
                return StorageError(f"{doing}: {message}", condition=condition)
    message = f"{doing} failed: {_first_line(texts[0])} (logs/driver.log has the whole error)"
    if any(isinstance(cause, _OF_PLATFORM) for cause in iter_causes(error)):
        return ScoringError(message, condition="SPARK_JOB_FAILED")
    return SparkscoreError(message, condition="INTERNAL_ERROR")


def iter_causes(error: BaseException) -> Iterator[BaseException]:
    """The error and what caused it, outermost first."""
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        yield current
        current = current.__cause__ or current.__context__


def _first_line(text: str) -> str:
    """The line that says what happened: the last of a Python traceback, else the first."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    raised = [line for line in lines if _RAISED.match(line)]
    return (raised[-1] if len(raised) > 1 else lines[0] if lines else "")[:500]
