"""Any reference, URI or path of a user to what fsspec opens. Control plane."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from sparkscore.control.access.places import admit, admit_file
from sparkscore.listing.location import find_local_path
from sparkscore.spec import AssetReference, DatastorePath, Location, parse_data
from sparkscore.storage import check_uri, is_uri

if TYPE_CHECKING:
    from sparkscore.control.workspace import Workspace


@dataclass(frozen=True)
class ResolvedUri:
    """A local path or URI, and the options to open it with.

    ``asset`` is the registered asset that it came from, ``type`` (uri_folder, uri_file) what is
    known of it.
    """

    uri: str
    options: dict[str, str] = field(default_factory=dict)
    asset: str | None = None
    type: str | None = None


def resolve_uri(workspace: Workspace, text: str, *, base: Path) -> ResolvedUri:
    """The place that a reference, datastore path, URI or local path names.

    ``folder:`` and ``file:`` in front give its type; relative paths start from ``base``. Looks at
    no store. Raises InvalidFieldError (INVALID_REFERENCE), NotFoundError, or PlanError
    (CREDENTIALS_IN_URI, and for a place that the workspace's callers may not name).
    """
    type_, place = parse_data(text)
    if isinstance(place, AssetReference):
        asset = workspace.data.get(place.name, place.version, label=place.label)
        found = resolve_registered(workspace, asset.path, base=base)
        return ResolvedUri(found.uri, found.options, asset.reference, asset.type)
    if isinstance(place, DatastorePath):
        found = workspace.datastores.resolve(place)
        local = find_local_path(found.uri)
        if local is not None:
            admit_file(workspace, local)  # a link may lead out of the datastore
        return ResolvedUri(found.uri, found.options, type=type_)
    uri = resolve_location(place, base=base)
    return ResolvedUri(uri, admit(workspace, uri), type=type_)


def resolve_registered(workspace: Workspace, text: str, *, base: Path) -> ResolvedUri:
    """The place of a data asset or a compute's staging folder: whoever registered it could name it.

    Raises what ``resolve_uri`` does.
    """
    _, place = parse_data(text)
    if isinstance(place, Location):
        return ResolvedUri(resolve_location(place, base=base))
    return resolve_uri(workspace, text, base=base)


def resolve_location(place: Location, *, base: Path) -> str:
    """A local path made absolute, or a URI, which may hold no credentials."""
    if is_uri(place.uri):
        check_uri(place.uri)
    local = find_local_path(place.uri)
    if local is None:
        return place.uri
    is_path = not place.uri.lower().startswith(("file:", "local:"))
    return os.path.abspath(base / os.path.expanduser(place.uri)) if is_path else local
