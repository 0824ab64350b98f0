"""Versions of one kind of asset in the store: registered once, never changed. Control plane."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from sparkscore.errors import AlreadyExistsError, NotFoundError
from sparkscore.spec.nearest import find_closest
from sparkscore.state.records import AssetKind, AssetRecord

if TYPE_CHECKING:
    from sparkscore.control.workspace import Workspace

Archived = Literal["exclude", "include", "only"]
LATEST = "latest"


@dataclass(frozen=True, kw_only=True)
class Draft:
    """What is to be registered; without a version it gets the next number."""

    name: str
    version: str | None
    document: dict[str, Any]
    digest: str
    path: str = ""
    is_generated: bool = False


Check = Callable[[AssetRecord], None]


def _accept(record: AssetRecord) -> None:
    del record


class Catalog:
    """The environments, data or code of a workspace."""

    def __init__(self, workspace: Workspace, kind: AssetKind) -> None:
        self._workspace = workspace
        self._kind = kind

    def register(self, draft: Draft) -> AssetRecord:
        """Add a version; one that is there with the same content stays as it is.

        Raises AlreadyExistsError (``<KIND>_VERSION_EXISTS``) for one with other content.
        """
        with self._workspace.store.writing() as writer:
            version = draft.version
            if version is None:
                known = writer.list_assets(self._kind, draft.name, archived="include")
                version = next_version(record.version for record in known)
            found = writer.find_asset(self._kind, draft.name, version)
            if found is not None:
                check_same(self._kind, draft.name, version, found.digest == draft.digest)
                return found
            return writer.put_asset(
                AssetRecord(
                    kind=self._kind,
                    name=draft.name,
                    version=version,
                    document=draft.document,
                    digest=draft.digest,
                    path=draft.path,
                    is_generated=draft.is_generated,
                    created_at=time.time(),
                )
            )

    def get(
        self, name: str, version: str | None = None, *, label: str | None = None
    ) -> AssetRecord:
        """A version; without one the latest that is not archived.

        Raises NotFoundError with the closest name, or the newest version in ``closest``.
        """
        check_label(self._kind, name, label)
        with self._workspace.store.reading() as reader:
            if version is not None:
                return reader.get_asset(self._kind, name, version)
            return reader.get_latest_asset(self._kind, name)

    def list(self, name: str | None = None, *, archived: Archived = "exclude") -> list[AssetRecord]:
        """All versions, newest first; of one name if given. Raises NotFoundError for that."""
        with self._workspace.store.reading() as reader:
            found = reader.list_assets(self._kind, name, archived=archived)
            if name is not None and not found:
                self._list_versions(reader, name, None)
            return found

    def set_archived(
        self, name: str, version: str | None, *, is_archived: bool, check: Check = _accept
    ) -> None:
        """Archive or restore one version, or all of a name, unless ``check`` refuses one."""
        with self._workspace.store.writing() as writer:
            for record in self._list_versions(writer, name, version):
                check(record)
                writer.put_asset(replace(record, is_archived=is_archived))

    def delete(self, name: str, version: str | None, *, check: Check = _accept) -> None:
        """Delete one version, or all of a name, unless ``check`` refuses one."""
        with self._workspace.store.writing() as writer:
            for record in self._list_versions(writer, name, version):
                check(record)
                writer.delete_asset(self._kind, name, record.version)

    def _list_versions(self, reader: Any, name: str, version: str | None) -> Iterable[AssetRecord]:
        if version is not None:
            return [reader.get_asset(self._kind, name, version)]
        found: list[AssetRecord] = reader.list_assets(self._kind, name, archived="include")
        if not found:
            reader.get_latest_asset(self._kind, name)  # raises what there is to say
        return found


def next_version(known: Iterable[str]) -> str:
    """The number after the highest among versions, ``1`` if none is a number."""
    numbers = [int(version) for version in known if version.isascii() and version.isdigit()]
    return str(max(numbers, default=0) + 1)


def check_same(kind: str, name: str, version: str, is_same: bool) -> None:
    """Raise AlreadyExistsError unless what is registered is what was to be."""
    if not is_same:
        raise AlreadyExistsError(
            f"{kind} {name} version {version} is registered with other content, and a version "
            "never changes: give another version, or none for the next number",
            condition=f"{kind.upper()}_VERSION_EXISTS",
            name=name,
            version=version,
        )


def check_label(kind: str, name: str, label: str | None) -> None:
    """Raise NotFoundError for a label that is not ``latest``."""
    if label is not None and label != LATEST:
        raise NotFoundError(
            f"{kind} {name} has no label {label!r}: the only one is {LATEST}",
            condition="LABEL_NOT_FOUND",
            name=name,
            label=label,
            closest=LATEST,
        )


def asset_not_found(
    kind: str, name: str, version: str | None, *, names: Iterable[str], versions: Iterable[str]
) -> NotFoundError:
    """The error for a name or version that is not there; ``versions`` are newest first."""
    known = list(versions)
    if known:
        closest: str | None = known[0]
        problem = f"there is no version {version!r} of {kind} {name!r}; the newest is {closest!r}"
    else:
        closest = find_closest(name, names)
        hint = f"did you mean {closest!r}?" if closest else f"see: sparkscore {kind} list"
        problem = f"there is no {kind} {name!r}; {hint}"
    return NotFoundError(
        problem, condition=f"{kind.upper()}_NOT_FOUND", name=name, version=version, closest=closest
    )
