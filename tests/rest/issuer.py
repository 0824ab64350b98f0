"""A small OpenID Connect issuer, run as a process: ``python tests/rest/issuer.py``.

It publishes its keys as issuers do, and signs what it is asked to: ``POST /sign`` with ``claims``,
and optionally ``key`` (``current``, ``old``, ``foreign``), ``algorithm``, ``kid``. ``POST /rotate``
takes a new key into use, ``POST /down`` and ``POST /up`` stop and start the publishing.
"""

from __future__ import annotations

import json
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

AUDIENCE = "sparkscore"


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

    def describe(self) -> dict[str, Any]:
        return {"issuer": self.url, "jwks_uri": f"{self.url}/keys"}

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
    import base64
    import hashlib
    import hmac

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
        else:
            self._answer(200, {"fetches": self.issuer.fetches})

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        asked = json.loads(self.rfile.read(length) or b"{}")
        answer: dict[str, Any] = {}
        if self.path == "/sign":
            answer = {"token": self.issuer.sign(asked)}
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
