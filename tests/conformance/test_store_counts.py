"""Jobs counted by day and status, in every store alike."""

from __future__ import annotations

import pytest

from sparkscore.state import JobFilter, Store
from tests.state.records import make_job

DAY = 86_400
JOBS = (
    ("a", 10 * DAY, "Completed", "heart"),
    ("b", 10 * DAY + 0.25, "Completed", "lung"),
    ("c", 11 * DAY - 1, "Failed", "heart"),
    ("d", 11 * DAY, "Running", "heart"),
    ("e", 9 * DAY + 5, "Completed", "heart"),
)


@pytest.fixture
def counted(store: Store) -> Store:
    with store.writing() as writer:
        for name, at, status, endpoint in JOBS:
            writer.add_job(
                make_job(name, created_at=float(at), status=status, endpoint_name=endpoint)
            )
    return store


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (JobFilter(), {(10, "Completed"): 2, (10, "Failed"): 1, (11, "Running"): 1}),
        (JobFilter(endpoint="LUNG"), {(10, "Completed"): 1}),
        (JobFilter(archived="only"), {}),
    ],
)
def test_count_jobs_by_day(
    wanted: JobFilter, expected: dict[tuple[int, str], int], counted: Store
) -> None:
    with counted.reading() as reader:
        assert reader.count_jobs_by_day(since=10 * DAY, wanted=wanted) == expected
