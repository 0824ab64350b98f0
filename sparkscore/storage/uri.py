"""What a URI of a store may look like. Any process."""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, urlsplit, urlunsplit

from sparkscore.errors import PlanError

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_IN_BRACKETS = re.compile(r"\[[^\]/]*\]")
_PASSWORD = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*://)[^/@:\[]*:(?!\d+(?:/|$))[^@]*@")
"""A user's name with a password, which may hold slashes; ``host:8080/`` is none."""

_SECRET_KEYS = frozenset(
    {
        *("sig", "signature", "x-amz-signature", "x-amz-credential", "x-amz-security-token"),
        *("x-goog-signature", "x-goog-credential", "awsaccesskeyid", "googleaccessid"),
        *("token", "access_token", "password", "secret", "key", "api_key", "apikey", "code"),
    }
)
_AZURE = "AZURE_STORAGE_SAS_TOKEN"
_AWS = "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
_VARIABLES = {
    **dict.fromkeys(("abfs", "abfss", "adl", "az", "wasb", "wasbs"), _AZURE),
    **dict.fromkeys(("gs", "gcs"), "GOOGLE_APPLICATION_CREDENTIALS"),
    **dict.fromkeys(("s3", "s3a"), _AWS),
}
_AZURE_HOSTS = (".blob.core.windows.net", ".dfs.core.windows.net")
_USER_SCHEMES = frozenset({"abfs", "abfss", "az", "wasb", "wasbs", "ftp", "sftp", "ssh", "smb"})
"""Schemes in which ``name@host`` is no secret."""


def is_uri(text: str) -> bool:
    """Whether ``text`` is a URI with a scheme, and not a path."""
    return _SCHEME.match(text) is not None


def is_below(name: str) -> bool:
    """Whether a relative name, as a store's listing gives it, stays below its folder.

    Stores take any text for a name: ``/etc/x``, ``./a`` and ``../a`` among them.
    """
    return "\0" not in name and all(part not in ("", ".", "..") for part in name.split("/"))


def get_scheme(uri: str) -> str:
    """The scheme of a URI, in lower case."""
    return uri.partition("://")[0].lower()


def is_azure_host(host: str) -> bool:
    """Whether ``host`` is that of an Azure storage account."""
    return host.lower().endswith(_AZURE_HOSTS)


def join_uri(uri: str, name: str) -> str:
    """The URI of ``name`` (may be empty) in the folder ``uri``."""
    return f"{uri.rstrip('/')}/{name}" if name else uri


def check_uri(uri: str) -> None:
    """Refuses what no URI of sparkscore may hold.

    Raises PlanError: CREDENTIALS_IN_URI (the message shows the URI without them), CHAINED_URI.
    """
    parts = _split(uri)
    keys = {key.lower() for key, _ in parse_qsl(parts.query, keep_blank_values=True)}
    has_user = "@" in parts.netloc and get_scheme(uri) not in _USER_SCHEMES
    if has_user or _PASSWORD.match(uri) or keys & _SECRET_KEYS:
        raise _credentials_in(uri)
    if "::" in _IN_BRACKETS.sub("", uri):
        raise PlanError(
            f"{uri} chains file systems with '::': name the files where they lie",
            condition="CHAINED_URI",
            uri=uri,
        )


def strip_credentials(uri: str) -> str:
    """The URI without query and without a user's name and password."""
    parts = _split(_PASSWORD.sub(r"\1", uri))
    host = parts.netloc
    if get_scheme(uri) not in _USER_SCHEMES:
        host = host.rpartition("@")[2]
    return urlunsplit((parts.scheme, host, parts.path, "", ""))


def _split(uri: str) -> _SplitUri:
    """``urlsplit``, but for hosts that it refuses (``[`` in a bucket's name)."""
    try:
        parts = urlsplit(uri)
        return _SplitUri(parts.scheme, parts.netloc, parts.path, parts.query)
    except ValueError:
        scheme, _, rest = uri.partition("://")
        rest, _, query = rest.partition("?")
        host, slash, path = rest.partition("/")
        return _SplitUri(scheme, host, slash + path, query)


class _SplitUri:
    def __init__(self, scheme: str, netloc: str, path: str, query: str) -> None:
        self.scheme, self.netloc, self.path, self.query = scheme, netloc, path, query


def _credentials_in(uri: str) -> PlanError:
    scheme = get_scheme(uri)
    variable = _VARIABLES.get(scheme)
    if variable is None:
        host = _split(uri).netloc.rpartition("@")[2]
        variable = _AZURE if is_azure_host(host) else "the environment or a named profile"
        if ".amazonaws.com" in host:
            variable = _AWS
    shown = strip_credentials(uri)
    return PlanError(
        f"{shown} was given with credentials in it, which would be stored and shown: give the URI "
        f"without them and set {variable} instead",
        condition="CREDENTIALS_IN_URI",
        uri=shown,
        variable=variable,
    )
