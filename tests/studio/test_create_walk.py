"""The wizard in a browser, for a model that needs no script and for one that does."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from sparkscore.control.workspace import Workspace
from tests.studio.looks import check_looks
from tests.studio.models import register_mlflow_model

pytestmark = pytest.mark.slow


def press(page: Page, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).last.click()


def test_walk__mlflow_model(studio: str, page: Page, workspace: Workspace) -> None:
    register_mlflow_model(workspace)
    page.goto(f"{studio}/endpoints")
    page.get_by_role("link", name="Create").click()
    page.get_by_label("Name").fill("delays")
    page.keyboard.press("Enter")
    page.locator("#model").select_option("azureml:delays:3")
    press(page, "Next")
    expect(page.get_by_label("Name", exact=True)).to_have_value("delays-3")
    page.get_by_label("Mini batch size").fill("0")
    press(page, "Next")
    expect(page.locator('[id="settings.mini_batch_size-why"]')).to_contain_text("at least 1")
    check_looks(page)
    page.get_by_label("Mini batch size").fill("20")
    press(page, "Next")
    expect(page.get_by_text("Nothing is needed here")).to_be_visible()
    expect(page.get_by_label("Registered code")).to_be_hidden()
    press(page, "Next")
    expect(page.get_by_label("local")).to_be_checked()
    press(page, "Next")
    expect(page.locator("pre").last).to_contain_text("mini_batch_size: 20")
    check_looks(page)
    press(page, "Create")
    page.wait_for_url(f"{studio}/endpoints/delays")
    expect(page.get_by_role("link", name="Create job")).to_be_visible()
    (made,) = workspace.batch_deployments.list("delays")
    assert made.record.document["settings"]["mini_batch_size"] == 20


def test_walk__script(studio: str, page: Page, workspace: Workspace) -> None:
    page.goto(f"{studio}/endpoints/mood")
    page.get_by_role("link", name="Add deployment").first.click()
    page.locator("#model").select_option("azureml:weights:1")
    press(page, "Next")
    page.get_by_label("Name", exact=True).fill("mood-v2")
    page.get_by_label("Make it the endpoint's default").check()
    press(page, "Next")
    page.get_by_label("Registered code").select_option("azureml:score:1")
    expect(page.get_by_label("Scoring script").locator("option")).to_have_count(2)
    check_looks(page)
    press(page, "Next")
    page.get_by_label("cpu-cluster").check()
    page.get_by_label("Instance count").fill("2")
    press(page, "Next")
    press(page, "2. Deployment")
    expect(page.get_by_label("Make it the endpoint's default")).to_be_checked()
    page.get_by_label("Description").fill("Second")
    for _ in range(3):
        press(page, "Next")
    page.go_back()
    expect(page.get_by_label("Instance count")).to_have_value("2")
    page.go_forward()
    # Whoever presses twice makes one, and sees no error.
    page.get_by_role("button", name="Create", exact=True).last.dblclick()
    page.wait_for_url(f"{studio}/endpoints/mood")
    made = workspace.batch_deployments.get("mood-v2", "mood")
    assert made.is_default
    assert made.record.document["compute"] == "azureml:cpu-cluster"
    assert made.record.document["resources"]["instance_count"] == 2
    assert made.record.document["description"] == "Second"
