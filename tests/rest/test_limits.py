"""Limits of the server: requests, bodies, slowness."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvicorn

from sparkscore.control.access.settings import ServerSettings
from sparkscore.control.workspace import Workspace
from sparkscore.rest import connections, limits
from sparkscore.rest.app import create_app
from sparkscore.rest.config import ServerConfig
from sparkscore.rest.limits import FAILED_LOGIN_COST, RateLimiter
from sparkscore.rest.serving import serve
from tests.rest.serving import Client, serving


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    opened = Workspace.open(tmp_path / "ws")
    yield opened
    opened.close()


def connect(address: str) -> socket.socket:
    host, port = address.partition("://")[2].split(":")
    return socket.create_connection((host, int(port)), timeout=120)


def test_limiter__fills_up_again_and_keeps_clients_apart() -> None:
    now = [0.0]
    limiter = RateLimiter(60, clock=lambda: now[0])
    assert [limiter.take("a") for _ in range(60)] == [0.0] * 60
    assert limiter.take("a") == pytest.approx(1.0)
    assert limiter.take("b") == 0.0
    now[0] = 1.0
    assert limiter.take("a") == 0.0
    assert limiter.take("a") > 0
    now[0] = 1e6
    assert [limiter.take("a") for _ in range(60)] == [0.0] * 60
    assert limiter.take("a") > 0


def test_too_many_requests__are_told_when_to_come_again(workspace: Workspace) -> None:
    settings = ServerSettings(requests_per_minute=5)
    with serving(create_app(workspace, ServerConfig(no_auth=True, settings=settings))) as address:
        answers = [Client(address).get("/healthz") for _ in range(7)]
    assert [answer.status for answer in answers][:5] == [200] * 5
    assert (answers[-1].status, answers[-1].code) == (429, "TOO_MANY_REQUESTS")
    assert 0 < int(answers[-1].headers["Retry-After"]) <= 60


def test_wrong_tokens__cost_as_much_as_many_requests(workspace: Workspace) -> None:
    settings = ServerSettings(requests_per_minute=2 * FAILED_LOGIN_COST)
    with serving(create_app(workspace, ServerConfig(settings=settings))) as address:
        statuses = [Client(address, token="sks.a.b").get("/api/v1/me").status for _ in range(4)]
    assert statuses == [401, 401, 429, 429]


@pytest.mark.parametrize("is_chunked", [False, True])
def test_bodies__that_are_too_big(workspace: Workspace, is_chunked: bool) -> None:
    settings = ServerSettings(max_body_bytes=1000, max_upload_bytes=2000)
    with serving(create_app(workspace, ServerConfig(no_auth=True, settings=settings))) as address:
        for path, size, status in (
            ("/api/v1/endpoints", 1001, 413),
            ("/workspaces/ws/batchEndpoints/big", 1001, 413),
            ("/api/v1/uploads?name=a.bin", 2001, 413),
            ("/api/v1/uploads?name=a.bin", 1500, 201),
        ):
            answer = send_body(address, path, b"x" * size, is_chunked=is_chunked)
            assert answer.split(b" ")[1] == str(status).encode(), path
    assert [one.name for one in (workspace.folder / "cache").glob("*received*")] == []


def send_body(address: str, path: str, body: bytes, *, is_chunked: bool) -> bytes:
    method = "PUT" if path.startswith("/workspaces") else "POST"
    head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n"
    if is_chunked:
        head += "Transfer-Encoding: chunked\r\n\r\n"
        sent = head.encode() + b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
    else:
        sent = f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
    with connect(address) as connection:
        connection.sendall(sent)
        return connection.recv(65536)


@pytest.mark.parametrize("path", ["/api/v1/endpoints", "/workspaces/ws/batchEndpoints/slow"])
def test_bodies__that_never_end_are_given_up(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    monkeypatch.setattr(limits, "BODY_GRACE_SECONDS", 0.3)
    with serving(create_app(workspace, ServerConfig(no_auth=True))) as address:
        with connect(address) as connection:
            method = "PUT" if path.startswith("/workspaces") else "POST"
            head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9\r\n\r\n"
            connection.sendall(head.encode() + b"{")
            said = b""
            while piece := connection.recv(65536):
                said += piece
        assert Client(address).get("/healthz").status == 200
    assert said.split(b" ")[1] == b"408"
    assert b"BODY_TOO_SLOW" in said
    (line,) = (workspace.folder / "audit.jsonl").read_text().splitlines()
    assert json.loads(line)["condition"] == "BODY_TOO_SLOW"


def test_client__that_goes_while_it_sends_is_no_failure_of_the_server(
    workspace: Workspace, caplog: pytest.LogCaptureFixture
) -> None:
    with serving(create_app(workspace, ServerConfig(no_auth=True))) as address:
        with connect(address) as connection:
            head = b"PUT /workspaces/ws/batchEndpoints/gone HTTP/1.1\r\nHost: 127.0.0.1\r\n"
            connection.sendall(head + b"Content-Length: 9\r\n\r\n{")
        audit = workspace.folder / "audit.jsonl"
        deadline = threading.Event()
        for _ in range(600):
            if audit.read_text():
                break
            deadline.wait(0.1)
    assert json.loads(audit.read_text())["condition"] == "CLIENT_GONE"
    assert [record for record in caplog.records if record.name == "sparkscore.rest"] == []


@pytest.mark.parametrize(
    "said",
    [b"", b"GET /healthz HTTP/1.1\r\nHost: ", b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\nGET"],
)
def test_connections__that_ask_nothing_are_closed(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, said: bytes
) -> None:
    monkeypatch.setattr(connections, "SILENCE_SECONDS", 0.3)
    servers: list[uvicorn.Server] = []
    run = uvicorn.Server.run

    def note(server: uvicorn.Server, **arguments: object) -> None:
        servers.append(server)
        run(server, **arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(uvicorn.Server, "run", note)
    urls: list[str] = []
    is_up = threading.Event()

    def show(url: str) -> None:
        urls.append(url)
        is_up.set()

    config = ServerConfig(port=0, no_auth=True)
    thread = threading.Thread(target=lambda: serve(workspace, config, on_url=show))
    thread.start()
    try:
        assert is_up.wait(60)
        with connect(urls[0]) as connection:
            connection.sendall(said)
            while connection.recv(65536):
                pass
        assert Client(urls[0]).get("/healthz").status == 200
    finally:
        servers[0].should_exit = True
        thread.join(60)
    assert not thread.is_alive()
