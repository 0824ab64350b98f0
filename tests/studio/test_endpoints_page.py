"""The list of endpoints in a browser."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.studio.looks import check_looks

pytestmark = pytest.mark.slow


def test_endpoints__are_listed(studio: str, page: Page) -> None:
    page.goto(f"{studio}/")
    expect(page.get_by_role("heading", name="Batch endpoints")).to_be_visible()
    expect(page.get_by_role("link", name="mood", exact=True)).to_be_visible()
    check_looks(page)
