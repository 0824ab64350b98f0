"""Data assets of a workspace, and the inputs of jobs. Control plane."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from sparkscore.control.access.places import admit
from sparkscore.control.assets.catalog import Archived, Catalog, Check, Draft
from sparkscore.control.assets.content import LocalContent, hash_text, read_content
from sparkscore.control.assets.entities import DataAsset
from sparkscore.control.assets.naming import make_name, settle_flag_path
from sparkscore.control.assets.resolve import ResolvedUri, resolve_location, resolve_uri
from sparkscore.control.assets.upload import OnProgress, upload_content
from sparkscore.control.endpoints.precondition import NO_PRECONDITION, Precondition
from sparkscore.control.listing_table import Table
from sparkscore.errors import InvalidFieldError, SpecError
from sparkscore.listing.location import find_local_path
from sparkscore.spec import (
    AssetReference,
    DataSpec,
    Location,
    load_document,
    parse_asset,
    parse_data,
)
from sparkscore.spec.assets import TABULAR_DATA_NOT_SUPPORTED, TABULAR_HINT, TABULAR_TYPES
from sparkscore.storage import check_uri, is_uri

if TYPE_CHECKING:
    from sparkscore.control.workspace import Workspace
    from sparkscore.spec import Loaded
    from sparkscore.state.records import AssetRecord

UPLOAD_FOLDER = "LocalUpload"
"""Folder in the default datastore that holds copies of local data, by content."""

FOLDER, FILE = "uri_folder", "uri_file"
InputSource = Literal["asset", "path", "local"]
_GENERATED_VERSION = "1"
_FLAGS = {"asset": "--input-dataset", "path": "--input-path", "local": "--input-local-path"}


@dataclass(frozen=True)
class ResolvedInput:
    """What a job reads: a local path or URI and its options.

    ``asset`` (``azureml:<name>:<version>``) is None for a URI that nobody registered.
    """

    uri: str
    type: str
    options: dict[str, str] = field(default_factory=dict)
    asset: str | None = None


class DataAssets:
    """The data assets of a workspace: names for folders and files, wherever they are."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._catalog = Catalog(workspace, "data")

    def create(
        self,
        source: Path | Mapping[str, Any] | None = None,
        *,
        name: str | None = None,
        version: str | None = None,
        type: str | None = None,  # noqa: A002 - the key's name
        path: str | None = None,
        overrides: Sequence[str] = (),
        **others: object,
    ) -> DataAsset:
        """Register a version, the next number if none is given; nothing is copied.

        ``source`` is a YAML file or its content; the rest are keys laid over it. The same version
        again with the same type and path is fine. Raises SpecError, UnresolvedReferenceError
        (DATA_PATH_NOT_FOUND), AlreadyExistsError (DATA_VERSION_EXISTS).
        """
        flags = {
            "name": name,
            "version": version,
            "type": type,
            "path": settle_flag_path(path),
            **others,
        }
        loaded = load_document(DataSpec, source, overrides=overrides, flags=flags)
        settled = _settle_path(loaded, self._workspace)
        type_ = _settle_type(loaded, settled)
        spec = loaded.spec
        described = spec.model_dump(mode="json", include={"description", "tags", "properties"})
        draft = Draft(
            name=spec.name,
            version=spec.version,
            document={**described, "type": type_},
            digest=hash_text(type_, settled),
            path=settled,
        )
        return _read(self._catalog.register(draft))

    def register_generated(self, path: str, *, type: str, content: str | None = None) -> DataAsset:  # noqa: A002
        """Register data under a name of their own; the same path, or content, is the same asset."""
        digest = hash_text(type, path)
        draft = Draft(
            name=make_name(path, digest=content or digest),
            version=_GENERATED_VERSION,
            document={"type": type, "tags": {}, "properties": {}},
            digest=digest,
            path=path,
            is_generated=True,
        )
        return _read(self._catalog.register(draft))

    def get(self, name: str, version: str | None = None, *, label: str | None = None) -> DataAsset:
        """A version, without one the latest; raises NotFoundError (DATA_NOT_FOUND)."""
        return _read(self._catalog.get(name, version, label=label))

    def resolve(self, reference: str) -> DataAsset:
        """What ``azureml:<name>:<version>`` or ``azureml:<name>@latest`` names."""
        asset = parse_asset(reference, kind="data")
        return self.get(asset.name, asset.version, label=asset.label)

    def list(self, name: str | None = None, *, archived: Archived = "exclude") -> Table[DataAsset]:
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
        """Forget one version, or all; the data stay."""
        self._catalog.delete(name, version, check=_checking(precondition))


def resolve_input(
    workspace: Workspace,
    text: str,
    *,
    input_type: str | None = None,
    only: InputSource | None = None,
    sees_local_paths: bool = True,
    base: Path | None = None,
    on_progress: OnProgress | None = None,
) -> ResolvedInput:
    """The input that a reference, datastore path, URI or local path names.

    A local one is registered as data under a generated name, and copied into the default datastore
    only if the compute does not see this machine's paths. ``only`` refuses other kinds of input.
    Raises InputNotFoundError, EmptyInputError, NotFoundError, InvalidFieldError
    (INVALID_REFERENCE, INPUT_KIND_MISMATCH, INVALID_INPUT_TYPE, TABULAR_DATA_NOT_SUPPORTED,
    LOCAL_DATA_NOT_REACHABLE), StorageError (UPLOAD_FAILED).
    """
    from sparkscore.listing.inputs import check_input

    _check_type(input_type)
    if not text.strip():
        check_input(text)
    _, place = parse_data(text)
    _check_only(only, text, place)
    found = resolve_uri(workspace, text, base=base or Path.cwd())
    path = find_local_path(found.uri)
    if path is None:
        return ResolvedInput(
            found.uri, found.type or input_type or FOLDER, found.options, found.asset
        )
    check_input(path)
    type_ = FILE if os.path.isfile(path) else FOLDER
    if sees_local_paths:
        asset = found.asset
        if asset is None and isinstance(place, Location):
            asset = workspace.data.register_generated(path, type=type_).reference
        return ResolvedInput(path, type_, {}, asset)
    return _copy(workspace, path, found, type_=type_, on_progress=on_progress)


def _copy(
    workspace: Workspace,
    path: str,
    found: ResolvedUri,
    *,
    type_: str,
    on_progress: OnProgress | None,
) -> ResolvedInput:
    """The copy of local data in the default datastore, made now or by an earlier job."""
    datastore = workspace.datastores.get_default()
    if not is_uri(datastore.uri):
        raise InvalidFieldError(
            f"input {path} is on this machine, whose paths the compute does not see, and so is "
            "the default datastore: give --input a URI of a store, or set uri under [datastore] in "
            "sparkscore.toml to one; a Spark cluster that sees these paths has shared_paths: true",
            condition="LOCAL_DATA_NOT_REACHABLE",
            path=path,
        )
    content = _read_visible(path)
    below = f"{UPLOAD_FOLDER}/{content.digest}/{content.root.name}"
    uri = f"{datastore.uri}/{below}"
    upload_content(content, uri, datastore.options, on_progress=on_progress)
    asset = found.asset
    if asset is None:
        place = f"azureml://datastores/{datastore.name}/paths/{below}"
        registered = workspace.data.register_generated(place, type=type_, content=content.digest)
        asset = registered.reference
    return ResolvedInput(uri, type_, dict(datastore.options), asset)


def _read_visible(path: str) -> LocalContent:
    """The content that would be scored: without hidden names, globs applied."""
    if os.path.isfile(path):
        return read_content(Path(path))
    from sparkscore.listing.inputs import list_inputs

    listing = list_inputs(path)
    names = listing.files.column("path").to_pylist()
    return read_content(Path(listing.root), names=names)


def _check_type(input_type: str | None) -> None:
    if input_type in (None, FOLDER, FILE):
        return
    is_tabular = input_type in TABULAR_TYPES
    raise InvalidFieldError(
        f"input type {input_type} is not supported: "
        + (TABULAR_HINT if is_tabular else f"use {FOLDER} or {FILE}"),
        condition=TABULAR_DATA_NOT_SUPPORTED if is_tabular else "INVALID_INPUT_TYPE",
        type=input_type,
    )


def _check_only(only: InputSource | None, text: str, place: object) -> None:
    if only is None:
        return
    is_asset = isinstance(place, AssetReference)
    is_local = isinstance(place, Location) and find_local_path(place.uri) is not None
    fits = {"asset": is_asset, "local": is_local, "path": not is_asset}[only]
    if not fits:
        takes = {
            "asset": "a data asset, azureml:<name>:<version>",
            "local": "a path of this machine",
            "path": "folder:<URI> or file:<URI>",
        }[only]
        raise InvalidFieldError(
            f"{_FLAGS[only]} {text}: it takes {takes}; --input takes any of them",
            condition="INPUT_KIND_MISMATCH",
            input=text,
            flag=_FLAGS[only],
        )


def _settle_path(loaded: Loaded[DataSpec], workspace: Workspace) -> str:
    """The path to store: local ones absolute, references as they are."""
    _, place = parse_data(loaded.spec.path)
    if isinstance(place, AssetReference):
        raise loaded.error(
            "path",
            message="names a data asset: give the path or URI of the data themselves",
            kind=InvalidFieldError,
            condition="INVALID_REFERENCE",
        )
    if not isinstance(place, Location):
        return str(place)
    if is_uri(place.uri):
        check_uri(place.uri)
    settled = resolve_location(place, base=loaded.folder)
    admit(workspace, settled)
    path = find_local_path(settled)
    if path is not None and not os.path.exists(path):
        raise loaded.error(
            "path", message=f"{path} does not exist", condition="DATA_PATH_NOT_FOUND"
        )
    return settled


def _settle_type(loaded: Loaded[DataSpec], path: str) -> str:
    """The type as given; else what a local path is, and a folder elsewhere."""
    spec = loaded.spec
    prefix, _ = parse_data(spec.path)
    local = None if path.startswith("azureml:") else find_local_path(path)
    actual = None if local is None else (FILE if os.path.isfile(local) else FOLDER)
    if "type" not in spec.model_fields_set:
        return actual or prefix or FOLDER
    if actual is not None and actual != spec.type:
        raise _mismatch(loaded, actual)
    return spec.type


def _mismatch(loaded: Loaded[DataSpec], actual: str) -> SpecError:
    return loaded.error(
        "type",
        message=f"is {loaded.spec.type}, but the path is a {actual.removeprefix('uri_')}: write "
        f"type: {actual}",
        kind=InvalidFieldError,
        condition="DATA_TYPE_MISMATCH",
    )


def _checking(precondition: Precondition) -> Check:
    return lambda record: precondition.check_etag("data", record.name, _read(record).etag)


def _read(record: AssetRecord) -> DataAsset:
    document = record.document
    return DataAsset(
        name=record.name,
        version=record.version,
        type=document["type"],
        path=record.path,
        created_at=record.created_at,
        description=document.get("description"),
        tags=document.get("tags", {}),
        properties=document.get("properties", {}),
        is_archived=record.is_archived,
        is_generated=record.is_generated,
    )
