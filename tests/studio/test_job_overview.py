"""What the Overview tab says of a job, without a browser."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from sparkscore.control.jobs.mini_batches import Cell
from sparkscore.control.workspace import Workspace
from sparkscore.state.job_status import resume
from sparkscore.studio.job_overview import (
    Selection,
    find_level,
    make_overview,
    render_range,
)
from tests.ledgers import make_ledger, make_summary, write_ledger
from tests.studio.finished_jobs import HOSTILE, make_record
from tests.studio.visitor import Visitor, visiting

AddScored = Callable[..., str]


def make_cell(first: int, stop: int, **counts: int) -> Cell:
    names = ("pending", "running", "succeeded", "retried", "failed")
    return Cell(first, stop, {name: counts.get(name, 0) for name in names})


@pytest.fixture
def add_scored(workspace: Workspace) -> AddScored:
    """Adds an ended job with such a ledger; gives its name."""

    def add(table: pa.Table, name: str = "scored", **fields: Any) -> str:
        summary = make_summary(table, **fields.pop("summary", {}))
        record = make_record(workspace, name, **{"summary": summary, **fields})
        Path(record.folder).mkdir(parents=True)
        write_ledger(Path(record.folder), table)
        with workspace.store.writing() as writer:
            writer.add_job(record)
        return name

    return add


@pytest.fixture
def visitor(workspace: Workspace) -> Iterator[Visitor]:
    """Somebody who is logged in."""
    with visiting(workspace, role="reader") as reader:
        yield reader


@pytest.mark.parametrize(
    ("query", "selection"),
    [
        ("", Selection()),
        ("cell=3&skip=50", Selection(cell=3, skip=50)),
        ("state=failed&mini_batch=7", Selection(state="failed", mini_batch=7)),
        ("cell=-1&state=odd&mini_batch=x&skip=1e3", Selection()),
        ("cell=99999999999999", Selection()),
        ("cell=\N{ARABIC-INDIC DIGIT THREE}", Selection()),
    ],
)
def test_selection__is_read_from_the_address(query: str, selection: Selection) -> None:
    assert Selection.of_url(f"http://x/studio/jobs/a?{query}") == selection


def test_selection__links_keep_what_they_do_not_change() -> None:
    chosen = Selection(cell=0, skip=50)
    assert chosen.link(mini_batch=0) == "?cell=0&mini_batch=0&skip=50"
    assert chosen.link(cell=None, skip=0) == "?"
    assert Selection.of_url(None) == Selection.of_url("http://[") == Selection()


def test_cells__in_words_and_levels() -> None:
    assert find_level(make_cell(10, 20, pending=4, succeeded=5, failed=1)) == 1
    assert find_level(make_cell(10, 20, pending=5, failed=5)) == 4
    assert find_level(make_cell(10, 20, pending=5, succeeded=5)) == 2
    assert find_level(make_cell(0, 100, running=99, succeeded=1)) == 1
    assert find_level(make_cell(0, 100, pending=1, succeeded=99)) == 3
    assert find_level(make_cell(0, 1, retried=1)) == 4
    assert find_level(make_cell(0, 1, pending=1)) == 0
    assert [render_range(5, 6), render_range(5, 5), render_range(0, 2000)] == [
        *("5", "(none)", "0\N{EN DASH}1,999"),
    ]


def test_overview__of_an_ended_job(workspace: Workspace, add_scored: AddScored) -> None:
    job = workspace.jobs.get(add_scored(make_ledger(2000)))
    overview = make_overview(job, Selection(state="failed"))
    counts = overview.counts
    assert (counts.total, counts.succeeded, counts.failed, counts.unprocessed) == (
        *(20_000, 19_998, 2, 0),
    )
    assert overview.describe(make_cell(10, 20, pending=4, succeeded=5, failed=1)) == (
        "10\N{EN DASH}19: 5 done, 1 with failures, 4 not scored"
    )
    assert (counts.share, counts.rate, counts.rows) == (1.0, 20_000 / 95.0, 19_998)
    assert [bar.title for bar in overview.phases] == [
        *("start: 6.5 s", "plan: 1.2 s", "score: 1 min 35 s", "publish: 3.5 s"),
    ]
    assert overview.listed is not None
    assert ([one.id for one in overview.listed.rows], overview.listed.count) == ([999, 1999], 2)
    assert overview.listed.previous_page is overview.listed.next_page is None
    assert overview.timeline is not None
    assert len(overview.timeline.lanes) == 8


def test_overview__list_in_pages(workspace: Workspace, add_scored: AddScored) -> None:
    job = workspace.jobs.get(add_scored(make_ledger(24_000)))
    listed = make_overview(job, Selection(cell=1, skip=50, mini_batch=152)).listed
    assert listed is not None
    assert [one.id for one in listed.rows] == list(range(150, 200))
    assert (listed.count, listed.previous_page, listed.next_page) == (100, "?cell=1", None)
    assert listed.details is not None
    assert listed.details.id == 152
    nowhere = make_overview(job, Selection(cell=500)).listed
    assert nowhere is not None
    assert (nowhere.rows, nowhere.count) == ([], 0)


def test_page__errors_and_names_are_escaped(visitor: Visitor, add_scored: AddScored) -> None:
    error = {"condition": "SCRIPT_RAISED", "message": f"{HOSTILE}\nsecond line", "exit_code": 4}
    name = add_scored(
        make_ledger(2000),
        display_name=HOSTILE,
        error=error,
        status="Failed",
        retry_of=HOSTILE,
        summary={"status": "Failed", "warnings": [HOSTILE]},
    )
    answer = visitor.get(f"/jobs/{name}?state=failed&mini_batch=999")
    assert answer.status == 200
    assert "<script>alert" not in answer.text
    assert "<b>bad</b>" not in answer.text
    assert "<i>a.txt" not in answer.text
    assert answer.text.count("&lt;script&gt;alert") >= 4
    assert "ValueError: &lt;b&gt;bad&lt;/b&gt;" in answer.text
    assert " style=" not in answer.text


def test_page__gives_htmx_the_list_only(visitor: Visitor, add_scored: AddScored) -> None:
    name = add_scored(make_ledger(2000))
    headers = {"HX-Request": "true", "HX-Target": "mini-batches"}
    answer = visitor.get(f"/jobs/{name}?cell=1", **headers)
    assert "<html" not in answer.text
    assert "Mini-batches 9\N{EN DASH}17" in answer.text
    unknown = visitor.get(f"/jobs/{name}?mini_batch=2000", **headers)
    assert unknown.status == 200
    assert "ids go from 0 to 1999" in unknown.text
    assert visitor.get("/jobs/nobody").status == 404


def test_page__job_whose_folder_is_gone(
    visitor: Visitor, workspace: Workspace, add_scored: AddScored
) -> None:
    pruned = {"sparkscore.pruned_at": "2026-01-01T00:00:00+00:00"}
    for name, fields in (("pruned", {"properties": pruned}), ("gone", {"folder": "/nowhere/x"})):
        record = make_record(workspace, name, **fields)
        with workspace.store.writing() as writer:
            writer.add_job(record)
        answer = visitor.get(f"/jobs/{name}")
        assert answer.status == 200
        assert record.folder in answer.text or "was pruned" in answer.text
        assert "Inputs" in answer.text


def test_live__ends_the_asking_with_the_job(visitor: Visitor, add_scored: AddScored) -> None:
    name = add_scored(make_ledger(20))
    answer = visitor.get(f"/jobs/{name}/live", **{"HX-Request": "true"})
    assert "hx-trigger" not in answer.text
    assert answer.text.count('hx-swap-oob="true"') == 3
    for part in ("job-progress", "job-head", "job-charts", "job-actions"):
        assert f'id="{part}"' in answer.text


def test_head__of_any_tab(visitor: Visitor, add_scored: AddScored) -> None:
    name = add_scored(make_ledger(20))
    answer = visitor.get(f"/jobs/{name}/head?tab=Logs", **{"HX-Request": "true"})
    assert f'/jobs/{name}/logs" aria-current="page"' in answer.text
    assert "hx-trigger" not in answer.text
    assert answer.text.count('hx-swap-oob="true"') == 1
    assert "<script" not in visitor.get(f"/jobs/{name}/head?tab=%3Cscript%3E").text


def test_page__of_a_resumed_job_tells_of_its_earlier_run(
    visitor: Visitor, workspace: Workspace, add_scored: AddScored
) -> None:
    canceled = make_record(workspace, status="Canceled", error={"condition": "CANCELED"})
    resumed = resume(canceled, at=time.time())
    name = add_scored(make_ledger(20), earlier_runs=resumed.earlier_runs)
    assert "Earlier run: Canceled (CANCELED), ended" in visitor.get(f"/jobs/{name}").text


def test_page__job_that_ended_before_anything_was_scored(
    visitor: Visitor, workspace: Workspace
) -> None:
    record = make_record(workspace, "early", status="Failed", summary=None)
    Path(record.folder).mkdir(parents=True)
    with workspace.store.writing() as writer:
        writer.add_job(record)
    text = visitor.get("/jobs/early").text
    assert "The job ended before its inputs were planned." in text
    assert "Slots over time" not in text
