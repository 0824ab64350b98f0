"""Studio of a served workspace, and a browser that looks at it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from sparkscore.control.workspace import Workspace
from sparkscore.rest.app import create_app
from sparkscore.rest.config import ServerConfig
from sparkscore.studio.app import add_studio
from tests.rest.conftest import rest_template, workspace  # noqa: F401 - fixtures
from tests.rest.serving import serving

BROWSER_FLAGS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
]


def find_chromium() -> str:
    """The program that ``make test`` finds or installs; see ``scripts/chromium``."""
    named = os.environ.get("SPARKSCORE_TEST_CHROMIUM")
    found = named or shutil.which("chromium") or shutil.which("chromium-browser")
    assert found, "Chromium is needed: run scripts/chromium"
    return found


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """One headless Chromium for all tests of a process."""
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=find_chromium(), args=BROWSER_FLAGS)
        yield opened
        opened.close()


@pytest.fixture
def studio(workspace: Workspace) -> Iterator[str]:  # noqa: F811 - the fixture
    """The address of Studio without a login."""
    app = create_app(workspace, ServerConfig(no_auth=True))
    add_studio(app)
    with serving(app) as address:
        yield f"{address}/studio"


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """A visitor's own cookies, on a window of 1280 x 900."""
    opened = browser.new_context(viewport={"width": 1280, "height": 900})
    opened.set_default_timeout(15_000)
    yield opened
    opened.close()


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    """A page that fails its test if a script of ours fails or the browser refuses something."""
    opened = context.new_page()
    problems: list[str] = []
    opened.on("pageerror", lambda error: problems.append(str(error)))
    opened.on(
        "console",
        lambda line: (
            problems.append(line.text)
            if line.type == "error" and "Failed to load resource" not in line.text
            else None
        ),
    )
    yield opened
    assert problems == []
