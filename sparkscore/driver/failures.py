"""What an error of Spark or of the operating system means to a user. Spark driver process."""

from __future__ import annotations

import errno
import math
import os
import re
import shutil
from collections.abc import Iterator, Mapping

from py4j.protocol import Py4JError
from pyspark.errors import PySparkException

from sparkscore.errors import ScoringError, SparkscoreError, StorageError

_STORAGE = (
    (
        errno.ENOSPC,
        re.compile(r"No space left on device", re.IGNORECASE),
        "NO_SPACE_LEFT",
        "no space is left {where}: free some and resume the job",
    ),
    (
        errno.EROFS,
        re.compile(r"Read-only file system", re.IGNORECASE),
        "READ_ONLY_STORAGE",
        "{where} the file system is read-only",
    ),
)

_NAME_ONE = "name one that every worker has with spark.pyspark.python or PYSPARK_PYTHON"
_WORKER_PYTHON = (
    (
        re.compile(
            r"PYTHON_VERSION_MISMATCH\D*(?P<major>[0-9]+)[., ]+(?P<minor>[0-9]+)"
            r"\D*(?P<own>[0-9]+\.[0-9]+)"
        ),
        (
            "workers have Python {major}.{minor}, and the driver has {own}: Spark needs the same "
            f"minor version; {_NAME_ONE}"
        ),
    ),
    (
        re.compile(r"Cannot run program \"(?P<program>[^\"]*python[^\"]*)\""),
        f"workers cannot run {{program}} as their Python; {_NAME_ONE}",
    ),
    (
        re.compile(r"No module named '(?P<module>pyarrow|pandas)'"),
        f"the workers' Python has no {{module}}: install pandas and pyarrow in it, or {_NAME_ONE}",
    ),
)

_NEARLY_NOTHING_BYTES = 16 * 1024 * 1024

_OF_PLATFORM = (PySparkException, Py4JError, OSError)

_CALLING = "An error occurred while calling"
_LAST_FAILURE = re.compile(r"most recent failure: Lost task [^:]*: (?!.*Traceback)(.+)")
_RAISED = re.compile(r"[\w.]+(Error|Exception)\b.*:")


def explain_failure(
    error: BaseException, *, doing: str, folders: Mapping[str, str] | None = None
) -> SparkscoreError:
    """A named error for what ended the job while ``doing`` something.

    Storage faults are looked for in the whole chain of causes: Spark wraps them several times.
    ``folders`` are those that the job writes to, by what they are for: the error names one.
    What neither Spark nor the system raised is a bug of ours: INTERNAL_ERROR, exit code 1.
    """
    if isinstance(error, SparkscoreError):
        return error
    texts = [f"{type(cause).__name__}: {cause}" for cause in iter_causes(error)]
    for cause in iter_causes(error):
        for number, pattern, condition, message in _STORAGE:
            if getattr(cause, "errno", None) == number or any(map(pattern.search, texts)):
                return _storage_error(error, doing, condition, message, folders or {})
    message = f"{doing} failed: {_first_line(texts[0])} (logs/driver.log has the whole error)"
    if not any(isinstance(cause, _OF_PLATFORM) for cause in iter_causes(error)):
        return SparkscoreError(message, condition="INTERNAL_ERROR")
    unfit = _find_unfit_python("\n".join(texts))
    if unfit is not None:
        return ScoringError(f"{doing} failed: {unfit}", condition="WORKER_PYTHON_UNFIT")
    return ScoringError(message, condition="SPARK_JOB_FAILED")


def _storage_error(
    error: BaseException, doing: str, condition: str, message: str, folders: Mapping[str, str]
) -> StorageError:
    found = _find_folder(error, folders, is_full=condition == "NO_SPACE_LEFT")
    if found is None:
        return StorageError(
            f"{doing}: {message.format(where='where the job writes')}", condition=condition
        )
    name, path = found
    where = f"in the {name.removesuffix(' folder')} folder {path}"
    return StorageError(
        f"{doing}: {message.format(where=where)}", condition=condition, path=path, folder=name
    )


def _find_unfit_python(text: str) -> str | None:
    """What is wrong with the Python of a cluster's workers, and what to do."""
    for pattern, message in _WORKER_PYTHON:
        found = pattern.search(text)
        if found is not None:
            return message.format(**found.groupdict())
    return None


def _find_folder(
    error: BaseException, folders: Mapping[str, str], *, is_full: bool
) -> tuple[str, str] | None:
    """The folder that the error names, innermost first; else the one with the least space."""
    named = [str(getattr(cause, "filename", "")) for cause in iter_causes(error)]
    text = "\n".join([*named, *(str(cause) for cause in iter_causes(error))])
    by_length = sorted(folders.items(), key=lambda item: -len(item[1]))
    space = {path: _find_free_bytes(path) for path in folders.values()}
    full = [item for item in by_length if space[item[1]] < _NEARLY_NOTHING_BYTES]
    for name, path in full if is_full and full else by_length:
        if path in text:
            return name, path
    if is_full and by_length:
        return min(by_length, key=lambda item: space[item[1]])
    return None


def _find_free_bytes(path: str) -> float:
    """The space left for the folder, or where it would be made."""
    while not os.path.exists(path) and path != os.path.dirname(path):
        path = os.path.dirname(path)
    try:
        return shutil.disk_usage(path).free
    except OSError:
        return math.inf


def iter_causes(error: BaseException) -> Iterator[BaseException]:
    """The error and what caused it, outermost first."""
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        yield current
        current = current.__cause__ or current.__context__


def _first_line(text: str) -> str:
    """The line that says what happened: the last of a Python traceback, what Spark says of the
    task that failed last, else the first."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    last = _LAST_FAILURE.search(text)
    if lines and _CALLING in lines[0] and last is not None:
        return last[1].strip()[:500]
    raised = [line for line in lines if _RAISED.match(line)]
    return (raised[-1] if len(raised) > 1 else lines[0] if lines else "")[:500]
