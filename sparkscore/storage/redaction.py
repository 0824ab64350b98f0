"""Keeps credentials out of what is shown. Any process."""

from __future__ import annotations

import os
import re

_SECRET_NAMES = re.compile(
    r"^(AWS_SECRET_ACCESS_KEY|AWS_SESSION_TOKEN"
    r"|AZURE_STORAGE_(ACCOUNT_KEY|SAS_TOKEN|CONNECTION_STRING|CLIENT_SECRET)(_\w+)?"
    r"|AZURE_CLIENT_SECRET)$"
)
_IN_TEXT = re.compile(
    r"((?:\b|[?&])(?:sig|signature|x-amz-signature|x-amz-credential|x-amz-security-token"
    r"|x-goog-signature|x-goog-credential|accountkey|sharedaccesssignature|access_token|token)"
    r"\s*=\s*)[^&;\s'\"<>)]+",
    re.IGNORECASE,
)
_USER_INFO = re.compile(r"(?<=://)[^/\s@:\[]*:(?!\d+/)[^\s@]*@")
_SHORTEST_SECRET = 8
HIDDEN = "***"


def redact(text: str) -> str:
    """``text`` without signatures, keys, passwords and values of secret variables."""
    for name, value in os.environ.items():
        if _SECRET_NAMES.match(name) and len(value) >= _SHORTEST_SECRET:
            text = text.replace(value, HIDDEN)
    return _USER_INFO.sub(f"{HIDDEN}@", _IN_TEXT.sub(rf"\1{HIDDEN}", text))


def describe_error(error: BaseException) -> str:
    """What an error of a store says, in one line and without credentials."""
    reason = getattr(error, "strerror", None) or f"{type(error).__name__}: {error}"
    return redact(" ".join(str(reason).split()))[:500]
