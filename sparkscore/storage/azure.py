"""Azure Blob Storage: account, container and credentials of a URI. Any process.

Credentials of another account than the URI's are never used. A connection string is built for
all but service principals and the machine's own identity, so that adlfs takes exactly what was
chosen here, whatever else stands in the environment.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

from sparkscore.errors import PlanError
from sparkscore.storage.uri import is_azure_host

SCHEMES = frozenset({"abfs", "abfss", "adl", "az", "wasb", "wasbs"})
_NAMES = (
    *("CONNECTION_STRING", "ACCOUNT_NAME", "ACCOUNT_KEY", "SAS_TOKEN"),
    *("CLIENT_ID", "CLIENT_SECRET", "TENANT_ID"),
)
_IDENTITY_VARIABLES = (
    *("AZURE_CLIENT_ID", "AZURE_FEDERATED_TOKEN_FILE", "IDENTITY_ENDPOINT", "MSI_ENDPOINT"),
)


def is_blob_url(uri: str) -> bool:
    """Whether an ``https://`` URI names a place in an Azure storage account."""
    parts = urlsplit(uri)
    return parts.scheme.lower() == "https" and is_azure_host(parts.netloc)


def azure_arguments(uri: str, options: Mapping[str, str]) -> tuple[dict[str, Any], str]:
    """The arguments of adlfs and the path ``container/...`` for a URI of an Azure scheme.

    Raises PlanError (PROFILE_NOT_FOUND, NO_STORAGE_ACCOUNT).
    """
    named, path = _account_and_path(uri)
    profile = options.get("profile")
    found = _read_credentials(profile)
    account = named or options.get("account_name") or _account_of(found)
    if not account:
        raise PlanError(
            f"{uri} names no storage account: write abfss://CONTAINER@ACCOUNT.dfs.core.windows.net"
            "/PATH, or set the option account_name or AZURE_STORAGE_ACCOUNT_NAME",
            condition="NO_STORAGE_ACCOUNT",
            uri=uri,
        )
    arguments = _choose(account, found, options, is_web=uri.lower().startswith("https:"))
    return {"account_name": account, **arguments}, path


def _account_and_path(uri: str) -> tuple[str, str]:
    """``account`` (empty if the URI has none) and ``container/path``."""
    scheme, _, rest = uri.partition("://")
    host, _, path = rest.partition("/")
    if scheme.lower() == "https":
        return host.partition(".")[0], unquote(path)
    container, at, server = host.rpartition("@")
    if at:
        return server.partition(".")[0], f"{container}/{path}"
    if is_azure_host(host):
        return host.partition(".")[0], path
    return "", f"{host}/{path}"


def _read_credentials(profile: str | None) -> dict[str, str]:
    suffix = "" if profile is None else profile_suffix(profile)
    found = {
        name: value for name in _NAMES if (value := os.environ.get(f"AZURE_STORAGE_{name}{suffix}"))
    }
    if profile is not None and not found:
        raise PlanError(
            f"the profile {profile!r} has no credentials: set AZURE_STORAGE_CONNECTION_STRING"
            f"{suffix}, AZURE_STORAGE_ACCOUNT_KEY{suffix}, AZURE_STORAGE_SAS_TOKEN{suffix} or "
            f"AZURE_STORAGE_CLIENT_ID{suffix} with its secret and tenant",
            condition="PROFILE_NOT_FOUND",
            profile=profile,
        )
    return found


def profile_suffix(profile: str) -> str:
    """What the names of a profile's variables end with."""
    return "_" + re.sub(r"\W", "_", profile).upper()


def _connection_settings(text: str) -> dict[str, str]:
    pairs = (part.partition("=") for part in text.split(";"))
    return {key.strip().lower(): value for key, _, value in pairs}


def _account_of(found: Mapping[str, str]) -> str:
    settings = _connection_settings(found.get("CONNECTION_STRING", ""))
    if settings.get("usedevelopmentstorage", "").lower() == "true":
        return "devstoreaccount1"
    return found.get("ACCOUNT_NAME") or settings.get("accountname", "")


def _choose(
    account: str, found: Mapping[str, str], options: Mapping[str, str], *, is_web: bool
) -> dict[str, Any]:
    endpoint = options.get("endpoint") or f"https://{account}.blob.core.windows.net"
    plain = f"BlobEndpoint={endpoint.rstrip('/')};AccountName={account}"
    if options.get("anonymous") == "true":
        return {"connection_string": plain}
    own = _account_of(found) in ("", account)
    if own and "CONNECTION_STRING" in found and "endpoint" not in options:
        return {"connection_string": found["CONNECTION_STRING"]}
    key = found.get("ACCOUNT_KEY") or _connection_settings(found.get("CONNECTION_STRING", "")).get(
        "accountkey"
    )
    if own and key:
        return {"connection_string": f"{plain};AccountKey={key}"}
    if own and "SAS_TOKEN" in found:
        token = found["SAS_TOKEN"].lstrip("?")
        return {"connection_string": f"{plain};SharedAccessSignature={token}"}
    if "CLIENT_ID" in found:
        names = ("client_id", "client_secret", "tenant_id")
        return {"anon": False, **{name: found.get(name.upper()) for name in names}}
    if (is_web or "endpoint" in options) and not any(map(os.environ.get, _IDENTITY_VARIABLES)):
        return {"connection_string": plain}
    return {"anon": False}
