"""Reading what a job published, and what may be wrong with it. Control plane."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sparkscore.errors import NotFoundError, SparkscoreError, StorageError
from sparkscore.storage import describe_error


@contextmanager
def reading_output(path: str, *, job_name: str) -> Iterator[None]:
    """What a store raises becomes NotFoundError (OUTPUT_NOT_FOUND) or StorageError."""
    try:
        yield
    except SparkscoreError:
        raise
    except FileNotFoundError as error:
        raise NotFoundError(
            f"the output {path} of job {job_name} is not there any more: somebody moved or "
            "removed it",
            condition="OUTPUT_NOT_FOUND",
            job=job_name,
            path=path,
        ) from error
    except Exception as error:
        raise StorageError(
            f"the output {path} of job {job_name} cannot be read: {describe_error(error)}; check "
            "that it is as it was written, and the store's credentials",
            condition="OUTPUT_NOT_READABLE",
            job=job_name,
            path=path,
        ) from error
