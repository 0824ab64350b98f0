"""One-time links: ``sparkscore studio``, and what its link can and cannot do."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Page, expect

from sparkscore.control.access.login_links import is_answering, make_login_link
from sparkscore.control.access.roles import Role
from sparkscore.control.workspace import Workspace
from tests.rest.processes import run_cli, serving_process
from tests.rest.serving import Client, serving
from tests.studio.jobs import invoke_and_wait
from tests.studio.visitor import Visitor, make_app


@pytest.fixture
def server(workspace: Workspace) -> Iterator[str]:
    with serving(make_app(workspace)) as address:
        yield address


def get_code(link: str) -> str:
    return parse_qs(urlsplit(link).query)["code"][0]


def test_code__logs_in_once(workspace: Workspace) -> None:
    code = workspace.tokens.create_login("ada lovelace <x>")
    login = workspace.tokens.use_login(code)
    assert login is not None
    assert (login.person, login.role) == ("ada-lovelace-x", Role.OWNER)
    assert workspace.tokens.use_login(code) is None
    assert len(workspace.tokens.list()) == 0


@pytest.mark.parametrize("person", ["", "-", "🙂", "a" * 500, "a-12345678", "ada.b"])
def test_code__is_made_for_any_name(workspace: Workspace, person: str) -> None:
    login = workspace.tokens.use_login(workspace.tokens.create_login(person))
    assert login is not None
    assert login.person


def test_code__is_used_by_one_of_many(workspace: Workspace) -> None:
    code = workspace.tokens.create_login("ada")
    barrier = threading.Barrier(8)

    def use(_: int) -> bool:
        barrier.wait()
        return workspace.tokens.use_login(code) is not None

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(use, range(8))) == 1


def test_code__ends_after_five_minutes(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = workspace.tokens.create_login("ada")
    (token,) = workspace.tokens.list()
    assert token.expires_at is not None
    assert token.expires_at - token.created_at == 300
    later = token.expires_at + 1
    monkeypatch.setattr("sparkscore.control.access.tokens.time.time", lambda: later)
    assert workspace.tokens.use_login(code) is None


def test_code__is_no_bearer_token_and_the_reverse(workspace: Workspace, server: str) -> None:
    code = workspace.tokens.create_login("ada")
    _, name, secret = code.split(".")
    for text in (code, f"sks.{name}.{secret}"):
        assert Client(server, token=text).get("/api/v1/me").status == 401
        assert Visitor(server).post("/login", {"token": text}).status == 401
    made = workspace.tokens.create(role="reader", name="login-ada-12345678").secret
    assert workspace.tokens.use_login(str(made).replace("sks", "skl")) is None
    assert workspace.tokens.use_login(code) is not None


@pytest.mark.parametrize("code", ["", "x", "skl.a.b", "skl.login-a-00000000.secret", "skl..", "é"])
def test_code__that_was_never_made_does_not_hold(workspace: Workspace, code: str) -> None:
    assert workspace.tokens.use_login(code) is None


def test_link__is_not_used_up_by_looking_at_it(workspace: Workspace, server: str) -> None:
    link = make_login_link(workspace, server, place="/computes")
    for _ in range(3):
        seen = Visitor(server).get(link)
        assert (seen.status, seen.cookies) == (200, {})
    fields = {"code": get_code(link), "next": "/computes"}
    visitor = Visitor(server)
    seen = visitor.post("/login", fields)
    assert (seen.status, seen.place) == (303, "/studio/computes")
    assert visitor.get("/computes").status == 200
    assert visitor.send("/computes/cpu-cluster/archive").status == 303
    second = Visitor(server).post("/login", fields)
    assert (second.status, second.cookies) == (401, {})
    assert fields["code"] not in second.text


def test_link__of_a_place_elsewhere_leads_home(workspace: Workspace, server: str) -> None:
    code = workspace.tokens.create_login("ada")
    seen = Visitor(server).post("/login", {"code": code, "next": "//evil.example"})
    assert seen.place == "/studio/"


def test_server__answers_or_not(server: str) -> None:
    assert is_answering(server)
    assert not is_answering(f"{server}/studio/nothing")
    for address in ("http://127.0.0.1:1", "nothing", "ftp://127.0.0.1"):
        assert not is_answering(address)


@pytest.mark.slow
def test_studio__starts_a_server_and_prints_a_link(workspace: Workspace) -> None:
    with serving_process(workspace.folder, "--no-browser", command="studio") as served:
        made = run_cli(workspace.folder, "studio", "--url", served.url, "--no-browser")
        assert made.returncode == 0
        link = made.stdout.split()[-1]
        assert link.startswith(f"{served.url}/studio/login?code=skl.login-")
        visitor = Visitor(served.url)
        assert visitor.post("/login", {"code": get_code(link)}).status == 303
        assert visitor.get("/computes").status == 200
        assert served.stop() == 0
    own = [line for line in served.lines if "/studio/login?code=" in line]
    assert len(own) == 1


def test_studio__beside_no_server_says_so(workspace: Workspace) -> None:
    done = run_cli(workspace.folder, "studio", "--url", "http://127.0.0.1:1")
    assert done.returncode == 2
    assert "SERVER_NOT_FOUND" in done.stderr
    done = run_cli(workspace.folder, "studio", "--url", "http://127.0.0.1:1", "--port", "5")
    assert "FLAGS_DISAGREE" in done.stderr


@pytest.mark.slow
def test_link__logs_a_browser_in(workspace: Workspace, server: str, page: Page) -> None:
    link = make_login_link(workspace, server, place="/computes")
    page.goto(link)
    expect(page.get_by_role("heading", name="Compute")).to_be_visible()
    assert "code=" not in page.url
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_label("Token")).to_be_visible()
    page.goto(link)
    expect(page.get_by_text("This link was used before")).to_be_visible()


@pytest.mark.slow
def test_job_show_web__leads_to_the_page_of_the_job(workspace: Workspace) -> None:
    job = invoke_and_wait(workspace)
    with serving_process(workspace.folder) as served:
        file = workspace.folder / "sparkscore.toml"
        file.write_text(file.read_text().replace("http://127.0.0.1:8600", served.url))
        done = run_cli(workspace.folder, "job", "show", "-n", job.name, "--web")
        address, told = done.stderr.splitlines()
        assert address == f"{served.url}/studio/jobs/{job.name}"
        link = urlsplit(told.split()[-1])
        query = parse_qs(link.query)
        fields = {"code": query["code"][0], "next": query["next"][0]}
        visitor = Visitor(served.url)
        assert visitor.post("/login", fields).place == f"/studio/jobs/{job.name}"
        assert job.name in visitor.get(f"/jobs/{job.name}").text


@pytest.mark.slow
def test_studio__opens_the_browser_with_its_link(workspace: Workspace, tmp_path: Path) -> None:
    """One that is waited for, as it asks the server before it ends."""
    opened, browser = tmp_path / "opened", tmp_path / "browser"
    asks = "import sys, urllib.request as u; print(u.urlopen(sys.argv[1], timeout=60).status)"
    browser.write_text(f'#!/bin/sh\n"{sys.executable}" -c "{asks}" "$1" > {opened}.part\n')
    browser.write_text(f"{browser.read_text()}mv {opened}.part {opened}\n")
    browser.chmod(0o755)
    environment = {"BROWSER": f"{browser} %s"}
    with serving_process(workspace.folder, command="studio", environment=environment):
        deadline = time.monotonic() + 120
        while not opened.exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        assert opened.read_text() == "200\n"
