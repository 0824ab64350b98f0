"""Jobs of the last days by status, counted by the store."""

from __future__ import annotations

import pytest

from sparkscore.control.jobs.history import count_jobs_by_day
from sparkscore.control.workspace import Workspace
from tests.control.jobs.conftest import make_record

DAY = 86_400
NOW = 20_000 * DAY + 3600.0
"""2024-10-04, an hour after midnight."""


@pytest.fixture
def filled(workspace: Workspace) -> Workspace:
    moments = {
        "late": (NOW, "Completed"),
        "midnight": (20_000 * DAY, "Failed"),
        "before": (20_000 * DAY - 1, "Running"),
        "first": (19_971 * DAY, "Canceled"),
        "too-old": (19_971 * DAY - 1, "Completed"),
    }
    with workspace.store.writing() as writer:
        for name, (at, status) in moments.items():
            is_late = name == "late"
            record = make_record(
                name,
                status=status,
                created_at=at,
                endpoint_name="other" if is_late else "digits",
                is_archived=is_late,
            )
            writer.add_job(record)
    return workspace


def test_days__are_counted_by_status(filled: Workspace) -> None:
    days = count_jobs_by_day(filled, now=NOW)
    assert [days[0].date, days[-1].date, len(days)] == ["2024-09-05", "2024-10-04", 30]
    assert dict(days[-1].counts) == {"Completed": 1, "Failed": 1}
    assert dict(days[-2].counts) == {"Active": 1}
    assert dict(days[0].counts) == {"Canceled": 1}
    assert sum(day.total for day in days) == 4


def test_days__of_one_endpoint(filled: Workspace) -> None:
    days = count_jobs_by_day(filled, endpoint_name="other", now=NOW, days=2)
    assert [dict(day.counts) for day in days] == [{}, {"Completed": 1}]


def test_days__of_an_empty_workspace(workspace: Workspace) -> None:
    assert {day.total for day in count_jobs_by_day(workspace)} == {0}
