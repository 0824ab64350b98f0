"""A browser without a window: keeps cookies, follows nothing, sends forms as browsers do."""

from __future__ import annotations

import http.client
import re
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from html import unescape
from http.cookies import Morsel, SimpleCookie
from urllib.parse import urlencode, urlsplit

from fastapi import FastAPI

from sparkscore.control.access.settings import ServerSettings
from sparkscore.control.workspace import Workspace
from sparkscore.rest.app import create_app
from sparkscore.rest.config import ServerConfig
from sparkscore.studio.app import add_studio
from tests.rest.serving import serving

MANY = 1_000_000
"""Requests a minute: tests ask often."""


@dataclass(frozen=True)
class Seen:
    """One answer."""

    status: int
    headers: http.client.HTTPMessage
    text: str

    @property
    def place(self) -> str:
        """Where it leads."""
        return self.headers["Location"] or ""

    @property
    def cookies(self) -> dict[str, Morsel[str]]:
        found: dict[str, Morsel[str]] = {}
        for line in self.headers.get_all("Set-Cookie") or []:
            found.update(SimpleCookie(line))
        return found


@dataclass
class Visitor:
    """Somebody with cookies; ``server`` is the server's address, paths are those of Studio."""

    server: str
    cookies: dict[str, str] = field(default_factory=dict)

    def ask(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Seen:
        parts = urlsplit(path if "://" in path else f"{self.server}/studio{path}")
        sent = dict(headers or {})
        if self.cookies:
            sent["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        connection = http.client.HTTPConnection(parts.netloc, timeout=120)
        try:
            target = f"{parts.path}?{parts.query}" if parts.query else parts.path
            connection.request(method, target, body=body, headers=sent)
            answer = connection.getresponse()
            seen = Seen(answer.status, answer.headers, answer.read().decode(errors="replace"))
        finally:
            connection.close()
        for name, morsel in seen.cookies.items():
            if morsel.value and morsel["max-age"] != "0":
                self.cookies[name] = morsel.value
            else:
                self.cookies.pop(name, None)
        return seen

    def get(self, path: str, **headers: str) -> Seen:
        return self.ask("GET", path, headers=headers)

    def post(self, path: str, fields: Mapping[str, str] | None = None, /, **headers: str) -> Seen:
        """Send a form as it stands."""
        sent = {"Content-Type": "application/x-www-form-urlencoded", **headers}
        return self.ask("POST", path, urlencode(fields or {}).encode(), sent)

    def send(self, path: str, fields: Mapping[str, str] | None = None) -> Seen:
        """Send a form of a page of this visit."""
        return self.post(path, {"csrf_token": self.get_forgery_token(), **(fields or {})})

    def upload(
        self,
        path: str,
        files: Sequence[tuple[str | bytes, bytes]],
        headers: Mapping[str, str] | None = None,
    ) -> Seen:
        """Send files (name, content) as the page's script does."""
        boundary = secrets.token_hex(12)
        body = make_multipart(files, boundary)
        sent = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
        if headers is None:
            headers = {"X-CSRF-Token": self.get_forgery_token(), "HX-Request": "true"}
        return self.ask("POST", path, body, {**sent, **headers})

    def get_forgery_token(self) -> str:
        """What pages of this visit send with their forms."""
        found = re.search(r'name="csrf-token" content="([^"]+)"', self.get("/computes").text)
        assert found is not None
        return unescape(found[1])


def make_multipart(files: Sequence[tuple[str | bytes, bytes]], boundary: str) -> bytes:
    """A form with files as browsers send it."""
    parts = []
    for name, content in files:
        raw = name.encode() if isinstance(name, str) else name
        for letter, escaped in ((b'"', b"%22"), (b"\r", b"%0D"), (b"\n", b"%0A")):
            raw = raw.replace(letter, escaped)
        head = b'Content-Disposition: form-data; name="upload_folder"; filename="' + raw + b'"'
        parts += [b"--" + boundary.encode(), head, b"Content-Type: application/octet-stream"]
        parts += [b"", content]
    return b"\r\n".join([*parts, f"--{boundary}--\r\n".encode()])


def make_app(workspace: Workspace, **settings: object) -> FastAPI:
    """A server with Studio that asks for a login."""
    given = {"requests_per_minute": MANY, **settings}
    app = create_app(workspace, ServerConfig(settings=ServerSettings(**given)))  # type: ignore[arg-type]
    add_studio(app)
    return app


def log_in(workspace: Workspace, server: str, role: str = "owner", name: str = "ada") -> Visitor:
    """Somebody who has come in with a token of this role."""
    token = workspace.tokens.create(role=role, name=name).secret
    visitor = Visitor(server)
    assert visitor.post("/login", {"token": str(token)}).status == 303
    return visitor


@contextmanager
def visiting(workspace: Workspace, role: str = "owner", **settings: object) -> Iterator[Visitor]:
    """Somebody of this role in Studio of a served workspace."""
    with serving(make_app(workspace, **settings)) as server:
        yield log_in(workspace, server, role, f"ada-{role}")
