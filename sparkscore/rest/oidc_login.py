"""Logs people in at an OpenID Connect issuer: authorization code flow with PKCE. Control plane.

The browser goes to the issuer and comes back with a code; this server exchanges it for an ID token
and checks that as it checks bearer tokens. What belongs to a login that has begun stays in memory,
found by an id that only that browser has.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import logging
import os
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.error import URLError
from urllib.parse import quote_plus, urlencode, urlsplit

from sparkscore.control.access.settings import ServerSettings
from sparkscore.errors import RequestError, StateError
from sparkscore.rest.access import Principal
from sparkscore.rest.oidc import OidcVerifier, check_url, fetch_description, fetch_json

SECRET_VARIABLE = "SPARKSCORE_OIDC_CLIENT_SECRET"  # noqa: S105 - the name of one
LOGIN_SECONDS = 600.0
_MAX_LOGINS = 10_000
_logger = logging.getLogger("sparkscore.rest")


@dataclass(frozen=True)
class PendingLogin:
    """A login that has begun. ``place`` is the page that it leads to."""

    place: str
    redirect_uri: str
    ends_at: float
    id: str = field(default_factory=lambda: secrets.token_urlsafe(32))
    state: str = field(default_factory=lambda: secrets.token_urlsafe(32))
    nonce: str = field(default_factory=lambda: secrets.token_urlsafe(32))
    verifier: str = field(default_factory=lambda: secrets.token_urlsafe(48))


class OidcLogin:
    """Begins and ends logins; safe for threads. ``clock`` gives seconds."""

    def __init__(
        self,
        settings: ServerSettings,
        verifier: OidcVerifier,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings, self._verifier, self._clock = settings, verifier, clock
        self._lock = threading.Lock()
        self._pending: OrderedDict[str, PendingLogin] = OrderedDict()

    def begin(self, *, place: str, redirect_uri: str) -> tuple[PendingLogin, str]:
        """A new login, and the issuer's address for it.

        Raises StateError (ISSUER_UNREACHABLE) or InvalidFieldError (INSECURE_ISSUER).
        """
        address = str(self._describe()["authorization_endpoint"])
        check_url(address, what="authorization_endpoint")
        begun = PendingLogin(place, redirect_uri, ends_at=self._clock() + LOGIN_SECONDS)
        with self._lock:
            self._pending[begun.id] = begun
            while len(self._pending) > _MAX_LOGINS:
                self._pending.popitem(last=False)
        digest = hashlib.sha256(begun.verifier.encode()).digest()
        query = {
            "response_type": "code",
            "client_id": self._settings.oidc_client_id,
            "redirect_uri": redirect_uri,
            "scope": self._settings.oidc_scope,
            "state": begun.state,
            "nonce": begun.nonce,
            "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
            "code_challenge_method": "S256",
        }
        joint = "&" if urlsplit(address).query else "?"
        return begun, f"{address}{joint}{urlencode(query)}"

    def take(self, login_id: str | None, state: str) -> PendingLogin | None:
        """The login that a browser comes back to, once; None for one that it did not begin."""
        with self._lock:
            begun = self._pending.pop(login_id or "", None)
        if begun is None or begun.ends_at <= self._clock():
            return None
        return begun if hmac.compare_digest(begun.state.encode(), state.encode()) else None

    def finish(self, begun: PendingLogin, code: str) -> Principal:
        """Whom the issuer's code names.

        Raises RequestError: UNAUTHENTICATED, or FORBIDDEN if no role is mapped to the person;
        StateError (ISSUER_UNREACHABLE).
        """
        client = self._settings.oidc_client_id
        claims = self._verifier.find_claims(self._exchange(begun, code), audience=client)
        if claims is None or not _belongs(claims, begun, client):
            raise _refused("the issuer's ID token does not hold")
        return self._verifier.get_principal(claims)

    def _describe(self) -> dict[str, Any]:
        try:
            described = fetch_description(self._settings.oidc_issuer)
            return {
                "authorization_endpoint": described["authorization_endpoint"],
                "token_endpoint": described["token_endpoint"],
                "methods": described.get("token_endpoint_auth_methods_supported"),
            }
        except (URLError, OSError, ValueError, KeyError, TypeError) as error:
            raise self._unreachable(error) from error

    def _exchange(self, begun: PendingLogin, code: str) -> str:
        """The ID token for a code."""
        described = self._describe()
        check_url(str(described["token_endpoint"]), what="token_endpoint")
        client, secret = self._settings.oidc_client_id, os.environ.get(SECRET_VARIABLE, "")
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": begun.redirect_uri,
            "code_verifier": begun.verifier,
            "client_id": client,
        }
        headers = {}
        if secret and "client_secret_basic" in (described["methods"] or ["client_secret_basic"]):
            pair = f"{quote_plus(client)}:{quote_plus(secret)}"
            headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
        elif secret:
            form["client_secret"] = secret
        try:
            answer = fetch_json(
                str(described["token_endpoint"]), form=urlencode(form).encode(), headers=headers
            )
            return str(answer["id_token"])
        except (URLError, OSError, ValueError, KeyError, TypeError) as error:
            _logger.warning("the issuer gives no token for a code: %s", error)
            raise _refused("the issuer gives no ID token for this login") from error

    def _unreachable(self, error: Exception) -> StateError:
        return StateError(
            f"the issuer {self._settings.oidc_issuer} does not say how to log in: {error}",
            condition="ISSUER_UNREACHABLE",
            issuer=self._settings.oidc_issuer,
        )


def _belongs(claims: dict[str, Any], begun: PendingLogin, client: str) -> bool:
    """Whether an ID token was made for this login, and for this client alone."""
    nonce = str(claims.get("nonce", ""))
    is_own = hmac.compare_digest(nonce.encode(), begun.nonce.encode())
    audience = claims["aud"]
    is_shared = isinstance(audience, list) and len(audience) > 1
    party = claims.get("azp")
    return is_own and (party == client if is_shared or party is not None else True)


def _refused(reason: str) -> RequestError:
    return RequestError(f"{reason}: log in again", condition="UNAUTHENTICATED")
