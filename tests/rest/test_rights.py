"""Which role each path takes: no write is open to readers, nothing that runs code to invokers."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from fastapi import FastAPI

from sparkscore.control.access.settings import ServerSettings
from sparkscore.control.workspace import Workspace
from sparkscore.rest.app import create_app
from sparkscore.rest.config import ServerConfig
from tests.rest.serving import Client, serving

OPEN = {"GET /healthz"}
READING = {"GET", "HEAD"}
OF_INVOKERS = {
    "POST /workspaces/ws/batchEndpoints/{endpoint}/jobs",
    "POST /workspaces/ws/batchEndpoints/{endpoint}/deployments/{deployment}/jobs",
    "POST /workspaces/ws/batchEndpoints/{endpoint}/jobs/{job}/cancel",
    "POST /workspaces/ws/jobs/{job}/cancel",
    "POST /api/v1/endpoints/{endpoint}/invoke",
    "POST /api/v1/endpoints/{endpoint}/plan",
    "POST /api/v1/uploads",
    "PATCH /api/v1/jobs/{job}",
    *(
        f"POST /api/v1/jobs/{{job}}/{verb}"
        for verb in ("cancel", "start", "archive", "restore", "resume", "retry-failed")
    ),
}
OF_OWNERS = {
    "POST /api/v1/jobs:prune",
    *(f"{method} /workspaces/ws/datastores/{{datastore}}" for method in ("PUT", "DELETE")),
    "POST /api/v1/datastores",
    "DELETE /api/v1/datastores/{name}",
    *(f"POST /api/v1/datastores/{{name}}/{verb}" for verb in ("archive", "restore")),
    "POST /api/v1/tokens",
    "GET /api/v1/tokens",
    "DELETE /api/v1/tokens/{name}",
}


@pytest.fixture
def app(workspace: Workspace) -> FastAPI:
    settings = ServerSettings(requests_per_minute=1_000_000)
    return create_app(workspace, ServerConfig(settings=settings))


@pytest.fixture
def secured(app: FastAPI) -> Iterator[str]:
    """A server that asks for tokens."""
    with serving(app) as address:
        yield address


def list_operations(app: FastAPI) -> list[str]:
    paths = app.openapi()["paths"]
    found = [f"{method.upper()} {path}" for path, methods in paths.items() for method in methods]
    assert len(found) > 80
    return found


def ask(client: Client, operation: str) -> int:
    """The status of a call with a body that says nothing."""
    method, path = operation.split(" ", 1)
    filled = re.sub(r"\{\w+\}", "none", path)
    query = "?name=none" if path.endswith("/uploads") else ""
    body: dict[str, str] | None = None if method in READING | {"DELETE"} else {}
    return client.call(method, f"{filled}{query}", body).status


def get_client(workspace: Workspace, address: str, role: str) -> Client:
    return Client(address, token=workspace.tokens.create(role=role).secret)


def test_lists__name_paths_that_are_there(app: FastAPI) -> None:
    assert set(list_operations(app)) >= OPEN | OF_INVOKERS | OF_OWNERS


def test_nobody__passes_without_a_token(app: FastAPI, secured: str) -> None:
    for client in (Client(secured), Client(secured, token="sks.none.none")):
        statuses = {operation: ask(client, operation) for operation in list_operations(app)}
        passed = {operation: status for operation, status in statuses.items() if status != 401}
        assert set(passed) == OPEN, passed


@pytest.mark.parametrize("role", ["reader", "invoker", "contributor"])
def test_roles__are_refused_what_they_may_not(
    app: FastAPI, secured: str, workspace: Workspace, role: str
) -> None:
    client = get_client(workspace, secured, role)
    for operation in list_operations(app):
        may = {
            "reader": operation.startswith("GET ") and operation not in OF_OWNERS,
            "invoker": (operation.startswith("GET ") and operation not in OF_OWNERS)
            or operation in OF_INVOKERS,
            "contributor": operation not in OF_OWNERS,
        }[role]
        status = ask(client, operation)
        assert (status != 403) == may, f"{operation}: {status}"
        assert status not in (401, 429)
        assert status < 500
