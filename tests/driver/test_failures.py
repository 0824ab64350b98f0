"""What errors of Spark, the system and our own code become."""

from __future__ import annotations

import errno

import pytest
from py4j.protocol import Py4JError
from pyspark.errors import PySparkException

from sparkscore.driver.failures import explain_failure, iter_causes
from sparkscore.errors import EmptyInputError


def chained(outer: Exception, inner: Exception) -> Exception:
    outer.__cause__ = inner
    return outer


@pytest.mark.parametrize(
    ("error", "condition", "exit_code"),
    [
        (EmptyInputError("nothing"), "EMPTY_INPUT", 2),
        (OSError(errno.ENOSPC, "full"), "NO_SPACE_LEFT", 4),
        (chained(ValueError("wrapped"), OSError(errno.ENOSPC, "full")), "NO_SPACE_LEFT", 4),
        (PySparkException("java.io.IOException: No space left on device"), "NO_SPACE_LEFT", 4),
        (PySparkException("Read-only file system"), "READ_ONLY_STORAGE", 4),
        (PySparkException("Job aborted"), "SPARK_JOB_FAILED", 4),
        (chained(RuntimeError("lost"), Py4JError("gone")), "SPARK_JOB_FAILED", 4),
        (PermissionError(errno.EACCES, "closed"), "SPARK_JOB_FAILED", 4),
        (KeyError("a bug of ours"), "INTERNAL_ERROR", 1),
    ],
)
def test_failure__has_its_condition(error: Exception, condition: str, exit_code: int) -> None:
    explained = explain_failure(error, doing="scoring")
    assert (explained.condition, explained.exit_code) == (condition, exit_code)


def test_failure__of_a_python_worker_is_told_by_its_last_line() -> None:
    text = "An exception was thrown:\nTraceback (most recent call last):\nValueError: bad digest\n"
    assert "ValueError: bad digest" in explain_failure(PySparkException(text), doing="x").message


def test_causes__end_where_they_turn_in_a_circle() -> None:
    first, second = ValueError("first"), ValueError("second")
    first.__cause__, second.__cause__ = second, first
    assert list(iter_causes(first)) == [first, second]
