"""Tells local paths from URIs, and names what is missing. Any process."""

from __future__ import annotations

import os
import re
from urllib.parse import unquote

from sparkscore.errors import InputNotFoundError, PlanError
from sparkscore.storage import describe_error, is_uri

_LOCAL = re.compile(r"(file|local)://(localhost(?=/))?|file:(?=/)", re.IGNORECASE)


def find_local_path(uri: str) -> str | None:
    """The absolute local path that ``uri`` names, None if it is a URI of another scheme.

    Percent escapes of a file URI count only where the path as written does not exist.
    """
    local = _LOCAL.match(uri)
    if local is None:
        return None if is_uri(uri) else os.path.abspath(uri)
    path = os.path.abspath(uri[local.end() :])
    decoded = unquote(path)
    return decoded if not os.path.lexists(path) and os.path.lexists(decoded) else path


def not_found(uri: str, *, nearest: str | None) -> InputNotFoundError:
    """The error for an input that does not exist; ``nearest`` is a parent that does."""
    hint = f"{nearest} exists, what follows it does not" if nearest else "no parent of it exists"
    return InputNotFoundError(
        f"input {uri} does not exist ({hint}): check the path", uri=uri, nearest=nearest
    )


def not_readable(uri: str, error: BaseException, *, path: str) -> PlanError:
    """The error for an input that is there, as far as one can tell, and cannot be read."""
    return PlanError(
        f"input {uri} cannot be read at {path}: {describe_error(error)}; check permissions and "
        "credentials",
        condition="INPUT_NOT_READABLE",
        uri=uri,
        path=path,
    )
