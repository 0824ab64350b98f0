"""The Overview tab of jobs in a browser: a large one that has ended, and one that runs."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest
from playwright.sync_api import Page, expect

from sparkscore.control import InvokeRequest
from sparkscore.control.workspace import Workspace
from tests.ledgers import make_ledger, make_summary, render_live, write_ledger, write_live
from tests.studio.finished_jobs import HOSTILE, make_record
from tests.studio.looks import check_looks

pytestmark = pytest.mark.slow


def add_failed(workspace: Workspace, table: pa.Table) -> None:
    """Adds a failed job with this ledger."""
    error = {"condition": "ERROR_THRESHOLD_EXCEEDED", "message": HOSTILE, "exit_code": 4}
    record = make_record(
        workspace,
        "failed",
        summary=make_summary(table, status="Failed"),
        status="Failed",
        error=error,
        display_name=HOSTILE,
        retry_of="first",
    )
    Path(record.folder).mkdir(parents=True)
    write_ledger(Path(record.folder), table)
    with workspace.store.writing() as writer:
        writer.add_job(record)


def test_job__from_the_heat_strip_to_a_traceback(
    studio: str, page: Page, workspace: Workspace
) -> None:
    add_failed(workspace, make_ledger(100_000))
    page.goto(f"{studio}/jobs/failed")
    expect(page.get_by_role("heading", level=1)).to_have_text(HOSTILE)
    expect(page.get_by_role("alert")).to_contain_text("ERROR_THRESHOLD_EXCEEDED")
    cells = page.locator(".heat a")
    expect(cells).to_have_count(240)
    first = page.get_by_role("link", name="0\N{EN DASH}416: 413 done, 4 done after a retry")
    first.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Mini-batches 834\N{EN DASH}1,250")).to_be_visible()
    assert page.url.endswith("?cell=2")
    expect(page.locator("#cell-2")).to_have_attribute("aria-current", "true")
    page.get_by_role("link", name="100 with failures").click()
    page.get_by_role("link", name="1999", exact=True).click()
    expect(page.locator(".trace")).to_contain_text("ValueError: <b>bad</b>")
    expect(page.get_by_role("link", name="Log of this mini-batch")).to_have_attribute(
        "href", "/studio/jobs/failed/logs?mini_batch=1999"
    )
    page.get_by_role("link", name="Next").click()
    expect(page.get_by_role("link", name="99999", exact=True)).to_be_visible()
    page.reload()
    expect(page.get_by_role("link", name="99999", exact=True)).to_be_visible()


def test_job__looks(studio: str, page: Page, workspace: Workspace) -> None:
    add_failed(workspace, make_ledger(60, hosts=1, slots=2))
    page.goto(f"{studio}/jobs/failed?state=failed&mini_batch=59")
    expect(page.locator(".trace")).to_be_visible()
    check_looks(page)


def test_job__follows_one_that_runs(
    studio: str, page: Page, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_DRIVER", "wait_for_go")
    source = Path(workspace.datastores.get_default().uri) / "in"
    job = workspace.batch_endpoints.invoke("mood", InvokeRequest(input=str(source)))
    folder = Path(job.record.folder)
    page.goto(f"{studio}/jobs/{job.name}")
    status = page.locator("#job-head .status")
    expect(status).to_have_text("Running", timeout=60_000)
    expect(page.locator(".heat a")).to_have_count(4)
    table = make_ledger(4)
    live = write_live(folder, render_live(table.slice(0, 1)))
    expect(page.get_by_role("link", name="1 done", exact=True)).to_be_visible()
    page.locator("#cell-0").click()
    panel = page.get_by_role("heading", name="Mini-batches 0")
    expect(panel).to_be_visible()
    page.evaluate("window.scrollTo(0, 120)")
    height = page.locator("#job-progress").bounding_box()
    with live.open("a") as file:
        file.write(render_live(table.slice(1, 3)))
    expect(page.get_by_role("link", name="1 with failures", exact=True)).to_be_visible()
    expect(panel).to_be_visible()
    expect(page.locator("#cell-0")).to_have_attribute("aria-current", "true")
    expect(page.locator("#cell-0")).to_be_focused()
    assert page.evaluate("window.scrollY") == 120
    assert page.locator("#job-progress").bounding_box() == height
    expect(page.get_by_role("button", name="Cancel", exact=True)).to_be_visible()
    (folder / "go").touch()
    expect(status).to_have_text("Completed", timeout=60_000)
    expect(page.get_by_role("button", name="Cancel", exact=True)).to_be_hidden()
    expect(panel).to_be_visible()
    expect(page.locator("[hx-trigger]")).to_have_count(0)
