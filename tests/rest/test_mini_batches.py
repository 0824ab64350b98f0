"""The mini-batches of a job below ``/api/v1``."""

from __future__ import annotations

from pathlib import Path

import pytest

from sparkscore.control.workspace import Workspace
from tests.ledgers import make_ledger, make_summary, write_ledger
from tests.rest.serving import Client
from tests.studio.finished_jobs import make_record


@pytest.fixture
def scored(workspace: Workspace) -> str:
    """The path of an ended job of 2000 mini-batches."""
    table = make_ledger(2000)
    record = make_record(workspace, "scored", summary=make_summary(table))
    Path(record.folder).mkdir(parents=True)
    write_ledger(Path(record.folder), table)
    with workspace.store.writing() as writer:
        writer.add_job(record)
    return "/jobs/scored/mini-batches"


def test_mini_batches__in_pages_and_by_state(api: Client, scored: str) -> None:
    first = api.get(f"{scored}?state=retried&state=failed&$top=12").json
    assert first["counts"] == {
        "pending": 0,
        "running": 0,
        "succeeded": 1980,
        "retried": 18,
        "failed": 2,
    }
    second = api.get(first["nextLink"]).json
    assert "nextLink" not in second
    ids = [one["id"] for one in (*first["value"], *second["value"])]
    assert ids == [100 * number + 99 for number in range(20)]
    assert len(api.get(scored).json["value"]) == 1000
    assert api.get(f"{scored}?state=odd").code == "UNKNOWN_STATE"
    assert api.get(f"{scored}?$orderBy=name").code == "UNKNOWN_ORDER"


def test_mini_batch__with_its_error(api: Client, scored: str) -> None:
    found = api.get(f"{scored}/999").json
    assert (found["state"], found["message"]) == ("failed", "ValueError: <b>bad</b>")
    assert found["failures"][0]["path"] == "<i>a.txt"
    unknown = api.get(f"{scored}/2000")
    assert (unknown.status, unknown.code) == (404, "MINI_BATCH_NOT_FOUND")
    assert api.get(f"{scored}/x").status == 400
