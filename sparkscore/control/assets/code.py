"""Code of deployments: copies of folders, named by their content. Control plane."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from sparkscore.control.assets.catalog import Catalog, Draft
from sparkscore.control.assets.content import read_content, rename_once, unfinished_folder
from sparkscore.control.assets.entities import CodeAsset
from sparkscore.control.snapshot import copy_code
from sparkscore.errors import UnresolvedReferenceError
from sparkscore.spec import parse_asset

if TYPE_CHECKING:
    from sparkscore.control.workspace import Workspace
    from sparkscore.state.records import AssetRecord

_FOLDER = "code-assets"
_VERSION = "1"


class CodeAssets:
    """The code folders that deployments of a workspace run."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._catalog = Catalog(workspace, "code")

    def register(self, folder: Path) -> CodeAsset:
        """Copy a folder's code, hidden names left out, below ``<workspace>/code-assets/<digest>``.

        Equal content is kept once. The copy appears whole or not at all.
        """
        if not os.path.isdir(folder):
            raise UnresolvedReferenceError(
                f"code folder {folder} does not exist: correct code_configuration.code",
                condition="CODE_NOT_FOUND",
                path=str(folder),
            )
        kept = self._workspace.folder / _FOLDER
        with unfinished_folder(kept) as unfinished:
            copy = unfinished / "copy"
            copy_code(folder, copy, excluded=(self._workspace.folder,))
            digest = read_content(copy).digest
            rename_once(copy, kept / digest)
        draft = Draft(
            name=f"code-{digest[:16]}",
            version=_VERSION,
            document={},
            digest=digest,
            path=str(kept / digest),
            is_generated=True,
        )
        return self._read(self._catalog.register(draft))

    def get(self, name: str, version: str | None = None, *, label: str | None = None) -> CodeAsset:
        """A registered copy; raises NotFoundError (CODE_NOT_FOUND)."""
        return self._read(self._catalog.get(name, version, label=label))

    def resolve(self, reference: str) -> CodeAsset:
        """The copy that ``azureml:<name>:<version>`` names."""
        asset = parse_asset(reference, kind="code")
        return self.get(asset.name, asset.version, label=asset.label)

    def _read(self, record: AssetRecord) -> CodeAsset:
        return CodeAsset(
            name=record.name,
            version=record.version,
            path=self._workspace.folder / _FOLDER / record.digest,
            digest=record.digest,
            created_at=record.created_at,
        )
