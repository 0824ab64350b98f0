"""What ``[webhooks.NAME]`` in ``sparkscore.toml`` says. Control plane, pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from sparkscore.errors import InvalidFieldError, UnknownFieldError
from sparkscore.messages.status import CANCELED, COMPLETED, FAILED
from sparkscore.spec.nearest import find_closest

SECTION = "webhooks"
WEBHOOK_KEYS = ("url", "secret_variable", "statuses")
STATUSES = (COMPLETED, FAILED, CANCELED)

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True, kw_only=True)
class Webhook:
    """Who is told which ends. ``secret_variable`` names the environment variable with the secret
    that requests are signed with."""

    name: str
    url: str = field(repr=False)
    secret_variable: str
    statuses: tuple[str, ...] = STATUSES


def read_webhooks(section: Any, *, file: Path) -> tuple[Webhook, ...]:
    """The webhooks of the table ``[webhooks]``; raises UnknownFieldError or InvalidFieldError."""
    if not isinstance(section, Mapping):
        raise _refuse(file, SECTION, section, "tables, [webhooks.NAME]")
    return tuple(_read(name, values, file=file) for name, values in section.items())


def _read(name: str, values: Any, *, file: Path) -> Webhook:
    where = f"{SECTION}.{name}"
    if not _NAME.fullmatch(name):
        raise _refuse(file, SECTION, name, "called by letters, digits, - and _, 64 at most")
    if not isinstance(values, Mapping):
        raise _refuse(file, SECTION, name, f"a table, [{SECTION}.NAME], that has url")
    for key in values:
        if key not in WEBHOOK_KEYS:
            raise _unknown(file, where, key)
    url = values.get("url")
    if not isinstance(url, str) or not _is_web_address(url):
        shown = None if url is None else "this"
        raise _refuse(file, f"{where}.url", shown, "an http or https URL without credentials")
    variable = values.get("secret_variable")
    if not isinstance(variable, str) or not _VARIABLE.fullmatch(variable):
        words = "the name of an environment variable, such as PAGER_WEBHOOK_SECRET"
        raise _refuse(file, f"{where}.secret_variable", variable, words)
    statuses = values.get("statuses", list(STATUSES))
    if (
        not isinstance(statuses, list)
        or not statuses
        or any(one not in STATUSES for one in statuses)
    ):
        raise _refuse(file, f"{where}.statuses", statuses, f"a list of {', '.join(STATUSES)}")
    return Webhook(name=name, url=url, secret_variable=variable, statuses=tuple(statuses))


def _is_web_address(url: str) -> bool:
    """Whether requests can go there; who is asked for a password cannot read it from a file."""
    if not url.isascii() or not url.isprintable() or " " in url:
        return False
    try:
        parts = urlsplit(url)
        has_place = bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        return False
    return has_place and parts.scheme in ("http", "https") and parts.username is None


def _unknown(file: Path, where: str, key: str) -> UnknownFieldError:
    nearest = find_closest(key, WEBHOOK_KEYS)
    advice = f"did you mean {nearest}?" if nearest else f"known here: {', '.join(WEBHOOK_KEYS)}"
    return UnknownFieldError(
        f"{file}: unknown key {key} in [{where}]: {advice}",
        file=str(file),
        key=key,
        nearest=nearest,
    )


def _refuse(file: Path, key: str, value: Any, words: str) -> InvalidFieldError:
    found = "is missing: it" if value is None else f"is {value!r}, but"
    return InvalidFieldError(
        f"{file}: {key} {found} must be {words}", file=str(file), key=key, value=str(value)
    )
