"""Which places callers of the server may name: hosts, redirects and names that change."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

import pytest

from sparkscore.control.access.places import PlacePolicy
from sparkscore.control.workspace import Workspace
from sparkscore.errors import PlanError
from sparkscore.storage import ONLY_PUBLIC, open_store
from sparkscore.storage.public_hosts import is_allowed_address, make_client_maker

PUBLIC = "93.184.215.14"
Addresses = dict[str, str]


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Addresses:
    """What names stand for; tests change it as a name's owner may."""
    found: Addresses = {}
    real = socket.getaddrinfo

    def look_up(host: Any, *arguments: Any, **more: Any) -> Any:
        return real(found.get(host, host), *arguments, **more)

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    return found


class Inside(BaseHTTPRequestHandler):
    """A server that only this machine should reach; ``/away`` leads to where ``target`` says."""

    asked: ClassVar[list[str]]
    target: ClassVar[str]
    port: ClassVar[int]

    def do_GET(self) -> None:
        self.asked.append(self.path)
        is_away = self.path == "/away"
        self.send_response(302 if is_away else 200)
        if is_away:
            self.send_header("Location", self.target)
        self.send_header("Content-Length", "0" if is_away else "6")
        self.end_headers()
        if not is_away:
            self.wfile.write(b"secret")

    def do_HEAD(self) -> None:
        self.do_GET()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        """Nothing."""


@pytest.fixture
def inside() -> Iterator[type[Inside]]:
    """The handler of a server that runs on ``inside.port``."""

    class Own(Inside):
        asked: ClassVar[list[str]] = []
        target: ClassVar[str] = ""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Own)
    Own.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield Own
    server.shutdown()
    thread.join()
    server.server_close()


def fetch(url: str, allowed: str) -> bytes:
    async def get() -> bytes:
        async with await make_client_maker(allowed)() as client, client.get(url) as answer:
            content: bytes = await answer.read()
            return content

    return asyncio.run(get())


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "127.9.9.9", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254"),
        *("0.0.0.0", "100.64.0.1", "224.0.0.1", "255.255.255.255", "192.0.2.1", "::1", "::"),
        *("fe80::1", "fe80::1%eth0", "fc00::1", "ff02::1", "::ffff:127.0.0.1", "64:ff9b::a00:1"),
        *("2002:7f00:1::", "no address", ""),
    ],
)
def test_addresses__that_are_not_public(address: str) -> None:
    assert not is_allowed_address(address, ())


def test_addresses__public_ones_and_networks_that_are_allowed() -> None:
    assert is_allowed_address(PUBLIC, ())
    assert is_allowed_address("2606:2800:21f:cb07:6820:80da:af6b:8b2c", ())
    assert is_allowed_address("10.1.2.3", ("data.internal", "10.1.0.0/16"))
    assert not is_allowed_address("10.2.2.3", ("data.internal", "10.1.0.0/16"))


def test_name__is_refused_once_it_leads_inside(tmp_path: Any, names: Addresses) -> None:
    workspace = Workspace.open(tmp_path / "ws")
    names["data.example"] = PUBLIC
    assert PlacePolicy().admit(workspace, "https://data.example/x") == {ONLY_PUBLIC: ""}
    names["data.example"] = "127.0.0.1"
    with pytest.raises(PlanError) as caught:
        PlacePolicy().admit(workspace, "https://data.example/x")
    assert caught.value.condition == "HOST_NOT_ALLOWED"
    allowed = PlacePolicy(("data.example",))
    assert allowed.admit(workspace, "https://data.example/x") == {ONLY_PUBLIC: "data.example"}
    workspace.close()


def test_name__that_changes_after_it_was_looked_at(
    names: Addresses, inside: type[Inside], tmp_path: Any
) -> None:
    """DNS rebinding: the address is looked at again where it is connected to."""
    workspace = Workspace.open(tmp_path / "ws")
    url = f"http://data.example:{inside.port}/x"
    names["data.example"] = PUBLIC
    options = PlacePolicy().admit(workspace, url)
    names["data.example"] = "127.0.0.1"
    store, path = open_store(url, options)
    with pytest.raises(OSError):
        store.cat_file(path)
    assert inside.asked == []
    open_, path = open_store(url, {ONLY_PUBLIC: "data.example"})
    assert open_.cat_file(path) == b"secret"
    workspace.close()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "inner.example"])
def test_redirect__to_this_machine_is_not_followed(
    names: Addresses, inside: type[Inside], host: str
) -> None:
    names.update({"outer.example": "127.0.0.1", "inner.example": "127.0.0.1"})
    inside.target = f"http://{host}:{inside.port}/x"
    with pytest.raises(OSError):
        fetch(f"http://outer.example:{inside.port}/away", "outer.example")
    assert inside.asked == ["/away"]
    inside.target = f"http://outer.example:{inside.port}/x"
    away = f"http://outer.example:{inside.port}/away"
    assert fetch(away, "outer.example") == b"secret"
