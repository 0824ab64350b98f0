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


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            (
                "[PYTHON_VERSION_MISMATCH] Python in worker has different version: 3.12 than that "
                "in driver: 3.11, PySpark cannot run with different minor versions."
            ),
            ("3.12", "3.11"),
        ),
        (
            (
                "[PYTHON_VERSION_MISMATCH] Python in worker has different version (3, 9) than that "
                "in driver 3.10, PySpark cannot run with different minor versions."
            ),
            ("3.9", "3.10"),
        ),
        (
            (
                "An error occurred while calling o1.parquet.\n: Job aborted: java.io.IOException: "
                'Cannot run program "/opt/python3": error=2, No such file or directory'
            ),
            ("/opt/python3",),
        ),
        ("Traceback:\nModuleNotFoundError: No module named 'pyarrow'", ("no pyarrow",)),
    ],
)
def test_failure__of_a_python_that_does_not_fit_says_what_to_do(
    text: str, says: tuple[str, ...]
) -> None:
    explained = explain_failure(PySparkException(text), doing="scoring wave 0")
    assert (explained.condition, explained.exit_code) == ("WORKER_PYTHON_UNFIT", 4)
    for words in (*says, "PYSPARK_PYTHON"):
        assert words in explained.message
    assert explain_failure(KeyError(text), doing="x").condition == "INTERNAL_ERROR"


def test_failure__of_java_is_told_by_the_task_that_failed_last() -> None:
    text = (
        "An error occurred while calling o118.parquet.\n: org.apache.spark.SparkException: Job "
        "aborted due to stage failure: Task 0 in stage 0.0 failed 4 times, most recent failure: "
        "Lost task 0.3 in stage 0.0 (TID 7) (10.0.0.2 executor 0): java.io.IOException: no disk\n"
        "\tat java.lang.Thread.run\nCaused by: java.io.IOException: error=5\n"
    )
    explained = explain_failure(Py4JError(text), doing="scoring")
    assert explained.condition == "SPARK_JOB_FAILED"
    assert "scoring failed: java.io.IOException: no disk (" in explained.message
    text = text.replace("java.io.IOException: no disk", "PythonException: Traceback (most recent):")
    explained = explain_failure(Py4JError(f"{text}ValueError: bad: digest"), doing="scoring")
    assert "scoring failed: ValueError: bad: digest (" in explained.message


def test_causes__end_where_they_turn_in_a_circle() -> None:
    first, second = ValueError("first"), ValueError("second")
    first.__cause__, second.__cause__ = second, first
    assert list(iter_causes(first)) == [first, second]
