"""What tells a changed file from an unchanged one. Any process."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

_ETAG_KEYS = ("ETag", "etag")
_TIME_KEYS = (
    *("mtime", "LastModified", "last_modified", "Last-Modified", "updated", "modified"),
    "created",
)


def get_etag(info: Mapping[str, Any]) -> str:
    """The store's etag of a file, else ``<size>-<mtime>`` as the store tells it."""
    etag = _find_etag(info)
    if etag:
        return etag
    modified = next((info[key] for key in _TIME_KEYS if info.get(key) is not None), "")
    if isinstance(modified, datetime):
        modified = modified.isoformat()
    return f"{info.get('size') or 0}-{modified}"


def is_same_file(info: Mapping[str, Any], etag: str) -> bool:
    """Whether a file that had ``etag`` when it was listed is the one that ``info`` tells of now.

    Without an etag of the store's own only sizes are compared: many stores tell a time in one
    form when they list and in another when they are asked for one file.
    """
    now = _find_etag(info)
    if now:
        return now == etag
    size = etag.partition("-")[0]
    return not size.isdecimal() or info.get("size") is None or int(size) == int(info["size"])


def _find_etag(info: Mapping[str, Any]) -> str:
    found = next((info[key] for key in _ETAG_KEYS if info.get(key)), "")
    return str(found).strip('"')
