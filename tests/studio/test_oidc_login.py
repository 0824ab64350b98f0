"""Logging in at an issuer that runs as a process of its own: code flow with PKCE."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

import pytest
from playwright.sync_api import Page, expect

from sparkscore.control.access.settings import ServerSettings
from sparkscore.control.workspace import Workspace
from sparkscore.errors import RequestError, StateError
from sparkscore.rest.oidc import OidcVerifier
from sparkscore.rest.oidc_login import LOGIN_SECONDS, SECRET_VARIABLE, OidcLogin
from tests.rest.issuer import CLIENT, SECRET
from tests.rest.processes import printing_process
from tests.rest.serving import Client, serving
from tests.rest.test_oidc import ISSUER, ROLES
from tests.studio.looks import check_looks
from tests.studio.visitor import Seen, Visitor, make_app

ADMIN = {"claims": {"sub": "ada", "roles": ["admins"]}}


@pytest.fixture
def issuer(monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    monkeypatch.setenv(SECRET_VARIABLE, SECRET)
    with printing_process([sys.executable, str(ISSUER)], marker="issuer on") as process:
        client = Client(process.url)
        client.post("/person", ADMIN)
        yield client


@pytest.fixture
def settings(issuer: Client) -> dict[str, Any]:
    return {
        "oidc_issuer": issuer.server,
        "oidc_audience": "sparkscore",
        "oidc_client_id": CLIENT,
        "oidc_roles": dict(ROLES),
    }


@pytest.fixture
def server(workspace: Workspace, settings: dict[str, Any]) -> Iterator[str]:
    with serving(make_app(workspace, **settings)) as address:
        yield address


def go(visitor: Visitor, place: str = "/computes") -> str:
    """To the issuer and to the address that it sends back to."""
    begun = visitor.get(f"/login/issuer?{urlencode({'next': place})}")
    assert begun.status == 303
    # The issuer is another site: it gets no cookie of ours.
    back = Visitor(visitor.server).get(begun.place)
    assert back.status == 302
    return back.place


def come_in(visitor: Visitor) -> Seen:
    return visitor.get(go(visitor))


def test_login__opens_a_visit_of_the_mapped_role(workspace: Workspace, server: str) -> None:
    visitor = Visitor(server)
    seen = come_in(visitor)
    assert (seen.status, seen.place) == (303, "/studio/computes")
    assert set(visitor.cookies) == {"sparkscore_session"}
    assert visitor.send("/computes/cpu-cluster/archive").status == 303
    line = json.loads((workspace.folder / "audit.jsonl").read_text().splitlines()[-1])
    assert (line["caller"], line["role"], line["kind"]) == ("ada", "owner", "oidc")


def test_request__has_what_the_flow_asks_for(server: str, issuer: Client) -> None:
    visitor = Visitor(server)
    begun = visitor.get("/login/issuer")
    assert begun.place.startswith(f"{issuer.server}/authorize?")
    query = dict(parse_qsl(urlsplit(begun.place).query))
    assert query["redirect_uri"] == f"{server}/studio/login/issuer/back"
    assert (query["response_type"], query["code_challenge_method"]) == ("code", "S256")
    assert min(len(query[name]) for name in ("state", "nonce", "code_challenge")) >= 43
    cookie = begun.cookies["sparkscore_login"]
    assert cookie["httponly"] is True
    assert cookie["samesite"].lower() == "lax"
    assert cookie.value not in begun.place
    again = dict(parse_qsl(urlsplit(visitor.get("/login/issuer").place).query))
    assert not {query[name] for name in ("state", "nonce", "code_challenge")} & set(again.values())


def test_button__is_there_only_with_a_client_id(workspace: Workspace, server: str) -> None:
    assert "/studio/login/issuer" in Visitor(server).get("/login").text
    with serving(make_app(workspace)) as plain:
        assert "/studio/login/issuer" not in Visitor(plain).get("/login").text
        assert Visitor(plain).get("/login/issuer").status == 404
        assert Visitor(plain).get("/login/issuer/back").status == 404


def test_back__from_another_browser_is_refused(server: str) -> None:
    place = go(Visitor(server))
    for visitor in (Visitor(server), Visitor(server, {"sparkscore_login": "made-up"})):
        seen = visitor.get(place)
        assert (seen.status, seen.cookies.keys() & {"sparkscore_session"}) == (401, set())


def test_back__with_the_state_of_another_login_is_refused(server: str) -> None:
    victim, attacker = Visitor(server), Visitor(server)
    go(victim)
    assert victim.get(go(attacker)).status == 401


def test_back__twice_is_refused(server: str) -> None:
    visitor = Visitor(server)
    place = go(visitor)
    cookies = dict(visitor.cookies)
    assert visitor.get(place).status == 303
    assert Visitor(server, cookies).get(place).status == 401


def test_back__with_a_code_of_another_login_is_refused(server: str) -> None:
    """The issuer's PKCE check fails, as the code belongs to another challenge."""
    visitor = Visitor(server)
    stolen = parse_qs(urlsplit(go(Visitor(server))).query)["code"][0]
    place = go(visitor)
    own = parse_qs(urlsplit(place).query)["code"][0]
    assert visitor.get(place.replace(own, stolen)).status == 401


@pytest.mark.parametrize(
    "person",
    [
        {"claims": {"nonce": "of-another-login", "roles": ["admins"]}},
        {"claims": {"nonce": None, "roles": ["admins"]}},
        {"claims": {"aud": "sparkscore", "roles": ["admins"]}},
        {"claims": {"aud": [CLIENT, "another"], "roles": ["admins"]}},
        {"claims": {"azp": "another", "roles": ["admins"]}},
        {"claims": {"exp": 1, "roles": ["admins"]}},
        {"claims": {"iss": "https://other.example", "roles": ["admins"]}},
        {"claims": {"roles": ["admins"]}, "key": "foreign"},
        {"claims": {"roles": ["admins"]}, "algorithm": "none"},
        {"claims": {"roles": ["admins"]}, "algorithm": "HS256"},
        {"error": "access_denied"},
    ],
)
def test_login__with_what_does_not_hold_is_refused(
    issuer: Client, server: str, person: dict[str, Any]
) -> None:
    issuer.post("/person", person)
    visitor = Visitor(server)
    seen = come_in(visitor)
    assert (seen.status, visitor.cookies) == (401, {})
    assert "<b>" not in seen.text


def test_login__without_a_role_says_so(issuer: Client, server: str) -> None:
    issuer.post("/person", {"claims": {"sub": "<b>eve", "roles": ["others"]}})
    visitor = Visitor(server)
    seen = come_in(visitor)
    assert (seen.status, visitor.cookies) == (403, {})
    assert "&lt;b&gt;eve has no role here" in seen.text


def test_login__without_the_secret_is_refused(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(SECRET_VARIABLE)
    assert come_in(Visitor(server)).status == 401


def test_login__while_the_issuer_is_down_says_so(issuer: Client, server: str) -> None:
    visitor = Visitor(server)
    place = go(visitor)
    issuer.post("/down")
    seen = visitor.get("/login/issuer")
    assert (seen.status, "ISSUER_UNREACHABLE" in seen.text) == (503, True)
    assert visitor.get(place).status in (401, 503)


def test_login__that_takes_too_long_ends(settings: dict[str, Any]) -> None:
    given = ServerSettings(**settings)
    now = [0.0]
    login = OidcLogin(given, OidcVerifier(given), clock=lambda: now[0])
    begun, _ = login.begin(place="/", redirect_uri="http://127.0.0.1/back")
    other, _ = login.begin(place="/", redirect_uri="http://127.0.0.1/back")
    assert login.take(other.id, other.state) is other
    now[0] = LOGIN_SECONDS
    assert login.take(begun.id, begun.state) is None


def test_code__that_was_made_up_is_refused(settings: dict[str, Any]) -> None:
    given = ServerSettings(**settings)
    login = OidcLogin(given, OidcVerifier(given))
    begun, _ = login.begin(place="/", redirect_uri="http://127.0.0.1/back")
    with pytest.raises(RequestError) as caught:
        login.finish(begun, "made-up")
    assert caught.value.condition == "UNAUTHENTICATED"


def test_issuer__that_says_nothing_is_unreachable(settings: dict[str, Any], issuer: Client) -> None:
    issuer.post("/down")
    given = ServerSettings(**settings)
    with pytest.raises(StateError) as caught:
        OidcLogin(given, OidcVerifier(given)).begin(place="/", redirect_uri="http://x")
    assert caught.value.condition == "ISSUER_UNREACHABLE"


@pytest.mark.slow
def test_login__in_a_browser(server: str, page: Page) -> None:
    page.goto(f"{server}/studio/computes")
    check_looks(page)
    page.get_by_role("link", name="Log in with your organization's account").click()
    expect(page.get_by_role("heading", name="Compute")).to_be_visible()
    expect(page.get_by_text("ada")).to_be_visible()
