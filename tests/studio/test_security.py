"""Who gets in, what pages of other sites cannot do, and what browsers are told, on every route."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from sparkscore.control.workspace import Workspace
from sparkscore.rest.app import create_app
from sparkscore.rest.config import ServerConfig
from sparkscore.studio.app import add_studio, create_studio
from sparkscore.studio.pages import STATIC, TEMPLATES
from tests.rest.serving import serving
from tests.studio.visitor import Seen, Visitor, log_in, make_app

OPEN = {"GET /login", "POST /login", "POST /logout", "GET /login/issuer", "GET /login/issuer/back"}
OF_INVOKERS = re.compile(r"/jobs/\{job\}/.*|/endpoints/\{endpoint\}/jobs/.*|/uploads/input")
OF_OWNERS = re.compile(r"/datastores/(register|\{name\}/.*)")
FORMS = re.compile(r".*/(register|create|create/scripts|edit|resume|retry)")
"""GET of these is a form, which takes who may send it; other pages are for everybody."""

ROLES = ("reader", "invoker", "contributor", "owner")


def list_routes(workspace: Workspace) -> list[str]:
    studio = create_studio(create_app(workspace, ServerConfig(no_auth=True)))
    paths = studio.openapi()["paths"]
    found = [f"{method.upper()} {path}" for path, methods in paths.items() for method in methods]
    assert len(found) > 60
    return found


@pytest.fixture
def routes(workspace: Workspace) -> list[str]:
    return list_routes(workspace)


@pytest.fixture
def server(workspace: Workspace) -> Iterator[str]:
    with serving(make_app(workspace)) as address:
        yield address


def fill(path: str) -> str:
    return re.sub(r"\{\w+\}", "none", path) + "?field=up"


def send(visitor: Visitor, route: str, **headers: str) -> Seen:
    """Ask a route, with a form that says nothing."""
    method, path = route.split(" ")
    if method == "GET":
        return visitor.get(fill(path), **headers)
    return visitor.post(fill(path), **headers)


def is_refused(seen: Seen, condition: str) -> bool:
    return seen.status == 403 and condition in seen.text


def get_needed_role(route: str) -> str:
    method, path = route.split(" ")
    if method == "GET" and not FORMS.fullmatch(path):
        return "reader"
    if OF_OWNERS.fullmatch(path):
        return "owner"
    return "invoker" if OF_INVOKERS.fullmatch(path) else "contributor"


def test_routes__lead_to_the_login_without_a_visit(routes: list[str], server: str) -> None:
    for route in set(routes) - OPEN:
        seen = send(Visitor(server, {"sparkscore_session": "made-up"}), route)
        assert (seen.status, seen.place.partition("?")[0]) == (303, "/studio/login"), route


@pytest.mark.parametrize("role", ROLES)
def test_routes__take_their_role(
    workspace: Workspace, routes: list[str], server: str, role: str
) -> None:
    visitor = log_in(workspace, server, role)
    headers = {"X-CSRF-Token": visitor.get_forgery_token()}
    for route in set(routes) - OPEN:
        seen = send(visitor, route, **headers)
        may = ROLES.index(role) >= ROLES.index(get_needed_role(route))
        assert is_refused(seen, "FORBIDDEN") != may, f"{route}: {seen.status}"
        assert seen.status not in (401, 429, 500), f"{route}: {seen.text}"


def test_forms__of_other_sites_are_refused(
    workspace: Workspace, routes: list[str], server: str
) -> None:
    visitor, other = log_in(workspace, server), log_in(workspace, server, name="eve")
    own = visitor.get_forgery_token()
    guesses = [
        {},
        {"X-CSRF-Token": ""},
        {"X-CSRF-Token": f"{own}x"},
        {"X-CSRF-Token": other.get_forgery_token()},
        {"X-CSRF-Token": own, "Origin": "https://evil.example"},
        {"X-CSRF-Token": own, "Origin": "null"},
    ]
    for route in set(routes) - OPEN:
        if route.startswith("POST "):
            for headers in guesses:
                seen = send(visitor, route, **headers)
                assert is_refused(seen, "FORGED_REQUEST"), f"{route} {headers}: {seen.status}"
    for path in ("/login", "/logout"):
        seen = visitor.post(path, {"token": "x"}, Origin="https://evil.example")
        assert is_refused(seen, "FORGED_REQUEST")
    assert visitor.get("/computes").status == 200


def test_forms__of_own_pages_are_taken(workspace: Workspace, server: str) -> None:
    visitor = log_in(workspace, server)
    assert visitor.send("/computes/cpu-cluster/archive").status == 303
    headers = {"X-CSRF-Token": visitor.get_forgery_token(), "Origin": server}
    assert visitor.post("/computes/cpu-cluster/restore", **headers).status == 303


def test_pages__tell_browsers_what_they_may_do(
    workspace: Workspace, routes: list[str], server: str
) -> None:
    visitor = log_in(workspace, server)
    pages = [send(visitor, route) for route in set(routes) - OPEN if route.startswith("GET ")]
    pages += [Visitor(server).get("/login"), visitor.get("/no/such/page"), visitor.post("/models")]
    for seen in pages:
        policy = seen.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy or "sandbox" in policy
        assert seen.headers["X-Content-Type-Options"] == "nosniff"
        assert seen.headers["X-Frame-Options"] == "DENY"
        assert seen.headers["Cross-Origin-Opener-Policy"] == "same-origin"
        if (seen.headers["Content-Type"] or "").startswith("text/html"):
            assert seen.headers["Cache-Control"] in ("no-store", "private, no-cache")


@pytest.mark.parametrize("file", sorted(TEMPLATES.glob("**/*.html")), ids=lambda file: file.name)
def test_templates__hold_nothing_inline(file: Path) -> None:
    text = file.read_text()
    assert not re.search(r"\sstyle\s*=", text), "a style attribute"
    assert not re.search(r"<[^>]*\son\w+\s*=", text), "a handler"
    assert not re.search(r"<script(?![^>]*\ssrc=)", text), "an inline script"
    assert not re.search(r"<style|javascript:", text)
    assert not re.search(r"hx-on|hx-vals=.?js:|hx-vars", text), "a script in an attribute"
    assert not re.search(r"\|\s*safe\b|autoescape|Markup", text), "text that is not escaped"
    assert not re.search(r"(src|href)=\"(https?:)?//", text), "something from elsewhere"


def test_static_files__come_from_here_only() -> None:
    for file in (*STATIC.glob("*.css"), *STATIC.glob("studio.js"), *STATIC.glob("theme.js")):
        assert not re.search(r"https?://|@import|eval\(|innerHTML", file.read_text()), file.name


def test_cookie__is_kept_from_scripts_and_other_sites(workspace: Workspace, server: str) -> None:
    token = {"token": str(workspace.tokens.create(role="owner").secret)}
    for headers, is_secure in (({}, False), ({"X-Forwarded-Proto": "https"}, True)):
        morsel = Visitor(server).post("/login", token, **headers).cookies["sparkscore_session"]
        assert morsel["httponly"] is True
        assert morsel["samesite"].lower() == "lax"
        assert morsel["path"] == "/studio"
        assert bool(morsel["secure"]) == is_secure
        assert morsel["domain"] == ""
        assert int(morsel["max-age"]) == 12 * 3600


def test_login__begins_a_new_visit_each_time(workspace: Workspace, server: str) -> None:
    visitor = log_in(workspace, server)
    first = dict(visitor.cookies)
    visitor.get("/computes")
    assert visitor.cookies == first
    token = str(workspace.tokens.create(role="reader").secret)
    assert visitor.post("/login", {"token": token}).status == 303
    assert visitor.cookies != first
    # Whoever knew the cookie of before is out.
    assert Visitor(server, first).get("/computes").status == 303
    planted = Visitor(server, {"sparkscore_session": "planted-by-somebody"})
    planted.post("/login", {"token": token})
    assert planted.cookies["sparkscore_session"] != "planted-by-somebody"


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        *(("/jobs/a?b=c", "/studio/jobs/a?b=c"), ("", "/studio/"), ("jobs", "/studio/")),
        *(("//evil.example", "/studio/"), ("https://evil.example", "/studio/")),
        *(("/\\evil.example", "/studio/"), ("\\\\evil.example", "/studio/")),
        *(("/jobs\r\nX-Evil: 1", "/studio/"), ("/a\tb", "/studio/"), ("/é", "/studio/")),
        *(("javascript:alert(1)", "/studio/"), ("/login?next=/x", "/studio/")),
    ],
)
def test_login__leads_to_pages_of_studio_only(
    workspace: Workspace, server: str, place: str, expected: str
) -> None:
    token = str(workspace.tokens.create(role="reader").secret)
    seen = Visitor(server).post("/login", {"token": token, "next": place})
    assert (seen.status, seen.place) == (303, expected)
    assert seen.headers["X-Evil"] is None


def test_login__leads_back_to_the_page_that_was_asked_for(server: str) -> None:
    seen = Visitor(server).get("/jobs?status=Failed&q=%22%3Cb%3E")
    assert seen.place == "/studio/login?next=/jobs%3Fstatus%3DFailed%26q%3D%2522%253Cb%253E"


def test_visit__ends_with_its_token(workspace: Workspace, server: str) -> None:
    visitor = log_in(workspace, server, name="leaving")
    assert visitor.get("/computes").status == 200
    workspace.tokens.revoke("leaving")
    assert visitor.get("/computes").status == 303
    # Another token of the same name does not bring the visit back.
    workspace.tokens.create(role="owner", name="leaving")
    assert visitor.get("/computes").status == 303


def test_visit__ends_when_its_token_expires(
    workspace: Workspace, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = str(workspace.tokens.create(role="owner", name="short", expires="1h").secret)
    visitor = Visitor(server)
    assert visitor.post("/login", {"token": secret}).status == 303
    now = time.time()
    monkeypatch.setattr("sparkscore.control.access.tokens.time.time", lambda: now + 3601)
    assert visitor.get("/computes").status == 303
    assert Visitor(server).post("/login", {"token": secret}).status == 401


def test_logout__ends_the_visit_on_the_server(workspace: Workspace, server: str) -> None:
    visitor = log_in(workspace, server)
    before = dict(visitor.cookies)
    assert visitor.post("/logout").place == "/studio/login"
    assert "sparkscore_session" not in visitor.cookies
    assert Visitor(server, before).get("/computes").status == 303


def test_login__with_wrong_tokens_is_slowed_down(workspace: Workspace) -> None:
    with serving(make_app(workspace, requests_per_minute=600)) as server:
        statuses = [
            Visitor(server).post("/login", {"token": f"sks.a.{number}"}).status
            for number in range(20)
        ]
    assert statuses[0] == 401
    assert statuses[-1] == 429


def test_login__says_nothing_of_what_was_typed(server: str) -> None:
    seen = Visitor(server).post("/login", {"token": "sks.secret.typed"})
    assert seen.status == 401
    assert "sks.secret.typed" not in seen.text


def test_audit__names_the_person(workspace: Workspace, server: str) -> None:
    visitor = log_in(workspace, server, name="ada")
    visitor.send("/computes/cpu-cluster/archive")
    visitor.post("/computes/cpu-cluster/restore")
    lines = [
        json.loads(line) for line in (workspace.folder / "audit.jsonl").read_text().splitlines()
    ]
    assert [
        (line["path"], line["caller"], line["role"], line["status"], line["condition"])
        for line in lines
    ] == [
        ("/studio/login", "ada", "owner", 303, None),
        ("/studio/computes/cpu-cluster/archive", "ada", "owner", 303, None),
        ("/studio/computes/cpu-cluster/restore", "ada", "owner", 403, "FORGED_REQUEST"),
    ]


def test_no_auth__is_for_this_machine_and_its_own_pages(workspace: Workspace) -> None:
    app = create_app(workspace, ServerConfig(no_auth=True))
    add_studio(app)
    with serving(app) as server:
        for headers in (
            {"Host": "evil.example"},
            {"Host": "127.0.0.1.evil.example"},
            {"Origin": "https://evil.example"},
        ):
            assert Visitor(server).get("/login", **headers).status == 403, headers
        visitor = Visitor(server)
        assert visitor.get("/login").status == 303
        for headers in ({"Host": "evil.example"}, {"Origin": "https://evil.example"}):
            assert visitor.get("/computes", **headers).status == 403, headers
            assert visitor.post("/computes/cpu-cluster/archive", **headers).status == 403
        assert is_refused(visitor.post("/computes/cpu-cluster/archive"), "FORGED_REQUEST")
        assert visitor.send("/computes/cpu-cluster/archive").status == 303
