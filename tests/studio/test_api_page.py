"""The page of the REST API."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from sparkscore.control.workspace import Workspace
from sparkscore.rest.app import create_app
from sparkscore.rest.config import ServerConfig
from sparkscore.studio.routes.api_page import group_operations
from tests.studio.looks import check_looks


def test_groups__hold_every_operation_once(workspace: Workspace) -> None:
    document = create_app(workspace, ServerConfig(no_auth=True)).openapi()
    groups = group_operations(document)
    shown = [(one.method.lower(), one.path) for each in groups.values() for one in each]
    declared = {(method, path) for path, methods in document["paths"].items() for method in methods}
    assert sorted(shown) == sorted(declared)
    ids = [one.id for each in groups.values() for one in each]
    assert len(ids) == len(set(ids))


@pytest.mark.slow
def test_page__tells_what_an_operation_takes(studio: str, page: Page) -> None:
    page.goto(f"{studio}/api")
    operation = page.locator("#post-api-v1-endpoints--endpoint--invoke")
    operation.locator("summary").click()
    expect(operation).to_contain_text("mini_batch_size")
    check_looks(page)
