"""The list of jobs and the tabs of a job in a browser."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from playwright.sync_api import Page, expect

from sparkscore.control import InvokeRequest
from sparkscore.control.workspace import Workspace
from tests.studio.finished_jobs import FAILED_INPUTS, HOSTILE, add_image_job, add_job
from tests.studio.jobs import INPUT
from tests.studio.looks import check_looks

pytestmark = pytest.mark.slow


def test_jobs__are_filtered_and_looked_at(studio: str, page: Page, workspace: Workspace) -> None:
    add_job(workspace, "done", display_name=HOSTILE + "long" * 60, tags={"team": "<i>"})
    add_job(workspace, "failed", status="Failed")
    page.goto(f"{studio}/jobs")
    expect(page.get_by_role("img", name="2 jobs in the last 30 days")).to_be_visible()
    check_looks(page)
    page.get_by_text("Numbers").click()
    expect(page.locator("details table tbody tr")).to_have_count(1)
    page.get_by_label("Status").select_option("Failed")
    page.get_by_role("button", name="Filter").click()
    expect(page.locator("#jobs-table tbody tr")).to_have_count(1)
    page.get_by_role("link", name="failed", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("failed")


@pytest.mark.parametrize("tab", ["failures", "logs", "settings", "resume", "retry"])
def test_tab__keeps_nobody_out(studio: str, page: Page, workspace: Workspace, tab: str) -> None:
    error = {"condition": "ERROR_THRESHOLD_EXCEEDED", "message": HOSTILE * 20, "exit_code": 4}
    add_job(workspace, "job", status="Failed", display_name=HOSTILE, error=error)
    page.goto(f"{studio}/jobs/job/{tab}")
    expect(page.get_by_role("heading", level=1)).to_have_text(HOSTILE)
    for summary in page.locator("summary").all():
        summary.click()
    check_looks(page)


def test_outputs__images_stand_beside_predictions(
    studio: str, page: Page, workspace: Workspace, tmp_path: Path
) -> None:
    job = add_image_job(workspace, folder=tmp_path / "pics")
    page.goto(f"{studio}/jobs/{job.name}/outputs")
    images = page.locator(".image-cell img")
    expect(images).to_have_count(3)
    for image in images.all():
        image.scroll_into_view_if_needed()
        expect(image).to_have_js_property("naturalWidth", 1)
    check_looks(page)
    with page.expect_download() as download:
        page.get_by_role("link", name="Download named-outputs/score/labels.csv").click()
    assert download.value.suggested_filename == "labels.csv"
    page.get_by_role("link", name="score/labels.csv", exact=True).click()
    expect(page.get_by_role("columnheader", name="label")).to_be_visible()
    check_looks(page)


def test_logs__follow_while_the_job_runs(
    studio: str, page: Page, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_DRIVER", "wait")
    job = workspace.batch_endpoints.invoke("mood", InvokeRequest(input=INPUT))
    log = Path(job.record.folder, "logs", "driver.log")
    page.goto(f"{studio}/jobs/{job.name}/logs?file=logs/launcher.log")
    expect(page.locator("#log, .empty").first).to_be_visible()
    log.parent.mkdir(exist_ok=True)
    log.write_text("".join(f"old {number}\n" for number in range(200)))
    page.goto(f"{studio}/jobs/{job.name}/logs?file=logs/driver.log")
    expect(page.get_by_text("old 199", exact=True)).to_be_in_viewport()
    with log.open("a") as lines:
        lines.write("new <b>line</b>\n" * 3 + "the last one\n")
    expect(page.get_by_text("the last one")).to_be_in_viewport()
    expect(page.get_by_text("new <b>line</b>")).to_have_count(3)
    page.locator("#log").evaluate("box => box.scrollTop = 0")
    with log.open("a") as lines:
        lines.write("later\n")
    expect(page.get_by_text("later")).to_have_count(1)
    expect(page.get_by_text("old 0", exact=True)).to_be_in_viewport()
    page.get_by_role("button", name="Cancel", exact=True).click()
    page.get_by_role("button", name="Cancel the job").click()
    expect(page.locator("#job-head .status")).to_have_text("Canceled", timeout=60_000)
    expect(page.get_by_role("link", name="Resume")).to_be_visible()


def test_failures__come_while_the_job_runs(
    studio: str, page: Page, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_DRIVER", "wait")
    job = workspace.batch_endpoints.invoke("mood", InvokeRequest(input=INPUT))
    page.goto(f"{studio}/jobs/{job.name}/failures")
    expect(page.get_by_text("No failures so far")).to_be_visible()
    failure = {"failed": 1, "condition": "SCRIPT_RAISED", "message": "ValueError: 3 is <b>odd</b>"}
    traced = {**failure, "script_line": "score.py:7", "script_traceback": "File score.py, line 7"}
    folder = Path(job.record.folder)
    (folder / "ledger").mkdir(exist_ok=True)
    pq.write_table(pa.Table.from_pylist([traced]), folder / "ledger" / "outcomes.parquet")
    lines = FAILED_INPUTS.splitlines(keepends=True)
    (folder / "failed_inputs.csv").write_text("".join(lines[:2]))
    page.get_by_text("Traceback").click()
    expect(page.get_by_text("File score.py, line 7")).to_be_visible()
    (folder / "failed_inputs.csv").write_text("".join(lines))
    expect(page.get_by_text("SHORT_RESULT")).to_be_visible(timeout=20_000)
    expect(page.get_by_text("File score.py, line 7")).to_be_visible()
    workspace.jobs.cancel(job.name)
