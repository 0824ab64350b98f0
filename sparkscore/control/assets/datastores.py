"""Datastores of a workspace: named folders, buckets and containers. Control plane."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sparkscore.control.assets.catalog import Archived
from sparkscore.control.assets.entities import Datastore
from sparkscore.control.assets.resolve import ResolvedUri
from sparkscore.control.endpoints.precondition import NO_PRECONDITION, Precondition
from sparkscore.control.listing_table import Table
from sparkscore.control.workspace_config import DEFAULT_DATASTORE, WorkspaceConfig
from sparkscore.errors import (
    InvalidFieldError,
    OutputNotWritableError,
    StateError,
)
from sparkscore.spec import DatastoreSpec, load_document
from sparkscore.state.names import not_found
from sparkscore.state.records import DatastoreRecord
from sparkscore.storage import is_uri, join_uri

if TYPE_CHECKING:
    from sparkscore.control.assets.uploads import Upload
    from sparkscore.control.workspace import Workspace
    from sparkscore.spec import DatastorePath
    from sparkscore.state import Reader


class Datastores:
    """The datastores of a workspace. ``workspaceblobstore`` is always there, as configured."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    def create(
        self,
        source: Path | Mapping[str, Any] | None = None,
        *,
        name: str | None = None,
        type: str | None = None,  # noqa: A002 - the key's name
        overrides: Sequence[str] = (),
        precondition: Precondition = NO_PRECONDITION,
        **others: object,
    ) -> Datastore:
        """Make a datastore, or replace the one of that name; an archived one stays archived.

        ``source`` is a YAML file or its content; the rest are keys laid over it. Credentials are
        refused. Raises SpecError, PreconditionFailedError, or StateError (DATASTORE_BUILT_IN) for
        ``workspaceblobstore``.
        """
        flags = {"name": name, "type": type, **others}
        loaded = load_document(DatastoreSpec, source, overrides=overrides, flags=flags)
        _refuse_built_in(loaded.spec.name)
        self._admit(loaded.spec, loaded.folder)
        document = loaded.spec.to_document()
        if loaded.spec.type == "local":
            document["path"] = loaded.spec.get_uri(loaded.folder)
        now = time.time()
        with self._workspace.store.writing() as writer:
            found = writer.find_datastore(loaded.spec.name)
            precondition.check_etag("datastore", loaded.spec.name, _find_etag(found))
            record = DatastoreRecord(
                name=loaded.spec.name,
                document=document,
                is_default=found is not None and found.is_default,
                is_archived=found is not None and found.is_archived,
                created_at=now if found is None else found.created_at,
                updated_at=now,
            )
            return _read(writer.put_datastore(record))

    def get(self, name: str) -> Datastore:
        """The datastore of this name, archived or not.

        Raises NotFoundError (DATASTORE_NOT_FOUND).
        """
        if name == DEFAULT_DATASTORE:
            return _read_default(self._workspace.config)
        with self._workspace.store.reading() as reader:
            return _read(_get_record(name, reader))

    def get_default(self) -> Datastore:
        """``workspaceblobstore``, where uploads and results go if nothing else is said.

        Its folder is made. Raises OutputNotWritableError (DATASTORE_NOT_WRITABLE).
        """
        config = self._workspace.config
        if not is_uri(config.datastore_uri):
            _make_folder(Path(config.datastore_uri), config)
        return _read_default(config)

    def list(self, *, archived: Archived = "exclude") -> Table[Datastore]:
        """Datastores by name."""
        with self._workspace.store.reading() as reader:
            found = [_read(record) for record in reader.list_datastores(archived=archived)]
        if archived != "only":
            found.append(_read_default(self._workspace.config))
        return Table(sorted(found, key=lambda datastore: datastore.name))

    def archive(self, name: str, *, precondition: Precondition = NO_PRECONDITION) -> None:
        """Hide a datastore from lists; what refers to it goes on working.

        Raises StateError (DATASTORE_BUILT_IN).
        """
        self._set_archived(name, precondition, is_archived=True)

    def restore(self, name: str, *, precondition: Precondition = NO_PRECONDITION) -> None:
        """Undo ``archive``."""
        self._set_archived(name, precondition, is_archived=False)

    def delete(self, name: str, *, precondition: Precondition = NO_PRECONDITION) -> None:
        """Forget a datastore; what lies there stays.

        Raises StateError: DATASTORE_BUILT_IN, or DATASTORE_IN_USE while data assets refer to it.
        """
        _refuse_built_in(name)
        with self._workspace.store.writing() as writer:
            precondition.check_etag("datastore", name, _find_etag(writer.find_datastore(name)))
            _get_record(name, writer)
            _check_unused(name, writer)
            writer.delete_datastore(name)

    def upload(self, file: Path, *, name: str, is_archive: bool) -> Upload:
        """Move what was received, or the folder that a zip file holds, into the default datastore.

        ``file`` may be a folder of received files.

        Raises InvalidFieldError (INVALID_ASSET_NAME, ARCHIVE_NOT_READABLE, ARCHIVE_REFUSED),
        EmptyInputError (EMPTY_UPLOAD) or StorageError (UPLOAD_FAILED).
        """
        from sparkscore.control.assets.uploads import store_upload

        return store_upload(self._workspace, file, name=name, is_archive=is_archive)

    def resolve(self, place: DatastorePath) -> ResolvedUri:
        """The URI, or local path, of a path in a datastore.

        Raises NotFoundError (DATASTORE_NOT_FOUND), InvalidFieldError (PATH_LEAVES_DATASTORE).
        """
        if ".." in place.path.replace("\\", "/").split("/"):
            raise InvalidFieldError(
                f"path {place.path} leaves datastore {place.datastore}: write it without '..'",
                condition="PATH_LEAVES_DATASTORE",
                datastore=place.datastore,
                path=place.path,
            )
        is_default = place.datastore == DEFAULT_DATASTORE
        datastore = self.get_default() if is_default else self.get(place.datastore)
        below = place.path.strip("/")
        return ResolvedUri(uri=join_uri(datastore.uri, below), options=datastore.options)

    def _admit(self, spec: DatastoreSpec, folder: Path) -> None:
        """Refuse places that the workspace's callers may not name."""
        policy = self._workspace.places
        if policy is None:
            return
        policy.admit(self._workspace, spec.get_uri(folder))
        endpoint = spec.options.get("endpoint")
        if endpoint:
            policy.admit_endpoint(endpoint)

    def _set_archived(self, name: str, precondition: Precondition, *, is_archived: bool) -> None:
        _refuse_built_in(name)
        with self._workspace.store.writing() as writer:
            record = _get_record(name, writer)
            precondition.check_etag("datastore", name, _find_etag(record))
            writer.put_datastore(replace(record, is_archived=is_archived, updated_at=time.time()))


def _read_default(config: WorkspaceConfig) -> Datastore:
    uri = config.datastore_uri
    return Datastore(
        name=DEFAULT_DATASTORE,
        type="uri" if is_uri(uri) else "local",
        uri=uri.rstrip("/") or uri,
        options=dict(config.datastore_options),
        document={
            "path": uri,
            **config.datastore_options,
            "description": "The workspace's own datastore.",
        },
        is_default=True,
        is_built_in=True,
    )


def _make_folder(folder: Path, config: WorkspaceConfig) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputNotWritableError(
            f"folder {folder} of datastore {DEFAULT_DATASTORE} cannot be made: {error.strerror}; "
            f"correct uri under [datastore] in {config.file}",
            condition="DATASTORE_NOT_WRITABLE",
            path=str(folder),
        ) from error


def _find_etag(record: DatastoreRecord | None) -> str | None:
    return None if record is None else _read(record).etag


def _read(record: DatastoreRecord) -> Datastore:
    spec = load_document(DatastoreSpec, record.document).spec
    return Datastore(
        name=record.name,
        type=spec.type,
        uri=spec.get_uri(Path("/")),
        options=spec.options,
        document=record.document,
        is_default=record.is_default,
        is_archived=record.is_archived,
        created_at=record.created_at,
    )


def _refuse_built_in(name: str) -> None:
    if name == DEFAULT_DATASTORE:
        raise StateError(
            f"datastore {name} is the workspace's own: it cannot be replaced, archived or deleted; "
            "where it is stands in sparkscore.toml under [datastore]",
            condition="DATASTORE_BUILT_IN",
            name=name,
        )


def _check_unused(name: str, reader: Reader) -> None:
    prefix = f"azureml://datastores/{name}/"
    for record in reader.list_assets("data", archived="include"):
        if record.path.startswith(prefix):
            asset = f"azureml:{record.name}:{record.version}"
            raise StateError(
                f"datastore {name} is in use: data asset {asset} is in it; delete that first",
                condition="DATASTORE_IN_USE",
                name=name,
                asset=asset,
            )


def _get_record(name: str, reader: Reader) -> DatastoreRecord:
    found = reader.find_datastore(name)
    if found is None:
        others = (record.name for record in reader.list_datastores(archived="include"))
        raise not_found("datastore", name, [DEFAULT_DATASTORE, *others])
    return found
