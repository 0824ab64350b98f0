"""Ids of resources: how this server names them, and what those in requests name. Control plane."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

PROVIDER = "Microsoft.MachineLearningServices"
SHORT_PREFIX = "/workspaces/{workspace}"
LONG_PREFIX = (
    "/subscriptions/{subscription}/resourceGroups/{group}/providers/" + PROVIDER + SHORT_PREFIX
)

_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,254}"
_START = r"/?(?:subscriptions/.+?/)?workspaces/[^/]+/"
_ASSET = re.compile(
    rf"{_START}(codes|models|environments|data|datasets)/(?P<name>{_NAME})"
    rf"/(?:versions/(?P<version>{_NAME})|labels/(?P<label>{_NAME}))/?",
    re.IGNORECASE,
)
_BARE = re.compile(
    rf"{_START}(?P<kind>computes|datastores|jobs)/(?P<name>{_NAME})/?", re.IGNORECASE
)
_IN_DATASTORE = re.compile(
    rf"{_START}(?P<place>datastores/{_NAME}(?:/paths(?:/.*)?)?)", re.IGNORECASE | re.DOTALL
)


def read_asset_id(text: str) -> str:
    """``azureml:<name>:<version>`` for the path of a model, an environment, data or code.

    Anything else comes back as it is.
    """
    match = _ASSET.fullmatch(text)
    if match is None:
        return _read_datastore_path(text)
    name, version, label = match["name"], match["version"], match["label"]
    return f"azureml:{name}@{label}" if version is None else f"azureml:{name}:{version}"


def read_bare_id(text: str) -> str:
    """The name in the path of a compute or datastore, or in ``azureml:<name>``."""
    match = _BARE.fullmatch(text)
    return text.removeprefix("azureml:") if match is None else match["name"]


def _read_datastore_path(text: str) -> str:
    match = _IN_DATASTORE.fullmatch(text)
    return text if match is None else f"azureml://{match['place']}"


@dataclass(frozen=True)
class Place:
    """Where a request came in: ``server`` is its URL without a slash, ``prefix`` the workspace's
    path, in the long form if the request used that."""

    server: str
    prefix: str
    is_long: bool = False

    def id(self, *parts: str) -> str:
        """The path of a resource."""
        return "/".join((self.prefix, *parts))

    def url(self, *parts: str) -> str:
        """Its address."""
        return f"{self.server}{self.id(*parts)}"

    def asset_id(self, kind: str, reference: Any) -> Any:
        """The path of ``azureml:<name>:<version>``; anything else as it is."""
        if not isinstance(reference, str) or not reference.startswith("azureml:"):
            return reference
        name, _, version = reference.removeprefix("azureml:").partition(":")
        return self.id(kind, name, "versions", version) if version else reference

    def compute_id(self, reference: str) -> str:
        """The path of ``azureml:<compute>``; a Spark master or ``local[2]`` as it is."""
        if reference.startswith("azureml:"):
            return self.id("computes", reference.removeprefix("azureml:"))
        return reference
