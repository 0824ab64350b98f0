"""Reads S3 with what every worker has, pyarrow, where s3fs is not installed. Python worker process.

It has as much of an fsspec file system as workers need: to look at one file and to fetch it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from typing import Any

from sparkscore.errors import MissingDependencyError
from sparkscore.storage import get_scheme, open_store

_S3 = ("s3", "s3a")
_CHUNK_BYTES = 4 * 1024 * 1024
_ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
_REGIONS = ("AWS_REGION", "AWS_DEFAULT_REGION")
_STALL_SECONDS = 60.0


def open_input_store(uri: str, options: Mapping[str, str] | None = None) -> tuple[Any, str]:
    """What ``open_store`` gives; for S3 without its package a store that can only be read.

    Raises what ``open_store`` raises; a named profile needs the package.
    """
    given = dict(options or {})
    try:
        return open_store(uri, given)
    except MissingDependencyError:
        if get_scheme(uri) not in _S3 or "profile" in given:
            raise
        path = uri.partition("://")[2].rstrip("/")
        return ArrowStore(given, bucket=path.partition("/")[0]), path


class ArrowStore:
    """S3 as pyarrow sees it; ``options`` are those of a store.

    Where neither they nor the environment tell the region, AWS is asked for that of ``bucket``:
    pyarrow does not follow to another one, as s3fs does.
    """

    protocol = "s3"

    def __init__(self, options: Mapping[str, str], *, bucket: str) -> None:
        from pyarrow.fs import S3FileSystem

        arguments: dict[str, Any] = {"request_timeout": _STALL_SECONDS}
        endpoint = options.get("endpoint") or _find_variable(_ENDPOINTS)
        if endpoint:
            scheme, _, host = endpoint.rpartition("://")
            arguments.update(endpoint_override=host.rstrip("/"), scheme=scheme or "https")
        region = options.get("region") or _find_variable(_REGIONS)
        if not region and not endpoint:
            region = _find_region(bucket)
        if region:
            arguments["region"] = region
        if options.get("anonymous") == "true":
            arguments["anonymous"] = True
        self._files = S3FileSystem(**arguments)

    @property
    def region(self) -> str:
        """The region whose servers are asked."""
        return str(self._files.region)

    def info(self, path: str) -> dict[str, Any]:
        """Size and etag of a file; raises FileNotFoundError."""
        with self._files.open_input_file(path) as file:
            told = {_text(key): _text(value) for key, value in (file.metadata() or {}).items()}
            return {"size": file.size(), "ETag": told.get("ETag", "")}

    def fetch(self, source: str, target: str, *, timeout_seconds: float) -> None:
        """Copy a file here; raises TimeoutError once it has taken too long."""
        deadline = time.monotonic() + timeout_seconds
        with self._files.open_input_stream(source) as content, open(target, "wb") as file:
            while True:
                chunk = content.read(_CHUNK_BYTES)
                if not chunk:
                    return
                file.write(chunk)
                if time.monotonic() > deadline:
                    raise TimeoutError(f"it took longer than {timeout_seconds:g} s")


def _find_region(bucket: str) -> str:
    """The region of a bucket, empty where nobody tells: then the SDK has one of its own."""
    from pyarrow import fs

    try:
        return str(fs.resolve_s3_region(bucket))
    except (OSError, ValueError):
        return ""


def _find_variable(names: tuple[str, ...]) -> str:
    return next((os.environ[name] for name in names if os.environ.get(name)), "")


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
