"""Opens the file system of a URI, and fetches files from it. Any process.

A file system is opened once a process for the same place, options and credentials.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from sparkscore.errors import MissingDependencyError, PlanError
from sparkscore.storage.azure import SCHEMES as AZURE_SCHEMES
from sparkscore.storage.azure import azure_arguments, is_blob_url, profile_suffix
from sparkscore.storage.public_hosts import ONLY_PUBLIC, make_client_maker
from sparkscore.storage.redaction import describe_error
from sparkscore.storage.uri import check_uri, get_scheme, is_uri

OPTIONS = ("profile", "endpoint", "anonymous", "account_name", "region")
"""The options that a place in a store may have."""

_S3, _GCS, _WEB = ("s3", "s3a"), ("gs", "gcs"), ("http", "https")
_EXTRAS = {
    **dict.fromkeys(_S3, "s3"),
    **dict.fromkeys(_GCS, "gcs"),
    **dict.fromkeys(AZURE_SCHEMES, "azure"),
}
_CREDENTIAL_PREFIXES = ("AWS_", "AZURE_", "GOOGLE_", "STORAGE_EMULATOR_HOST", "FSSPEC_")
_IN_URLS = "/:?&=~!$'()*+,;@%"
_WEB_STALL_SECONDS = 60.0

_open_stores: dict[str, Any] = {}
_lock = threading.Lock()


def open_store(uri: str, options: Mapping[str, str] | None = None) -> tuple[Any, str]:
    """The fsspec file system of ``uri`` (a local path is one too) and the path in it.

    ``options`` are those of OPTIONS. Opening asks no server as a rule: what is missing or not
    allowed shows with the first use. The path ends with no slash. Raises MissingDependencyError
    (also UNKNOWN_SCHEME), or PlanError: CREDENTIALS_IN_URI, CHAINED_URI, UNKNOWN_STORE_OPTION,
    PROFILE_NOT_FOUND, NO_STORAGE_ACCOUNT, STORE_NOT_OPENED.
    """
    given = dict(options or {})
    _check_options(given)
    if not is_uri(uri):
        return _get_filesystem("file", {"auto_mkdir": True}, uri), os.path.abspath(uri)
    check_uri(uri)
    protocol, arguments, path = _translate(uri, given)
    filesystem = _get_filesystem(protocol, arguments, uri)
    if path is None:
        path = str(filesystem._strip_protocol(uri))
    return filesystem, path.rstrip("/") or "/"


def child_path(filesystem: Any, folder: str, relative: str) -> str:
    """The path in ``filesystem`` of a file that a listing of ``folder`` names ``relative``.

    Web servers take names percent-encoded, listings show them as they are.
    """
    name = quote(relative, safe="/", errors="surrogateescape") if is_web(filesystem) else relative
    return f"{folder.rstrip('/')}/{name}"


def is_web(filesystem: Any) -> bool:
    """Whether this is plain HTTP: read only, and names are percent-encoded."""
    protocols = filesystem.protocol
    return "http" in ((protocols,) if isinstance(protocols, str) else protocols)


def fetch_file(filesystem: Any, source: str, target: str, *, timeout_seconds: float) -> None:
    """Copies one file here; raises TimeoutError after ``timeout_seconds``, where the store's
    client can be interrupted (those of S3, Azure, GCS and HTTP can)."""
    if not getattr(filesystem, "async_impl", False):
        filesystem.get_file(source, target)
        return
    import asyncio

    from fsspec.asyn import sync

    try:
        sync(filesystem.loop, filesystem._get_file, source, target, timeout=timeout_seconds)
    except asyncio.TimeoutError as error:
        raise TimeoutError(f"it took longer than {timeout_seconds:g} s") from error


def _check_options(options: Mapping[str, str]) -> None:
    unknown = sorted(set(options) - {*OPTIONS, ONLY_PUBLIC})
    if unknown:
        raise PlanError(
            f"a store has no option {unknown[0]!r}: use {', '.join(OPTIONS)}; credentials come "
            "from the environment",
            condition="UNKNOWN_STORE_OPTION",
            option=unknown[0],
        )


def _translate(uri: str, options: Mapping[str, str]) -> tuple[str, dict[str, Any], str | None]:
    """fsspec's protocol, its arguments, and the path if fsspec does not tell it itself."""
    scheme = get_scheme(uri)
    if scheme in AZURE_SCHEMES or is_blob_url(uri):
        arguments, path = azure_arguments(uri, options)
        return "abfs", arguments, path
    if scheme in _S3:
        return "s3", _s3_arguments(options), None
    if scheme in _GCS:
        return "gs", _gcs_arguments(options), None
    if scheme in _WEB:
        limits = {name: options[name] for name in (ONLY_PUBLIC,) if name in options}
        return scheme, {"encoded": True, **limits}, quote(uri, safe=_IN_URLS)
    return scheme, {}, None


def _s3_arguments(options: Mapping[str, str]) -> dict[str, Any]:
    names = {"profile": "profile", "endpoint": "endpoint_url"}
    arguments: dict[str, Any] = {new: options[old] for old, new in names.items() if old in options}
    if options.get("anonymous") == "true":
        arguments["anon"] = True
    if "region" in options:
        arguments["client_kwargs"] = {"region_name": options["region"]}
    return arguments


def _gcs_arguments(options: Mapping[str, str]) -> dict[str, Any]:
    arguments: dict[str, Any] = {}
    if "endpoint" in options:
        arguments["endpoint_url"] = options["endpoint"]
    if options.get("anonymous") == "true":
        arguments["token"] = "anon"  # noqa: S105 - gcsfs's word for none
    elif "profile" in options:
        variable = "GOOGLE_APPLICATION_CREDENTIALS" + profile_suffix(options["profile"])
        if variable not in os.environ:
            raise PlanError(
                f"the profile {options['profile']!r} has no credentials: set {variable}",
                condition="PROFILE_NOT_FOUND",
                profile=options["profile"],
            )
        arguments["token"] = os.environ[variable]
    return arguments


def _get_filesystem(protocol: str, arguments: dict[str, Any], uri: str) -> Any:
    key = _fingerprint(protocol, arguments)
    with _lock:
        if key not in _open_stores:
            _open_stores[key] = _make_filesystem(protocol, arguments, uri)
        return _open_stores[key]


def _fingerprint(protocol: str, arguments: Mapping[str, Any]) -> str:
    """What tells stores apart: also credentials, so as a digest; and the process, for forks."""
    variables = sorted(
        (name, value) for name, value in os.environ.items() if name.startswith(_CREDENTIAL_PREFIXES)
    )
    text = repr((os.getpid(), protocol, sorted(arguments.items()), variables))
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def _make_filesystem(protocol: str, arguments: dict[str, Any], uri: str) -> Any:
    try:
        kind = _get_class(protocol, arguments)
        if protocol in _WEB:
            arguments = _web_arguments(**arguments)
        elif protocol in _EXTRAS:
            arguments = {**arguments, "use_listings_cache": False}
        return kind(skip_instance_cache=True, **arguments)
    except ImportError as error:
        raise _missing_package(uri, error) from error
    except Exception as error:
        if not _is_known(protocol):
            raise _unknown_scheme(uri) from error
        raise PlanError(
            f"the store of {uri} cannot be opened: {describe_error(error)}; check the URI, the "
            "options and the credentials in the environment",
            condition="STORE_NOT_OPENED",
            uri=uri,
        ) from None  # the cause's text may hold credentials


def _get_class(protocol: str, arguments: Mapping[str, Any]) -> Any:
    if protocol == "gs" and ("endpoint_url" in arguments or "STORAGE_EMULATOR_HOST" in os.environ):
        # The default class asks Google by gRPC for the kind of bucket, which no other server has.
        from gcsfs.core import GCSFileSystem

        return GCSFileSystem
    from fsspec import get_filesystem_class

    return get_filesystem_class(protocol)


def _web_arguments(*, only_public: str | None = None, **arguments: Any) -> dict[str, Any]:
    """No time limit for a whole file, but one for a server that says nothing."""
    import aiohttp

    timeout = aiohttp.ClientTimeout(total=None, connect=None, sock_read=_WEB_STALL_SECONDS)
    limits = {} if only_public is None else {"get_client": make_client_maker(only_public)}
    return {**arguments, **limits, "client_kwargs": {"timeout": timeout}}


def _is_known(protocol: str) -> bool:
    from fsspec.registry import known_implementations, registry

    return protocol in known_implementations or protocol in registry


def _missing_package(uri: str, error: ImportError) -> MissingDependencyError:
    scheme = get_scheme(uri)
    extra = "azure" if is_blob_url(uri) else _EXTRAS.get(scheme)
    advice = f"pip install 'sparkscore[{extra}]'" if extra else str(error)
    return MissingDependencyError(
        f"{uri}: the scheme {scheme!r} needs a package that is missing; run: {advice}",
        uri=uri,
        scheme=scheme,
        extra=extra,
    )


def _unknown_scheme(uri: str) -> MissingDependencyError:
    scheme = get_scheme(uri)
    return MissingDependencyError(
        f"{uri}: no installed file system knows the scheme {scheme!r}; use a local path, s3://, "
        "abfss://, wasbs://, gs:// or https://, or install the fsspec package that provides it",
        condition="UNKNOWN_SCHEME",
        uri=uri,
        scheme=scheme,
    )
