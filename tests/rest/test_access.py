"""Tokens, roles, refusals and the log of writes, against a real server."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI

from sparkscore.control.access.roles import Role
from sparkscore.control.access.settings import ServerSettings
from sparkscore.control.workspace import Workspace
from sparkscore.errors import OutputNotWritableError
from sparkscore.rest.app import create_app
from sparkscore.rest.config import ServerConfig
from tests.rest.serving import Client, serving

OPEN_PATHS = {"/healthz"}
ENDPOINT = {"properties": {"authMode": "AADToken", "description": "for people"}}
SETTINGS = ServerSettings(requests_per_minute=100_000)


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    opened = Workspace.open(tmp_path / "ws")
    yield opened
    opened.close()


@pytest.fixture
def app(workspace: Workspace) -> FastAPI:
    return create_app(workspace, ServerConfig(settings=SETTINGS))


@pytest.fixture
def server(app: FastAPI) -> Iterator[str]:
    with serving(app) as address:
        yield address


@pytest.fixture
def clients(workspace: Workspace, server: str) -> dict[str, Client]:
    """A client of each role."""
    return {
        role.value: Client(
            server,
            "/workspaces/ws",
            token=workspace.tokens.create(role=role.value, name=role.value).secret,
        )
        for role in Role
    }


def read_audit(workspace: Workspace) -> list[dict[str, Any]]:
    text = (workspace.folder / "audit.jsonl").read_text()
    return [json.loads(line) for line in text.splitlines()]


def test_roles__cover_those_below() -> None:
    order = [Role.READER, Role.INVOKER, Role.CONTRIBUTOR, Role.OWNER]
    covered = [[role.covers(other) for other in order] for role in order]
    assert covered == [[column <= row for column in range(4)] for row in range(4)]


def iter_operations(app: FastAPI) -> Iterator[tuple[str, str]]:
    for path, operations in app.openapi()["paths"].items():
        for method in operations:
            yield method.upper(), re.sub(r"\{[^}]*\}", "x", path)


def test_every_operation__takes_a_token(app: FastAPI, server: str) -> None:
    client = Client(server)
    operations = [one for one in iter_operations(app) if one[1] not in OPEN_PATHS]
    assert len(operations) > 30
    wrong = {
        operation: answer.status
        for operation in operations
        if (answer := client.call(*operation)).status != 401
    }
    assert wrong == {}


def test_every_change__takes_more_than_a_reader(app: FastAPI, clients: dict[str, Client]) -> None:
    reader = Client(clients["reader"].server, token=clients["reader"].token)
    changes = [one for one in iter_operations(app) if one[0] != "GET"]
    assert len(changes) > 15
    wrong = {
        change: answer.status
        for change in changes
        if (answer := reader.call(change[0], change[1], {})).status != 403
    }
    assert wrong == {}


def test_endpoint__is_made_by_contributors_and_read_by_all(clients: dict[str, Client]) -> None:
    path = "/batchEndpoints/heart"
    assert clients["invoker"].put(path, ENDPOINT).code == "FORBIDDEN"
    assert clients["reader"].get(path).status == 404
    assert clients["contributor"].put(path, ENDPOINT).status == 201
    assert [client.get(path).status for client in clients.values()] == [200] * 4


@pytest.mark.parametrize("scheme", ["Basic", "bearer2", ""])
def test_other_schemes__are_no_tokens(clients: dict[str, Client], scheme: str) -> None:
    token = clients["owner"].token
    client = Client(clients["owner"].server, headers={"Authorization": f"{scheme} {token}"})
    answer = client.get("/api/v1/me")
    assert (answer.status, answer.headers["WWW-Authenticate"]) == (401, 'Bearer realm="sparkscore"')


def test_token__in_the_url_is_none(clients: dict[str, Client]) -> None:
    owner = clients["owner"]
    answer = Client(owner.server).get(f"/api/v1/me?access_token={owner.token}&token={owner.token}")
    assert answer.status == 401


def test_token__revoked_or_changed_opens_nothing(
    workspace: Workspace, clients: dict[str, Client]
) -> None:
    reader = clients["reader"]
    assert reader.get("/batchEndpoints").status == 200
    for token in (f"{reader.token}x", str(reader.token)[:-1], "sks.reader.", "sks..x", "\xe9"):
        other = Client(reader.server, "/workspaces/ws", token=token)
        assert other.get("/batchEndpoints").status == 401
    workspace.tokens.revoke("reader")
    answer = reader.get("/batchEndpoints")
    assert answer.status == 401
    assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]


def test_audit__has_every_write_and_no_secret(
    workspace: Workspace, clients: dict[str, Client]
) -> None:
    path = "/batchEndpoints/heart"
    clients["contributor"].put(path, ENDPOINT)
    clients["contributor"].get(path)
    clients["reader"].delete(path)
    Client(clients["reader"].server, "/workspaces/ws").delete(f"{path}?key=secret")
    clients["owner"].put("/batchEndpoints/1%0A2", ENDPOINT)
    entries = read_audit(workspace)
    keys = ("method", "path", "status", "caller", "role", "condition")
    full = f"/workspaces/ws{path}"
    assert [tuple(entry[key] for key in keys) for entry in entries[:3]] == [
        ("PUT", full, 201, "contributor", "contributor", None),
        ("DELETE", full, 403, "reader", "reader", "FORBIDDEN"),
        ("DELETE", full, 401, None, None, "UNAUTHENTICATED"),
    ]
    assert entries[3]["path"].endswith("1\n2")
    text = (workspace.folder / "audit.jsonl").read_text()
    assert "for people" not in text
    assert not any(str(client.token).split(".")[2] in text for client in clients.values())
    assert (workspace.folder / "audit.jsonl").stat().st_mode & 0o777 == 0o600


def test_audit__that_cannot_be_written_prevents_the_server(workspace: Workspace) -> None:
    (workspace.folder / "audit.jsonl").mkdir()
    with pytest.raises(OutputNotWritableError) as caught:
        create_app(workspace, ServerConfig())
    assert caught.value.condition == "AUDIT_NOT_WRITABLE"


def test_problem__is_told_as_rfc_9457_if_asked(clients: dict[str, Client]) -> None:
    answer = clients["reader"].get("/batchEndpoints/none", Accept="application/problem+json")
    assert answer.headers["Content-Type"] == "application/problem+json"
    body = answer.json
    assert body["type"] == "urn:sparkscore:error:ENDPOINT_NOT_FOUND"
    assert (body["status"], body["code"], answer.status) == (404, "ENDPOINT_NOT_FOUND", 404)
    assert body["attributes"]["name"] == "none"


def test_bug__is_a_number_outside_and_a_traceback_inside(
    app: FastAPI, clients: dict[str, Client], caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> None:
        raise KeyError("what only the log may say")

    app.add_api_route("/boom", fail)
    with caplog.at_level(logging.ERROR, logger="sparkscore.rest"):
        answer = Client(clients["reader"].server).get("/boom")
    assert (answer.status, answer.code) == (500, "INTERNAL_ERROR")
    assert b"what only" not in answer.raw
    (detail,) = answer.json["error"]["details"]
    (record,) = caplog.records
    assert detail["value"] in record.getMessage()
    assert record.exc_info is not None


def test_unknown_paths_and_methods__are_named(clients: dict[str, Client]) -> None:
    owner = clients["owner"]
    assert owner.get("/nothing").code == "UNKNOWN_PATH"
    answer = owner.call("POST", f"{owner.server}/healthz")
    assert (answer.status, answer.code) == (405, "METHOD_NOT_ALLOWED")
    assert answer.headers["Allow"] == "GET"
    assert owner.get(f"{owner.server}/workspaces/other/batchEndpoints").code == (
        "WORKSPACE_NOT_FOUND"
    )


def test_metrics__count_requests_and_jobs(clients: dict[str, Client]) -> None:
    reader = Client(clients["reader"].server, token=clients["reader"].token)
    for _ in range(3):
        reader.get("/api/v1/me")
    answer = reader.get("/metrics")
    assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    lines = answer.raw.decode().splitlines()
    name = "sparkscore_http_requests_total"
    assert f'{name}{{method="GET",route="/api/v1/me",status="200"}} 3' in lines
    assert any(line.startswith("# TYPE sparkscore_jobs gauge") for line in lines)
    buckets = [line for line in lines if 'route="/api/v1/me",le=' in line]
    counts = [int(line.rpartition(" ")[2]) for line in buckets]
    assert counts == sorted(counts)
    assert counts[-1] == 3


def test_no_auth__answers_this_machine_only(workspace: Workspace) -> None:
    with serving(create_app(workspace, ServerConfig(no_auth=True))) as address:
        client = Client(address)
        assert client.get("/api/v1/me").json["role"] == "owner"
        assert client.get("/api/v1/me", Origin=address).status == 200
        assert client.get("/api/v1/me", Host="rebound.example").code == "FORBIDDEN"
        assert client.get("/api/v1/me", Origin="https://other.example").code == "FORBIDDEN"
        assert client.get("/api/v1/me", Origin="null").code == "FORBIDDEN"


def test_responses__forbid_what_browsers_might_do(clients: dict[str, Client]) -> None:
    headers = clients["reader"].get("/batchEndpoints").headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert re.fullmatch("[0-9a-f]{16}", headers["X-Request-ID"])
