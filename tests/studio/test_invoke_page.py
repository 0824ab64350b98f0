"""Create job, in a browser."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from sparkscore.control.workspace import Workspace
from tests.studio.looks import check_looks

pytestmark = pytest.mark.slow


def choose_datastore(page: Page, path: str) -> None:
    page.get_by_label("Path in a datastore").check()
    page.get_by_label("Path in it").fill(path)


def test_create_job__preview_then_start(studio: str, page: Page, workspace: Workspace) -> None:
    page.goto(f"{studio}/endpoints/mood/jobs/create")
    choose_datastore(page, "in")
    page.get_by_label("Override deployment settings for this job").check()
    page.get_by_label("Mini batch size").fill("2")
    page.get_by_role("button", name="Preview plan").click()
    expect(page.locator("#plan")).to_contain_text("8 files")
    expect(page.locator("#plan")).to_contain_text("4 of at most 2")
    check_looks(page)
    assert workspace.jobs.list() == []
    page.get_by_role("button", name="Create job").click()
    page.wait_for_url(f"{studio}/jobs/*")
    (job,) = workspace.jobs.list()
    assert job.record.deployment["settings"]["mini_batch_size"] == 2
    expect(page.get_by_role("heading", level=1)).to_contain_text(job.name)


def test_create_job__errors_stand_beside_fields(
    studio: str, page: Page, workspace: Workspace
) -> None:
    page.goto(f"{studio}/endpoints/mood/jobs/create")
    choose_datastore(page, "<b>nowhere</b>")
    page.get_by_role("button", name="Preview plan").click()
    expect(page.locator("#input_datastore-why")).to_contain_text("<b>nowhere</b>")
    page.get_by_label("Path in it").fill("in")
    page.get_by_label("Override deployment settings for this job").check()
    page.get_by_label("Mini batch size").fill("0")
    page.get_by_role("button", name="Create job").click()
    expect(page.locator("#mini_batch_size-why")).to_contain_text("at least 1")
    expect(page.locator("#input_datastore-why")).to_be_hidden()
    expect(page.get_by_label("Path in it")).to_have_value("in")
    check_looks(page)
    assert workspace.jobs.list() == []
