"""Code of deployments: copies of folders, kept by their content. Control plane."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sparkscore.control.assets.catalog import Catalog, Draft
from sparkscore.control.assets.content import read_content, rename_once, unfinished_folder
from sparkscore.control.assets.entities import CodeAsset
from sparkscore.control.assets.naming import check_asset_name
from sparkscore.control.assets.remote_content import fetch, read_listing
from sparkscore.control.assets.resolve import resolve_uri
from sparkscore.control.listing_table import Table
from sparkscore.control.snapshot import copy_code
from sparkscore.errors import UnresolvedReferenceError
from sparkscore.listing.location import find_local_path
from sparkscore.spec import parse_asset

if TYPE_CHECKING:
    from sparkscore.control.workspace import Workspace
    from sparkscore.state.records import AssetRecord

_FOLDER = "code-assets"
_VERSION = "1"


@dataclass(frozen=True, kw_only=True)
class _Name:
    """What a copy is called; None: it is generated from the content."""

    name: str | None = None
    version: str | None = None
    about: Mapping[str, Any] = field(default_factory=dict)


class CodeAssets:
    """The code folders that deployments of a workspace run."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._catalog = Catalog(workspace, "code")

    def create(
        self,
        path: str,
        *,
        name: str | None = None,
        version: str | None = None,
        description: str | None = None,
        tags: Mapping[str, str] | None = None,
        properties: Mapping[str, str] | None = None,
    ) -> CodeAsset:
        """Copy a folder under a name, with the next number if no version is given.

        Without a name it is called after its content, and equal content is kept once.
        ``path`` is a local path, a datastore path or a URI. Hidden names are left out. The same
        version again with the same content is fine. Raises InvalidFieldError,
        UnresolvedReferenceError (CODE_NOT_FOUND, CODE_NOT_FETCHED), AlreadyExistsError
        (CODE_VERSION_EXISTS).
        """
        about = {
            "description": description,
            "tags": dict(tags or {}),
            "properties": dict(properties or {}),
        }
        if name is not None:
            check_asset_name(name, what="name")
        if version is not None:
            check_asset_name(version, what="version")
        named = _Name(name=name, version=version, about=about)
        place = resolve_uri(self._workspace, path, base=Path.cwd())
        local = find_local_path(place.uri)
        if local is not None:
            return self._register(Path(local), named)
        listing = read_listing(place.uri, place.options, what="code")
        if not listing.is_folder:
            raise _no_folder(place.uri)
        with unfinished_folder(self._workspace.folder / _FOLDER) as unfinished:
            return self._register(fetch(listing, unfinished), named)

    def register(self, folder: Path) -> CodeAsset:
        """Copy a folder's code, hidden names left out, below ``<workspace>/code-assets/<digest>``.

        Equal content is kept once. The copy appears whole or not at all.
        """
        return self._register(folder, _Name())

    def get(self, name: str, version: str | None = None, *, label: str | None = None) -> CodeAsset:
        """A registered copy; raises NotFoundError (CODE_NOT_FOUND)."""
        return self._read(self._catalog.get(name, version, label=label))

    def list(self, name: str | None = None) -> Table[CodeAsset]:
        """All copies, the newest first; raises NotFoundError for a name that has none."""
        return Table(map(self._read, self._catalog.list(name)))

    def resolve(self, reference: str) -> CodeAsset:
        """The copy that ``azureml:<name>:<version>`` names."""
        asset = parse_asset(reference, kind="code")
        return self.get(asset.name, asset.version, label=asset.label)

    def _register(self, folder: Path, named: _Name) -> CodeAsset:
        if not os.path.isdir(folder):
            raise _no_folder(str(folder))
        kept = self._workspace.folder / _FOLDER
        with unfinished_folder(kept) as unfinished:
            copy = unfinished / "copy"
            copy_code(folder, copy, excluded=(self._workspace.folder,))
            digest = read_content(copy).digest
            rename_once(copy, kept / digest)
        draft = Draft(
            name=named.name or f"code-{digest[:16]}",
            version=named.version if named.name else _VERSION,
            document=dict(named.about),
            digest=digest,
            path=str(kept / digest),
            is_generated=named.name is None,
        )
        return self._read(self._catalog.register(draft))

    def _read(self, record: AssetRecord) -> CodeAsset:
        document = record.document
        return CodeAsset(
            name=record.name,
            version=record.version,
            path=self._workspace.folder / _FOLDER / record.digest,
            digest=record.digest,
            created_at=record.created_at,
            description=document.get("description"),
            tags=document.get("tags", {}),
            properties=document.get("properties", {}),
        )


def _no_folder(path: str) -> UnresolvedReferenceError:
    return UnresolvedReferenceError(
        f"code folder {path} does not exist: correct code_configuration.code",
        condition="CODE_NOT_FOUND",
        path=path,
    )
