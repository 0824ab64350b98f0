"""What a path or URI of the user must not hold. Any process, pure."""

from __future__ import annotations

import re
from collections.abc import Iterator

from sparkscore.spec.grammar import Conflict

CREDENTIALS_IN_URI = "CREDENTIALS_IN_URI"
"""Condition of a URI with a password, key or signature in it."""

CREDENTIALS_HINT = (
    "credentials are never stored: set AZURE_STORAGE_SAS_TOKEN or AZURE_STORAGE_ACCOUNT_KEY, "
    "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or GOOGLE_APPLICATION_CREDENTIALS where jobs "
    "run, or name a `profile` of a datastore"
)

_DBFS = re.compile(r"dbfs:(//)?/+", re.IGNORECASE)
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_PASSWORD = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^/@?]*:[^/@?]*@")
_WEB_USER = re.compile(r"(https?|s3a?|gc?s)://[^/@?]*@", re.IGNORECASE)
_SECRET_PARAMETER = re.compile(
    r"[?&](sig|signature|(access_)?token|key|api_?key|secret|password|code"
    r"|x-(amz|goog)-(signature|credential|security-token)|awsaccesskeyid|googleaccessid)=",
    re.IGNORECASE,
)


def is_uri(text: str) -> bool:
    """Whether ``text`` starts with a scheme and ``://``."""
    return _URI.match(text) is not None


def to_mounted(text: str) -> str:
    """``dbfs:/...`` as the path that Databricks mounts it at; other text as it is.

    ``dbfs:/Volumes/x`` is the volume ``/Volumes/x``, any other ``dbfs:/x`` is ``/dbfs/x``.
    """
    match = _DBFS.match(text)
    if match is None:
        return text
    path = text[match.end() :]
    return f"/{path}" if path.startswith("Volumes/") else f"/dbfs/{path}"


def has_credentials(uri: str) -> bool:
    """Whether a URI holds a user's name or password, or a signed query."""
    if not is_uri(uri):
        return False
    return any(pattern.match(uri) for pattern in (_PASSWORD, _WEB_USER)) or (
        _SECRET_PARAMETER.search(uri) is not None
    )


def credentials_conflict(path: tuple[str, ...], uri: str | None) -> Iterator[Conflict]:
    """The conflict of a field whose URI holds credentials; its value is not shown."""
    if uri is not None and has_credentials(uri):
        yield Conflict(
            path,
            f"holds credentials: remove them from the URI; {CREDENTIALS_HINT}",
            condition=CREDENTIALS_IN_URI,
            is_secret=True,
        )
