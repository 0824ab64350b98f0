"""Environments of a workspace: recorded with the content of their conda file. Control plane."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sparkscore.control.access.places import admit_file
from sparkscore.control.assets.catalog import Archived, Catalog, Check, Draft
from sparkscore.control.assets.content import hash_text
from sparkscore.control.assets.entities import Environment
from sparkscore.control.assets.naming import check_asset_name, settle_flag_path
from sparkscore.control.endpoints.precondition import NO_PRECONDITION, Precondition
from sparkscore.control.environments.documents import describe_environment
from sparkscore.control.listing_table import Table
from sparkscore.spec import EnvironmentAssetSpec, EnvironmentSpec, load_document, parse_asset

if TYPE_CHECKING:
    from sparkscore.control.workspace import Workspace
    from sparkscore.state.records import AssetRecord

_CONTENT_KEYS = ("image", "conda_file", "build", "os_type", "inference_config")
"""What an environment consists of; the rest is for people."""

_LATER_KEYS = ("requirements", "python_version", "archive", "python")
"""The same, but part of the digest only where they are given: older environments keep theirs."""


class Environments:
    """The environments of a workspace."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._catalog = Catalog(workspace, "environment")

    def create(
        self,
        source: Path | Mapping[str, Any] | None = None,
        *,
        name: str | None = None,
        version: str | None = None,
        conda_file: str | None = None,
        overrides: Sequence[str] = (),
        **others: object,
    ) -> Environment:
        """Register a version, the next number if none is given.

        ``source`` is a YAML file or its content; the rest are keys laid over it. The same version
        again with the same content is fine. Raises SpecError, UnresolvedReferenceError for a conda
        file that is not there, AlreadyExistsError (ENVIRONMENT_VERSION_EXISTS).
        """
        conda_file = settle_flag_path(conda_file)
        flags = {"name": name, "version": version, "conda_file": conda_file, **others}
        loaded = load_document(EnvironmentAssetSpec, source, overrides=overrides, flags=flags)
        document = describe_environment(loaded.spec, resolve=self._admitting(loaded.resolve))
        draft = Draft(
            name=loaded.spec.name,
            version=loaded.spec.version,
            document=document,
            digest=_digest(document),
        )
        return _read(self._catalog.register(draft))

    def register_inline(
        self, spec: EnvironmentSpec, *, resolve: Callable[[str], str], default_name: str
    ) -> Environment:
        """Register what stands in a deployment; equal content gives the equal version."""
        draft = _draft_inline(spec, resolve=self._admitting(resolve), default_name=default_name)
        return _read(self._catalog.register(draft))

    def check_inline(
        self, spec: EnvironmentSpec, *, resolve: Callable[[str], str], default_name: str
    ) -> None:
        """Raise what ``register_inline`` does for what was written; registers nothing."""
        _draft_inline(spec, resolve=self._admitting(resolve), default_name=default_name)

    def _admitting(self, resolve: Callable[[str], str]) -> Callable[[str], str]:
        """``resolve``, but for files that the workspace's callers may not name."""

        def resolve_admitted(path: str) -> str:
            resolved = resolve(path)
            admit_file(self._workspace, resolved)
            return resolved

        return resolve_admitted

    def get(
        self, name: str, version: str | None = None, *, label: str | None = None
    ) -> Environment:
        """A version, without one the latest; raises NotFoundError (ENVIRONMENT_NOT_FOUND)."""
        return _read(self._catalog.get(name, version, label=label))

    def resolve(self, reference: str) -> Environment:
        """What ``azureml:<name>:<version>`` or ``azureml:<name>@latest`` names."""
        asset = parse_asset(reference, kind="environment")
        return self.get(asset.name, asset.version, label=asset.label)

    def list(
        self, name: str | None = None, *, archived: Archived = "exclude"
    ) -> Table[Environment]:
        """All versions, newest first."""
        return Table(map(_read, self._catalog.list(name, archived=archived)))

    def archive(
        self,
        name: str,
        version: str | None = None,
        *,
        precondition: Precondition = NO_PRECONDITION,
    ) -> None:
        """Hide one version, or all, from lists and ``@latest``; references go on working."""
        check = _checking(precondition)
        self._catalog.set_archived(name, version, is_archived=True, check=check)

    def restore(
        self,
        name: str,
        version: str | None = None,
        *,
        precondition: Precondition = NO_PRECONDITION,
    ) -> None:
        """Undo ``archive``."""
        check = _checking(precondition)
        self._catalog.set_archived(name, version, is_archived=False, check=check)

    def delete(
        self,
        name: str,
        version: str | None = None,
        *,
        precondition: Precondition = NO_PRECONDITION,
    ) -> None:
        """Delete one version, or all."""
        self._catalog.delete(name, version, check=_checking(precondition))


def _draft_inline(
    spec: EnvironmentSpec, *, resolve: Callable[[str], str], default_name: str
) -> Draft:
    document = describe_environment(spec, resolve=resolve)
    digest = _digest(document)
    return Draft(
        name=check_asset_name(spec.name or default_name, what="environment.name"),
        version=check_asset_name(spec.version or digest[:12], what="environment.version"),
        document=document,
        digest=digest,
        is_generated=True,
    )


def _digest(document: Mapping[str, Any]) -> str:
    content = {key: document.get(key) for key in _CONTENT_KEYS}
    content |= {key: document[key] for key in _LATER_KEYS if key in document}
    return hash_text(json.dumps(content, sort_keys=True))


def _checking(precondition: Precondition) -> Check:
    return lambda record: precondition.check_etag("environment", record.name, _read(record).etag)


def _read(record: AssetRecord) -> Environment:
    return Environment(
        name=record.name,
        version=record.version,
        document=record.document,
        digest=record.digest,
        created_at=record.created_at,
        is_archived=record.is_archived,
        is_generated=record.is_generated,
    )
