"""Links that log the person who runs a command in to the pages of a server. Control plane."""

from __future__ import annotations

import getpass
import urllib.request
from typing import TYPE_CHECKING
from urllib.error import HTTPError
from urllib.parse import urlencode

if TYPE_CHECKING:
    from sparkscore.control.workspace import Workspace

_TIMEOUT_SECONDS = 3.0


def make_login_link(workspace: Workspace, server_url: str, *, place: str = "/") -> str:
    """The address that logs in once, within five minutes, and leads to a page of Studio.

    Whoever can write to the workspace's store is its owner, and so is the link's user.
    """
    query = {"code": workspace.tokens.create_login(_get_person())}
    if place != "/":
        query["next"] = place
    return f"{server_url.rstrip('/')}/studio/login?{urlencode(query)}"


def is_answering(server_url: str) -> bool:
    """Whether a server of ours answers there."""
    address = f"{server_url.rstrip('/')}/healthz"
    try:
        with urllib.request.urlopen(address, timeout=_TIMEOUT_SECONDS) as answer:  # noqa: S310
            return b'"ok"' in bytes(answer.read(1000))
    except HTTPError as error:
        error.close()
        return False
    except (OSError, ValueError):
        return False


def _get_person() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "owner"
