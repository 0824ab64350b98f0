"""A small OpenID Connect issuer, run as a process: ``python tests/rest/issuer.py``.

It publishes its keys as issuers do, and signs what it is asked to: ``POST /sign`` with ``claims``,
and optionally ``key`` (``current``, ``old``, ``foreign``), ``algorithm``, ``kid``. ``POST /rotate``
takes a new key into use, ``POST /down`` and ``POST /up`` stop and start the publishing.

People log in at ``GET /authorize``, where everybody is let in at once as who ``POST /person`` said
last (``claims``, or ``error``), and clients exchange the code at ``POST /token``. Codes hold once,
for the client, address and PKCE challenge that they were made for.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, quote_plus, urlencode, urlsplit

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

AUDIENCE = "sparkscore"
CLIENT, SECRET = "studio", "a+secret%"


def make_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


class Issuer:
    """Keys by id, and which of them is in use."""

    def __init__(self) -> None:
        self.url = ""
        self.keys = {"key-1": make_key()}
        self.foreign = make_key()
        self.current = "key-1"
        self.is_up = True
        self.fetches = 0
        self.person: dict[str, Any] = {}
        self.codes: dict[str, dict[str, str]] = {}

    def describe(self) -> dict[str, Any]:
        return {
            "issuer": self.url,
            "jwks_uri": f"{self.url}/keys",
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
        }

    def authorize(self, query: dict[str, str]) -> str:
        """Where the browser is sent back to."""
        problem = self.person.get("error")
        is_whole = (query["response_type"], query["code_challenge_method"]) == ("code", "S256")
        if query["client_id"] != CLIENT or "openid" not in query["scope"].split() or not is_whole:
            problem = "invalid_request"
        answer = {"state": query["state"]}
        if problem:
            answer |= {"error": problem, "error_description": "nobody <b>comes</b> in"}
        else:
            answer["code"] = secrets.token_urlsafe(16)
            self.codes[answer["code"]] = query
        return f"{query['redirect_uri']}?{urlencode(answer)}"

    def exchange(self, form: dict[str, str], authorization: str) -> dict[str, Any] | None:
        """The tokens for a code, None if it does not hold."""
        asked = self.codes.pop(form.get("code", ""), None)
        pair = base64.b64encode(f"{CLIENT}:{quote_plus(SECRET)}".encode()).decode()
        if asked is None or authorization != f"Basic {pair}":
            return None
        digest = hashlib.sha256(form["code_verifier"].encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        if (challenge, form["redirect_uri"]) != (asked["code_challenge"], asked["redirect_uri"]):
            return None
        own = {"aud": CLIENT, "nonce": asked["nonce"]}
        claims = {**own, **self.person.get("claims", {})}
        signed = self.sign({**self.person, "claims": claims})
        return {"id_token": signed, "access_token": "opaque", "token_type": "Bearer"}

    def publish(self) -> dict[str, Any]:
        self.fetches += 1
        return {"keys": [self._publish(key_id) for key_id in self.keys]}

    def _publish(self, key_id: str) -> dict[str, Any]:
        public = jwt.algorithms.RSAAlgorithm.to_jwk(self.keys[key_id].public_key(), as_dict=True)
        return {**public, "kid": key_id, "use": "sig"}

    def rotate(self) -> None:
        """A new key; the one before is published no more."""
        self.current = f"key-{int(self.current.removeprefix('key-')) + 1}"
        self.keys = {self.current: make_key()}

    def sign(self, asked: dict[str, Any]) -> str:
        now = int(time.time())
        claims = {
            "iss": self.url,
            "aud": AUDIENCE,
            "sub": "ada",
            "iat": now,
            "exp": now + 600,
            **asked.get("claims", {}),
        }
        claims = {name: value for name, value in claims.items() if value is not None}
        kind, algorithm = asked.get("key", "current"), asked.get("algorithm", "RS256")
        headers = {"kid": asked.get("kid", self.current)}
        if algorithm == "none":
            return jwt.encode(claims, None, algorithm="none", headers=headers)  # type: ignore[arg-type]
        if algorithm.startswith("HS"):
            return _sign_with_public_key(claims, self.keys[self.current], headers)
        key = self.foreign if kind == "foreign" else self.keys[self.current]
        return jwt.encode(claims, key, algorithm=algorithm, headers=headers)


def _sign_with_public_key(
    claims: dict[str, Any], key: rsa.RSAPrivateKey, headers: dict[str, Any]
) -> str:
    """What somebody would try who has only what is published: the public key as a password."""
    pem = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )

    def encode(part: bytes) -> str:
        return base64.urlsafe_b64encode(part).rstrip(b"=").decode()

    head = encode(json.dumps({"alg": "HS256", "typ": "JWT", **headers}).encode())
    body = encode(json.dumps(claims).encode())
    signature = hmac.new(pem, f"{head}.{body}".encode(), hashlib.sha256).digest()
    return f"{head}.{body}.{encode(signature)}"


class Handler(BaseHTTPRequestHandler):
    issuer: Issuer

    def do_GET(self) -> None:
        if not self.issuer.is_up:
            self._answer(503, {})
        elif self.path == "/.well-known/openid-configuration":
            self._answer(200, self.issuer.describe())
        elif self.path == "/keys":
            self._answer(200, self.issuer.publish())
        elif self.path.startswith("/authorize?"):
            place = self.issuer.authorize(dict(parse_qsl(urlsplit(self.path).query)))
            self.send_response(302)
            self.send_header("Location", place)
            self.send_header("Content-Length", "0")
            self.end_headers()
        else:
            self._answer(200, {"fetches": self.issuer.fetches})

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        body = self.rfile.read(length) or b"{}"
        if self.path == "/token":
            form = dict(parse_qsl(body.decode()))
            given = self.issuer.exchange(form, self.headers.get("Authorization", ""))
            self._answer(*((400, {"error": "invalid_grant"}) if given is None else (200, given)))
            return
        asked = json.loads(body)
        answer: dict[str, Any] = {}
        if self.path == "/sign":
            answer = {"token": self.issuer.sign(asked)}
        elif self.path == "/person":
            self.issuer.person = asked
        elif self.path == "/rotate":
            self.issuer.rotate()
        else:
            self.issuer.is_up = self.path == "/up"
        self._answer(200, answer)

    def _answer(self, status: int, body: dict[str, Any]) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        """Nothing."""


def main() -> None:
    issuer = Issuer()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Own", (Handler,), {"issuer": issuer}))
    issuer.url = f"http://127.0.0.1:{server.server_address[1]}"
    sys.stdout.write(f"issuer on {issuer.url}\n")
    sys.stdout.flush()
    server.serve_forever()


if __name__ == "__main__":
    main()
