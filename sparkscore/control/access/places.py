"""Which places callers of the server may name. Control plane.

Whoever uses the command line has the rights of their account on this machine, so that any place
goes. Callers of the server get the server's rights only where they shall: registered datastores,
cloud stores, and web servers of the public internet.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from sparkscore.errors import PlanError
from sparkscore.listing.location import find_local_path
from sparkscore.storage import ONLY_PUBLIC, check_public, get_scheme, is_azure_host, is_uri

if TYPE_CHECKING:
    from sparkscore.control.workspace import Workspace

_AZURE = frozenset({"abfs", "abfss", "az", "wasb", "wasbs"})
_BUCKETS = frozenset({"s3", "s3a", "gs", "gcs"})
_WEB = frozenset({"http", "https"})


class PlacePolicy:
    """``allowed_hosts``: names, addresses and networks that need not be public."""

    def __init__(self, allowed_hosts: Iterable[str] = ()) -> None:
        self.allowed_hosts = tuple(allowed_hosts)

    def admit(self, workspace: Workspace, uri: str) -> dict[str, str]:
        """The options with which a place that a caller named is to be opened.

        Raises PlanError: LOCAL_PATH_NOT_ALLOWED, SCHEME_NOT_ALLOWED, HOST_NOT_ALLOWED.
        """
        path = find_local_path(uri)
        if path is not None:
            _check_local(workspace, path)
            return {}
        scheme = get_scheme(uri)
        if scheme in _BUCKETS:
            return {}
        if scheme not in _AZURE | _WEB:
            raise PlanError(
                f"{uri}: the server opens no {scheme}://: use a registered datastore, https://, "
                "abfss://, wasbs://, s3:// or gs://",
                condition="SCHEME_NOT_ALLOWED",
                uri=uri,
                scheme=scheme,
            )
        host = _get_host(uri)
        if not (scheme in _AZURE and (is_azure_host(host) or "." not in host)):
            check_public(host, self.allowed_hosts, uri=uri)
        return {ONLY_PUBLIC: ",".join(self.allowed_hosts)} if scheme in _WEB else {}

    def admit_endpoint(self, endpoint: str) -> None:
        """Raise PlanError (HOST_NOT_ALLOWED) for a store's address that is not public."""
        uri = endpoint if is_uri(endpoint) else f"https://{endpoint}"
        check_public(_get_host(uri), self.allowed_hosts, uri=endpoint)


def admit(workspace: Workspace, uri: str) -> dict[str, str]:
    """As ``PlacePolicy.admit`` where the workspace has a policy; else anything goes."""
    return {} if workspace.places is None else workspace.places.admit(workspace, uri)


def admit_file(workspace: Workspace, path: Path | str) -> None:
    """Refuse a path of this machine that a caller of the server named; see ``admit``."""
    if workspace.places is not None:
        _check_local(workspace, str(path))


def _check_local(workspace: Workspace, path: str) -> None:
    try:
        real = os.path.realpath(path)
    except ValueError as error:  # NUL, or half a character
        raise PlanError(
            f"{path!r} is no path: {error}", condition="LOCAL_PATH_NOT_ALLOWED", path=repr(path)
        ) from error
    for datastore in workspace.datastores.list(archived="include"):
        root = find_local_path(datastore.uri)
        if root is not None and _is_below(real, os.path.realpath(root)):
            return
    raise PlanError(
        f"{path} is on the server's machine and in none of its datastores: name a datastore path "
        "(azureml://datastores/NAME/paths/PATH), upload the files, or give a URI",
        condition="LOCAL_PATH_NOT_ALLOWED",
        path=path,
    )


def _is_below(path: str, root: str) -> bool:
    return path == root or path.startswith(root.rstrip(os.sep) + os.sep)


def _get_host(uri: str) -> str:
    """The host of a URI, without a user, a container or a port."""
    try:
        return urlsplit(uri).hostname or ""
    except ValueError as error:
        raise PlanError(f"{uri} has no host: {error}", condition="HOST_NOT_ALLOWED") from error
