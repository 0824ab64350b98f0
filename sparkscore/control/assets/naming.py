"""Names of assets: which may be, and which are made up. Control plane, pure."""

from __future__ import annotations

import os
import re

from sparkscore.errors import InvalidFieldError
from sparkscore.spec.types import ASSET_NAME_PATTERN
from sparkscore.storage import is_uri

_LONGEST_READABLE = 48


def check_asset_name(name: str, *, what: str) -> str:
    """The name, or version, if an asset can have it; raises InvalidFieldError."""
    if not re.match(ASSET_NAME_PATTERN, name):
        raise InvalidFieldError(
            f"{what} is {name!r}: it must be 1 to 255 letters, digits, '-', '_' and '.', "
            "beginning with a letter or digit",
            condition="INVALID_ASSET_NAME",
            key=what,
            value=name,
        )
    return name


def make_name(path: str, *, digest: str) -> str:
    """A name for what was registered without one: readable, and the digest's beginning."""
    readable = re.sub(r"[^A-Za-z0-9]+", "-", os.path.basename(path.rstrip("/"))).strip("-")
    return "-".join(filter(None, [readable[:_LONGEST_READABLE].strip("-"), digest[:12]]))


def settle_flag_path(path: str | None) -> str | None:
    """A path that was given as a flag: relative to the current folder, not to the YAML file."""
    is_elsewhere = path is None or is_uri(path) or re.match(r"(azureml|models|runs|file):", path)
    return path if path is None or is_elsewhere else os.path.abspath(os.path.expanduser(path))
