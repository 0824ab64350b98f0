"""JWTs of an issuer that runs as a process of its own, with real keys over real HTTP."""

from __future__ import annotations

import dataclasses
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sparkscore.control.access.settings import ServerSettings
from sparkscore.control.workspace import Workspace
from sparkscore.errors import InvalidFieldError, StateError
from sparkscore.rest import oidc
from sparkscore.rest.app import create_app
from sparkscore.rest.config import ServerConfig
from sparkscore.rest.oidc import IssuerKeys, OidcVerifier
from tests.rest.processes import printing_process
from tests.rest.serving import Answer, Client, serving

ISSUER = Path(__file__).parent / "issuer.py"
ROLES = {"readers": "reader", "admins": "owner", "scorers": "invoker"}


@pytest.fixture
def issuer() -> Iterator[Client]:
    with printing_process([sys.executable, str(ISSUER)], marker="issuer on") as process:
        yield Client(process.url)


@pytest.fixture
def settings(issuer: Client) -> ServerSettings:
    return ServerSettings(
        oidc_issuer=issuer.server, oidc_audience="sparkscore", oidc_roles=dict(ROLES)
    )


@pytest.fixture
def server(tmp_path: Path, settings: ServerSettings) -> Iterator[str]:
    workspace = Workspace.open(tmp_path / "ws")
    with serving(create_app(workspace, ServerConfig(settings=settings))) as address:
        yield address
    workspace.close()


def sign(issuer: Client, **asked: Any) -> str:
    token: str = issuer.post("/sign", asked).json["token"]
    return token


def ask(server: str, token: str) -> Answer:
    return Client(server, token=token).get("/api/v1/me")


def test_jwt__has_the_highest_role_that_is_mapped(issuer: Client, server: str) -> None:
    token = sign(issuer, claims={"sub": "ada", "roles": ["others", "readers", "scorers"]})
    assert ask(server, token).json == {"name": "ada", "role": "invoker", "kind": "oidc"}
    token = sign(issuer, claims={"roles": "readers others"})
    assert ask(server, token).json["role"] == "reader"


@pytest.mark.parametrize("claims", [{}, {"roles": []}, {"roles": ["others"]}, {"roles": None}])
def test_jwt__without_a_mapped_role_is_forbidden(
    issuer: Client, server: str, claims: dict[str, Any]
) -> None:
    answer = ask(server, sign(issuer, claims=claims))
    assert (answer.status, answer.code) == (403, "FORBIDDEN")


@pytest.mark.parametrize(
    "asked",
    [
        {"claims": {"aud": "https://management.example"}},
        {"claims": {"aud": None}},
        {"claims": {"iss": "https://other.example"}},
        {"claims": {"exp": int(time.time()) - 3600}},
        {"claims": {"exp": None}},
        {"claims": {"sub": None}},
        {"claims": {"nbf": int(time.time()) + 3600}},
        {"key": "foreign"},
        {"algorithm": "none"},
        {"algorithm": "HS256"},
        {"kid": "key-99"},
    ],
)
def test_jwt__that_does_not_hold_is_refused(
    issuer: Client, server: str, asked: dict[str, Any]
) -> None:
    claims = {"roles": ["admins"], **asked.get("claims", {})}
    answer = ask(server, sign(issuer, **{**asked, "claims": claims}))
    assert (answer.status, answer.code) == (401, "UNAUTHENTICATED")
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    assert ask(server, sign(issuer, claims={"roles": ["admins"]})).status == 200


def test_jwt__whose_bytes_were_changed_is_refused(issuer: Client, server: str) -> None:
    head, body, signature = sign(issuer, claims={"roles": ["readers"]}).split(".")
    for token in (f"{head}.{body}.", f"{head}.{body[:-4]}AAAA.{signature}", "a.b.c", head):
        assert ask(server, token).status == 401


def test_keys__are_kept_and_follow_a_rotation(
    issuer: Client, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(5):
        assert ask(server, sign(issuer, claims={"roles": ["readers"]})).status == 200
    assert issuer.get("/fetches").json == {"fetches": 1}
    old = sign(issuer, claims={"roles": ["readers"]})
    issuer.post("/rotate")
    monkeypatch.setattr(oidc, "REFETCH_SECONDS", 0.0)
    assert ask(server, sign(issuer, claims={"roles": ["readers"]})).status == 200
    assert issuer.get("/fetches").json == {"fetches": 2}
    assert ask(server, old).status == 401


def test_keys__of_unknown_ids_do_not_flood_the_issuer(issuer: Client, server: str) -> None:
    ask(server, sign(issuer, claims={"roles": ["readers"]}))
    for number in range(20):
        assert ask(server, sign(issuer, kid=f"made-up-{number}")).status == 401
    assert issuer.get("/fetches").json["fetches"] <= 1 + 20 // oidc.REFETCH_SECONDS


def test_keys__stay_while_the_issuer_is_down(
    issuer: Client, settings: ServerSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    verifier = OidcVerifier(settings)
    token = sign(issuer, claims={"roles": ["readers"]})
    assert verifier.find(token) is not None
    issuer.post("/down")
    monkeypatch.setattr(oidc, "KEYS_SECONDS", 0.0)
    assert verifier.find(token) is not None
    with pytest.raises(StateError) as caught:
        OidcVerifier(settings).find(token)
    assert caught.value.condition == "ISSUER_UNREACHABLE"
    assert caught.value.http_status == 503


def test_issuer__that_calls_itself_otherwise_is_not_believed(settings: ServerSettings) -> None:
    other = settings.oidc_issuer.replace("127.0.0.1", "localhost")
    with pytest.raises(StateError):
        IssuerKeys(other).find("key-1")


@pytest.mark.parametrize("issuer_url", ["http://issuer.example", "ftp://127.0.0.1", "issuer"])
def test_issuer__must_speak_tls(issuer_url: str) -> None:
    settings = ServerSettings(oidc_issuer=issuer_url, oidc_audience="sparkscore")
    with pytest.raises(InvalidFieldError) as caught:
        OidcVerifier(settings)
    assert caught.value.condition == "INSECURE_ISSUER"


def test_tokens__of_both_kinds_are_taken(issuer: Client, tmp_path: Path) -> None:
    workspace = Workspace.open(tmp_path / "both")
    made = workspace.tokens.create(role="contributor", name="ci")
    settings = ServerSettings(oidc_issuer=issuer.server, oidc_audience="sparkscore")
    config = ServerConfig(settings=dataclasses.replace(settings, oidc_roles=dict(ROLES)))
    with serving(create_app(workspace, config)) as address:
        assert ask(address, str(made.secret)).json["kind"] == "token"
        assert ask(address, sign(issuer, claims={"roles": ["admins"]})).json["kind"] == "oidc"
    workspace.close()
