"""The list of jobs: filters, pages, what it shows. Without a browser."""

from __future__ import annotations

import time

import pytest

from sparkscore.control.workspace import Workspace
from tests.studio.finished_jobs import HOSTILE, make_record
from tests.studio.follower import Follower


@pytest.fixture
def follower(studio: str) -> Follower:
    return Follower(studio)


@pytest.fixture
def filled(workspace: Workspace) -> Workspace:
    """60 jobs of ``mood``, and three that differ."""
    with workspace.store.writing() as writer:
        for number in range(60):
            writer.add_job(make_record(workspace, f"job-{number:02}"))
        writer.add_job(make_record(workspace, "bad", status="Failed", experiment_name="trial"))
        writer.add_job(make_record(workspace, "hidden", is_archived=True))
        writer.add_job(make_record(workspace, "hostile", display_name=HOSTILE, endpoint_name="x"))
    return workspace


def read_names(page: str) -> list[str]:
    """Jobs in the order of the table's links."""
    return [
        part.partition('"')[0] for part in page.split('class="job-cell"><a href="/studio/jobs/')[1:]
    ]


def test_list__comes_in_pages(follower: Follower, filled: Workspace) -> None:
    first = follower.text("/jobs")
    names = read_names(first)
    assert (len(names), names[0], names[1]) == (50, "hostile", "bad")
    assert "/studio/jobs?before=job-12" in first
    second = follower.text("/jobs?before=job-12")
    assert read_names(second) == [f"job-{number:02}" for number in range(11, -1, -1)]
    assert "Older" not in second
    assert "Newer" in second


FILTERED = {
    "status=Failed": ["bad"],
    "experiment=trial": ["bad"],
    "endpoint=x": ["hostile"],
    "archived=only": ["hidden"],
    "deployment=none": [],
    "endpoint=mood&status=Failed&archived=include": ["bad"],
}


def test_list__is_filtered(follower: Follower, filled: Workspace) -> None:
    for query, expected in FILTERED.items():
        page = follower.text(f"/jobs?{query}")
        assert read_names(page) == expected, query
        assert ("No job fits" in page) == (not expected)


def test_list__escapes_names_and_keeps_filters(follower: Follower, filled: Workspace) -> None:
    page = follower.text("/jobs")
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(&#39;x&#39;)" in page
    assert "/studio/jobs?endpoint=mood&amp;before=job-11" in follower.text("/jobs?endpoint=mood")


def test_list__says_beside_the_field_what_is_wrong(follower: Follower) -> None:
    answer = follower.get("/jobs?status=Compleeted")
    assert answer.status == 422
    assert b"did you mean Completed?" in answer.raw
    assert follower.get("/jobs?before=none").status == 404


def test_list__of_an_empty_workspace_says_what_to_do(follower: Follower) -> None:
    page = follower.text("/jobs")
    assert "No jobs yet" in page
    assert "/studio/endpoints" in page


def test_list__is_asked_for_again_only_while_a_job_goes_on(
    follower: Follower, workspace: Workspace
) -> None:
    with workspace.store.writing() as writer:
        writer.add_job(make_record(workspace, "done"))
    assert "hx-get" not in follower.text("/jobs")
    with workspace.store.writing() as writer:
        now = time.time()
        writer.add_job(
            make_record(workspace, "new", status="NotStarted", updated_at=now, summary=None)
        )
    assert 'hx-get="/studio/jobs"' in follower.text("/jobs")
