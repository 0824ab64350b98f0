"""Bearer tokens of an OpenID Connect issuer: JWTs, checked with its published keys. Control plane.

Keys are kept, and asked for again when they are old or a token names a new one, so that an issuer
may rotate them at any time.
"""

from __future__ import annotations

import json
import logging
import threading
import time
import urllib.request
from collections.abc import Mapping
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit

import jwt

from sparkscore.control.access.roles import Role, get_highest, parse_role
from sparkscore.control.access.settings import ServerSettings
from sparkscore.errors import InvalidFieldError, RequestError, StateError
from sparkscore.rest.access import Principal
from sparkscore.rest.config import is_loopback

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512")
"""Signatures by a key pair only: a published key must not serve as a password."""

KEYS_SECONDS = 300.0
REFETCH_SECONDS = 5.0
_LEEWAY_SECONDS = 30
_TIMEOUT_SECONDS = 10.0
_MAX_DOCUMENT_BYTES = 1024 * 1024

_logger = logging.getLogger("sparkscore.rest")


class IssuerKeys:
    """The keys of an issuer by id; safe for threads."""

    def __init__(self, issuer: str) -> None:
        check_url(issuer, what="oidc_issuer")
        self._issuer = issuer
        self._lock = threading.Lock()
        self._keys: dict[str, Any] = {}
        self._fetched_at = float("-inf")

    def find(self, key_id: str | None) -> Any:
        """The key of this id, or the only one where a token names none; None if there is none.

        Raises StateError (ISSUER_UNREACHABLE) while there are no keys at all.
        """
        with self._lock:
            age_seconds = time.monotonic() - self._fetched_at
            found = self._choose(key_id)
            wait_seconds = KEYS_SECONDS if found is not None else REFETCH_SECONDS
            if age_seconds > wait_seconds:
                self._refresh()
                found = self._choose(key_id)
            return found

    def _choose(self, key_id: str | None) -> Any:
        if key_id is None:
            return next(iter(self._keys.values())) if len(self._keys) == 1 else None
        return self._keys.get(key_id)

    def _refresh(self) -> None:
        """Take the issuer's keys of now; while it does not answer, those of before stay."""
        self._fetched_at = time.monotonic()
        try:
            self._keys = _fetch_keys(self._issuer)
        except (URLError, OSError, ValueError, KeyError, TypeError) as error:
            _logger.warning("keys of the issuer %s cannot be fetched: %s", self._issuer, error)
            if not self._keys:
                raise StateError(
                    f"the issuer {self._issuer} gives no keys: try again later",
                    condition="ISSUER_UNREACHABLE",
                    issuer=self._issuer,
                ) from error


class OidcVerifier:
    """JWTs of the issuer in ``[server]``; a claim of theirs says the role."""

    def __init__(self, settings: ServerSettings) -> None:
        self._settings = settings
        self._keys = IssuerKeys(settings.oidc_issuer)

    def find(self, text: str) -> Principal | None:
        """Who a JWT belongs to. Raises RequestError (FORBIDDEN) if no role is mapped to it."""
        claims = self.find_claims(text, audience=self._settings.oidc_audience)
        return None if claims is None else self.get_principal(claims)

    def find_claims(self, text: str, *, audience: str) -> dict[str, Any] | None:
        """What a JWT of the issuer for ``audience`` says; None if it does not hold."""
        try:
            header = jwt.get_unverified_header(text)
            key = self._keys.find(header.get("kid"))
            if key is None:
                return None
            claims: dict[str, Any] = jwt.decode(
                text,
                key.key,
                algorithms=_get_algorithms(key),
                audience=audience,
                issuer=[self._settings.oidc_issuer, f"{self._settings.oidc_issuer}/"],
                leeway=_LEEWAY_SECONDS,
                options={"require": ["exp", "iss", "aud", "sub"]},
            )
        except (jwt.InvalidTokenError, jwt.InvalidKeyError):
            return None
        return claims

    def get_principal(self, claims: dict[str, Any]) -> Principal:
        """Whom claims name. Raises RequestError (FORBIDDEN) if no role is mapped to them."""
        return Principal(str(claims["sub"]), self._get_role(claims), "oidc")

    def _get_role(self, claims: dict[str, Any]) -> Role:
        values = claims.get(self._settings.oidc_role_claim, [])
        given = values if isinstance(values, list) else str(values).split()
        mapped = self._settings.oidc_roles
        roles = [parse_role(mapped[value]) for value in given if value in mapped]
        if not roles:
            raise RequestError(
                f"{claims['sub']} has no role here: none of the values of "
                f"{self._settings.oidc_role_claim} is in oidc_roles of [server] in sparkscore.toml",
                condition="FORBIDDEN",
            )
        return get_highest(roles)


def _get_algorithms(key: Any) -> list[str]:
    """Those that the kind of key can make; not what the token says of itself."""
    starts = {"RSA": ("RS", "PS"), "EC": ("ES",)}.get(key.key_type, ())
    return [name for name in ALGORITHMS if name.startswith(starts)] if starts else []


def fetch_description(issuer: str) -> dict[str, Any]:
    """What an issuer says of itself. Raises what opening a URL does, or ValueError."""
    described: dict[str, Any] = fetch_json(f"{issuer}/.well-known/openid-configuration")
    if str(described["issuer"]).rstrip("/") != issuer:
        raise ValueError(f"it calls itself {described['issuer']}")
    return described


def _fetch_keys(issuer: str) -> dict[str, Any]:
    described = fetch_description(issuer)
    check_url(described["jwks_uri"], what="jwks_uri")
    keys = {}
    for number, entry in enumerate(fetch_json(described["jwks_uri"])["keys"]):
        if entry.get("use", "sig") != "sig" or entry.get("kty") not in ("RSA", "EC"):
            continue
        try:
            keys[entry.get("kid", f"#{number}")] = jwt.PyJWK(entry)
        except (jwt.PyJWKError, jwt.InvalidKeyError) as error:
            _logger.warning("a key of the issuer %s cannot be read: %s", issuer, error)
    return keys


def fetch_json(
    url: str, *, form: bytes | None = None, headers: Mapping[str, str] | None = None
) -> Any:
    """The JSON that an address answers; ``form`` is sent to it. Raises URLError or ValueError."""
    sent = {"Accept": "application/json", **(headers or {})}
    request = urllib.request.Request(url, data=form, headers=sent)  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS) as answer:  # noqa: S310
            return json.loads(answer.read(_MAX_DOCUMENT_BYTES))
    except HTTPError as error:
        with error:
            raise URLError(f"{url} answers {error.code}") from None


def check_url(url: str, *, what: str) -> None:
    """Raise InvalidFieldError (INSECURE_ISSUER) for an address without TLS, but on loopback."""
    parts = urlsplit(url)
    is_local = parts.scheme == "http" and is_loopback(parts.hostname or "")
    if parts.scheme != "https" and not is_local:
        raise InvalidFieldError(
            f"{what} {url} must begin with https://: keys that anybody on the way can change prove "
            "nothing",
            condition="INSECURE_ISSUER",
            key=what,
            value=url,
        )
