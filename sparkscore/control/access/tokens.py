"""Bearer tokens of the server. Control plane.

A token is ``sks.<name>.<secret>``. The store keeps a digest of the secret only, so that nobody who
reads it can use it; the secret has 256 random bits, so that a plain digest is enough.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sparkscore.control.access.roles import Role, parse_role
from sparkscore.control.listing_table import Table
from sparkscore.control.times import render_time
from sparkscore.errors import InvalidFieldError
from sparkscore.state.records import TokenRecord

if TYPE_CHECKING:
    from sparkscore.control.workspace import Workspace

TOKEN_PREFIX = "sks"  # noqa: S105 - the same in all tokens
LOGIN_PREFIX = "skl"
LOGIN_SECONDS = 300
DEFAULT_EXPIRES = "90d"

_SECRET_BYTES = 32
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_TOKEN = re.compile(rf"{TOKEN_PREFIX}\.(?P<name>{_NAME.pattern})\.(?P<secret>[A-Za-z0-9_-]+)")
_LOGIN = re.compile(
    rf"{LOGIN_PREFIX}\.(?P<name>login-(?P<person>{_NAME.pattern})-[0-9a-f]{{8}})"
    r"\.(?P<secret>[A-Za-z0-9_-]+)"
)
_DURATION = re.compile(r"(?P<count>[1-9]\d{0,5})(?P<unit>[smhd])")
_UNIT_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_NO_DIGEST = hashlib.sha256(b"").hexdigest()


@dataclass(frozen=True, kw_only=True)
class Token:
    """A token as lists show it. ``secret`` is the whole token, known only when it is made."""

    name: str
    role: Role
    created_at: float
    expires_at: float | None = None
    secret: str | None = field(default=None, repr=False)

    def is_expired(self, *, at: float) -> bool:
        """Whether it opened nothing any more at this time, in seconds since the epoch."""
        return self.expires_at is not None and self.expires_at <= at

    def to_dict(self) -> dict[str, Any]:
        """What ``token list`` prints of it; ``token create`` adds the token itself."""
        shown = {
            "name": self.name,
            "role": self.role.value,
            "created_at": render_time(self.created_at),
            "expires_at": None if self.expires_at is None else render_time(self.expires_at),
            "is_expired": self.is_expired(at=time.time()),
        }
        return shown if self.secret is None else {**shown, "token": self.secret}


@dataclass(frozen=True)
class Login:
    """Whom a one-time code logs in."""

    person: str
    role: Role


class Tokens:
    """The tokens that open a workspace's server."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    def create(
        self, *, role: str, name: str | None = None, expires: str | None = DEFAULT_EXPIRES
    ) -> Token:
        """Make a token; what is returned is the only place where it stands whole.

        ``expires`` is how long it opens the server, such as ``30m``, ``12h`` or ``90d``; None and
        ``never``: until it is revoked. Raises InvalidFieldError (UNKNOWN_ROLE,
        INVALID_TOKEN_NAME, INVALID_DURATION) or AlreadyExistsError (TOKEN_EXISTS).
        """
        given = parse_role(role)
        chosen = _check_name(name) if name is not None else f"token-{secrets.token_hex(4)}"
        seconds = None if expires in (None, "never") else parse_duration(str(expires))
        secret = secrets.token_urlsafe(_SECRET_BYTES)
        now = time.time()
        record = TokenRecord(
            name=chosen,
            role=given.value,
            digest=_digest(secret),
            created_at=now,
            expires_at=None if seconds is None else now + seconds,
        )
        with self._workspace.store.writing() as writer:
            writer.delete_expired_tokens(at=now)
            writer.add_token(record)
        return _read(record, secret=f"{TOKEN_PREFIX}.{chosen}.{secret}")

    def create_login(self, person: str) -> str:
        """A code that logs ``person`` in to the pages as owner, once, within LOGIN_SECONDS.

        It is no bearer token: nothing else can be done with it.
        """
        known_as = re.sub(r"[^A-Za-z0-9_-]+", "-", person).strip("-_")[:40] or "owner"
        name = f"login-{known_as}-{secrets.token_hex(4)}"
        secret = secrets.token_urlsafe(_SECRET_BYTES)
        now = time.time()
        record = TokenRecord(
            name=name,
            role=Role.OWNER.value,
            digest=_digest_login(secret),
            created_at=now,
            expires_at=now + LOGIN_SECONDS,
        )
        with self._workspace.store.writing() as writer:
            writer.delete_expired_tokens(at=now)
            writer.add_token(record)
        return f"{LOGIN_PREFIX}.{name}.{secret}"

    def use_login(self, code: str) -> Login | None:
        """Whom a code of ``create_login`` logs in; it is used up. None if it does not hold."""
        match = _LOGIN.fullmatch(code)
        if match is None:
            return None
        with self._workspace.store.reading() as reader:
            record = reader.find_token(match["name"])
        kept = _NO_DIGEST if record is None else record.digest
        is_same = hmac.compare_digest(kept, _digest_login(match["secret"]))
        if record is None or not is_same or _read(record).is_expired(at=time.time()):
            return None
        with self._workspace.store.writing() as writer:
            is_first = writer.take_token(record)
        return Login(match["person"], Role(record.role)) if is_first else None

    def list(self) -> Table[Token]:
        """All tokens by name, without their secrets."""
        with self._workspace.store.reading() as reader:
            return Table(map(_read, reader.list_tokens()))

    def revoke(self, name: str) -> None:
        """Forget a token: it opens nothing from now on. Raises NotFoundError (TOKEN_NOT_FOUND)."""
        with self._workspace.store.writing() as writer:
            writer.delete_token(name)

    def holds(self, name: str, *, since: float) -> bool:
        """Whether the token that had this name at ``since`` (seconds since the epoch) holds."""
        with self._workspace.store.reading() as reader:
            record = reader.find_token(name)
        if record is None or record.created_at > since:
            return False
        return not _read(record).is_expired(at=time.time())

    def find(self, text: str) -> Token | None:
        """The token that a caller showed, if it is one and still holds."""
        match = _TOKEN.fullmatch(text)
        if match is None:
            return None
        with self._workspace.store.reading() as reader:
            record = reader.find_token(match["name"])
        # Names that are not there take as long as wrong secrets.
        kept = _NO_DIGEST if record is None else record.digest
        is_same = hmac.compare_digest(kept, _digest(match["secret"]))
        if record is None or not is_same:
            return None
        token = _read(record)
        return None if token.is_expired(at=time.time()) else token


def parse_duration(text: str) -> int:
    """Seconds in ``30m``, ``12h``, ``90d``; raises InvalidFieldError (INVALID_DURATION)."""
    match = _DURATION.fullmatch(text.strip())
    if match is None:
        raise InvalidFieldError(
            f"{text!r} is no duration: write a whole number and s, m, h or d, such as 12h",
            condition="INVALID_DURATION",
            value=text,
        )
    return int(match["count"]) * _UNIT_SECONDS[match["unit"]]


def _check_name(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise InvalidFieldError(
            f"name of a token {name!r}: it has up to 64 letters, digits, '-' and '_', and begins "
            "with a letter or digit",
            condition="INVALID_TOKEN_NAME",
            value=name,
        )
    return name


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _digest_login(secret: str) -> str:
    """Another one than that of a bearer token, so that neither serves as the other."""
    return _digest(f"{LOGIN_PREFIX}.{secret}")


def _read(record: TokenRecord, *, secret: str | None = None) -> Token:
    return Token(
        name=record.name,
        role=Role(record.role),
        created_at=record.created_at,
        expires_at=record.expires_at,
        secret=secret,
    )
