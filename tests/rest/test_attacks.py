"""What somebody sends who means harm: nothing of it is a 500, nothing leaves its place."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sparkscore.control.access.settings import ServerSettings
from sparkscore.control.workspace import Workspace
from sparkscore.rest.app import create_app
from sparkscore.rest.config import ServerConfig
from tests.rest.serving import Answer, Client, serving

STORE = "azureml://datastores/workspaceblobstore/paths"
OUTSIDE = [
    f"{STORE}/../../../../etc",
    f"{STORE}/in/../../../sparkscore.toml",
    "azureml://datastores/../paths/x",
    *("/etc", "file:///etc", "file://localhost/etc", "local:///etc", "../../etc"),
    *("zip::/etc/passwd", "simplecache::file:///etc", "s3://b::file:///etc/passwd", "dir::/etc"),
    *("memory://x", "ftp://example.com/x", "github://o:r@/x", "sftp://example.com/x"),
    *("http://127.0.0.1:1/x", "http://localhost/x", "http://169.254.169.254/latest", "http:///x"),
    *("http://[::1]/", "http://[::ffff:127.0.0.1]/", "http://[::1", "http://0x7f.1/"),
    *("http://2130706433/", "http://0/", "http://10.0.0.1/", "http://100.64.0.1/"),
    *("https://user:word@127.0.0.1/", "abfss://c@127.0.0.1/x"),
    *("\0", "in\0x", "\ud800", "http://\0/", "azureml://datastores/\0/paths/x"),
]
HOSTILE_BODIES = {
    "deep lists": b'{"document": {"a": ' + b"[" * 900 + b"]" * 900 + b"}}",
    "deeper lists": b'{"document": {"a": ' + b"[" * 100_000,
    "deep objects": b'{"document":' * 5000 + b"1" + b"}" * 5000,
    "many digits": b'{"document": {"name": "digits", "description": ' + b"9" * 5000 + b"}}",
    "no number": b'{"document": {"name": "number", "tags": {"a": NaN}}}',
    "too big a number": b'{"document": {"name": "number", "tags": {"a": 1e999}}}',
    "half a character": b'{"document": {"name": "half", "description": "\\ud800"}}',
    "half a key": b'{"document": {"name": "half", "tags": {"\\udfff": "a"}}}',
    "nul": b'{"document": {"name": "nul", "description": "a\\u0000b"}}',
    "no utf-8": b'{"document": {"name": "latin", "description": "\xff"}}',
    "no object": b"[]",
    "no json": b"{'document': 1}",
}


@pytest.fixture
def raw(server: str) -> str:
    return server.partition("://")[2]


def send(address: str, data: bytes) -> bytes:
    """All that the server says to these bytes until it closes or has answered."""
    host, port = address.split(":")
    said = b""
    with socket.create_connection((host, int(port)), timeout=60) as connection:
        connection.sendall(data)  # which ask for the connection to be closed
        while piece := connection.recv(65536):
            said += piece
    return said


def get_status(said: bytes) -> int:
    return int(said.split(b" ", 2)[1])


@pytest.mark.parametrize("path", OUTSIDE)
def test_places__outside_are_refused_everywhere(
    api: Client, workspace: Workspace, path: str
) -> None:
    asked: list[tuple[str, Any]] = [
        ("/endpoints/mood/invoke", {"input": path}),
        ("/endpoints/mood/invoke", {"input": f"{STORE}/in", "output_path": path}),
        ("/data", {"document": {"name": "d", "type": "uri_folder", "path": path}}),
        ("/models", {"document": {"name": "m", "path": path}}),
        ("/code", {"document": {"name": "c", "path": path}}),
    ]
    answers = [api.post(where, body) for where, body in asked]
    assert {answer.status for answer in answers} <= {400, 403}, [one.raw for one in answers]
    assert list(workspace.data.list()) == []
    with workspace.store.reading() as reader:
        assert reader.list_jobs() == []


def test_places__a_link_out_of_a_datastore_is_refused(api: Client, workspace: Workspace) -> None:
    store = Path(workspace.datastores.get_default().uri)
    (store / "link").symlink_to("/etc")
    for path in (str(store / "link"), f"{store}/link/passwd", f"{STORE}/link"):
        answer = api.post("/code", {"document": {"name": "c", "path": path}})
        assert (answer.status, answer.code) == (403, "LOCAL_PATH_NOT_ALLOWED"), path
        answer = api.post("/endpoints/mood/invoke", {"input": path})
        assert (answer.status, answer.code) == (403, "LOCAL_PATH_NOT_ALLOWED"), path


@pytest.mark.parametrize("name", HOSTILE_BODIES)
def test_bodies__hostile_ones_are_refused(api: Client, client: Client, name: str) -> None:
    body = HOSTILE_BODIES[name]
    for answer in (
        api.call("POST", "/endpoints", body),
        api.call("POST", "/endpoints/mood/invoke", body),
        client.call("PUT", "/batchEndpoints/hostile", body),
        client.call("POST", "/batchEndpoints/mood/jobs", body),
    ):
        assert answer.status == 400, answer.raw
    assert client.get("/batchEndpoints/hostile").status == 404


def test_bodies__what_is_no_json_is_no_matter_where_none_is_read(api: Client) -> None:
    answer = api.call("POST", "/jobs/none/cancel", b"no json")
    assert (answer.status, answer.code) == (404, "JOB_NOT_FOUND")
    assert api.call("POST", "/jobs/none/cancel", b"").code == "JOB_NOT_FOUND"


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"Content-Length: 2\r\nContent-Length: 3", 400),
        (b"Content-Length: -2", 400),
        (b"X-Text: a\0b", 400),
        (b"X-Text: a\rSet-Cookie: b=c", 400),
        (b"X Text: a", 400),
        (b"Transfer-Encoding: gzip", 400),
    ],
)
def test_headers__that_are_none_are_refused(raw: str, head: bytes, status: int) -> None:
    said = send(
        raw, b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + head + b"\r\n\r\n{}"
    )
    assert get_status(said) == status
    assert b"Set-Cookie" not in said


@pytest.mark.parametrize(
    "host", [b"a b", b"x]y[", b"[::1", b"a:b:c", b"\xff\xfe", b"", b"x" * 5000]
)
def test_host__may_be_anything(workspace: Workspace, host: bytes) -> None:
    settings = ServerSettings(requests_per_minute=100_000)
    token = str(workspace.tokens.create(role="owner").secret).encode()
    with serving(create_app(workspace, ServerConfig(settings=settings))) as address:
        for path in (b"/workspaces/ws/batchEndpoints?$top=1", b"/batchEndpoints/mood/jobs"):
            said = send(
                address.partition("://")[2],
                b"GET " + path + b" HTTP/1.1\r\nConnection: close\r\n"
                b"Authorization: Bearer " + token + b"\r\nHost: " + host + b"\r\n\r\n",
            )
            assert get_status(said) in (200, 400)


@pytest.mark.parametrize(
    "path",
    [
        *("/api/v1/jobs/%00", "/api/v1/jobs?status=%00", "/api/v1/jobs/x/files/%00"),
        *("/api/v1/jobs/%ff%fe", "/workspaces/ws/models/%F0%28%8C%28", "/workspaces/%2e%2e/jobs"),
        *("/workspaces/ws/batchEndpoints/..%2f..%2fetc", "/api/v1/jobs/..%2f..", "/%2e%2e/etc"),
        *("/workspaces/ws/batchEndpoints/%0d%0aSet-Cookie:%20a=b", "//", "/api/v1/jobs?$skip=%ff"),
        *("/api/v1/jobs?$skip=after:%27;drop", "/api/v1/jobs?$top=99999999999999999999"),
    ],
)
def test_addresses__that_name_nothing(server: str, path: str) -> None:
    answer = Client(server).get(path)
    assert answer.status in (400, 404)
    assert answer.code
    assert answer.headers["Set-Cookie"] is None


def test_files__outside_the_job_are_not_there(
    api: Client, client: Client, workspace: Workspace
) -> None:
    uri = client.get("/batchEndpoints/mood").json["properties"]["scoringUri"]
    body = {"properties": {"InputData": {"x": {"JobInputType": "UriFolder", "Uri": f"{STORE}/in"}}}}
    name = client.post(uri, body).json["name"]
    workspace.jobs.get(name).wait(60)
    for path in ("../../sparkscore.toml", "..%2f..%2fsparkscore.toml", "%2fetc%2fpasswd", "....//"):
        assert api.get(f"/jobs/{name}/files/{path}").status == 404, path
    found = api.get(f"/jobs/{name}/files").json["value"][0]["path"]
    headers = api.get(f"/jobs/{name}/files/{found}").headers
    assert "attachment" in headers["Content-Disposition"]
    assert headers["X-Content-Type-Options"] == "nosniff"


def test_audit__has_writes_that_failed_in_any_way(
    client: Client, api: Client, raw: str, workspace: Workspace
) -> None:
    audit = workspace.folder / "audit.jsonl"
    client.call("PUT", "/batchEndpoints/hostile", b"{")
    api.call("POST", "/nothing")
    client.call("BREW", "/batchEndpoints/hostile")
    api.post("/models", {"document": {"name": "m", "path": "/etc"}})
    lines = [json.loads(line) for line in audit.read_text().splitlines()]
    assert [(line["method"], line["status"], line["condition"]) for line in lines] == [
        ("PUT", 400, "MALFORMED_BODY"),
        ("POST", 404, "UNKNOWN_PATH"),
        ("BREW", 405, "METHOD_NOT_ALLOWED"),
        ("POST", 403, "LOCAL_PATH_NOT_ALLOWED"),
    ]


@pytest.fixture
def other_site(workspace: Workspace) -> Iterator[str]:
    with serving(create_app(workspace, ServerConfig(no_auth=True))) as address:
        yield address


@pytest.mark.parametrize("host", ["rebound.example", "127.0.0.1.rebound.example", "[", ""])
def test_no_auth__answers_no_rebound_name(other_site: str, host: str) -> None:
    answer: Answer = Client(other_site).get("/api/v1/me", Host=host)
    assert (answer.status, answer.code) == (403, "FORBIDDEN")
