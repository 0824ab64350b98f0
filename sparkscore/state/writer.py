"""What can be changed in a store within one transaction. Control plane.

A writer is a reader too, and no other writer runs beside it: what it has read stays true until it
commits. A record with a ``revision`` must be the one that was read last; 0 stands for a new one.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from sqlalchemy import ColumnElement, Table, delete, insert, update

from sparkscore.state.names import already_exists, stale_revision
from sparkscore.state.reader import Reader
from sparkscore.state.records import (
    AssetKind,
    AssetRecord,
    ComputeRecord,
    DatastoreRecord,
    DeploymentRecord,
    EndpointRecord,
    JobRecord,
    TokenRecord,
)
from sparkscore.state.rows import to_row
from sparkscore.state.tables import (
    assets,
    computes,
    datastores,
    deployments,
    endpoints,
    jobs,
    tokens,
)


class Writer(Reader):
    """One transaction of a store; usable only inside ``with store.writing()``.

    Every ``put_``, ``add_`` and ``update_`` returns the record as it is stored now. Every
    ``delete_`` raises NotFoundError for what is not there.
    """

    def put_endpoint(self, record: EndpointRecord) -> EndpointRecord:
        """Add the endpoint (revision 0) or replace it; it keeps the case of its first name.

        Raises AlreadyExistsError ENDPOINT_EXISTS, StateError STALE_REVISION, NotFoundError.
        """
        found = self.find_endpoint(record.name)
        if record.revision == 0 and found is not None:
            raise already_exists("endpoint", found.name)
        if found is None and record.revision:
            found = self.get_endpoint(record.name)
        key = record.name.lower()
        if found is None:
            stored = dataclasses.replace(record, revision=1)
            self._insert(endpoints, {**to_row(stored), "key": key})
            return stored
        _check_revision("endpoint", record, found)
        stored = dataclasses.replace(record, name=found.name, revision=found.revision + 1)
        self._update(endpoints, to_row(stored), endpoints.c.key == key)
        return stored

    def delete_endpoint(self, name: str) -> None:
        """Delete the endpoint and its deployments; its jobs stay."""
        key = self.get_endpoint(name).name.lower()
        self._delete(endpoints, endpoints.c.key == key)

    def put_deployment(self, record: DeploymentRecord) -> DeploymentRecord:
        """Add the deployment (revision 0) to its endpoint, or replace it.

        Raises AlreadyExistsError DEPLOYMENT_EXISTS, StateError STALE_REVISION, NotFoundError.
        """
        endpoint = self.get_endpoint(record.endpoint_name)
        found = self.find_deployment(endpoint.name, record.name)
        if record.revision == 0 and found is not None:
            raise already_exists("deployment", record.name, endpoint=endpoint.name)
        if found is None and record.revision:
            found = self.get_deployment(endpoint.name, record.name)
        if found is None:
            stored = dataclasses.replace(record, endpoint_name=endpoint.name, revision=1)
            key = endpoint.name.lower()
            self._insert(deployments, {**to_row(stored), "endpoint_key": key})
            return stored
        _check_revision("deployment", record, found)
        revision = found.revision + 1
        stored = dataclasses.replace(record, endpoint_name=endpoint.name, revision=revision)
        self._update(deployments, to_row(stored), *_is_deployment(endpoint.name, record.name))
        return stored

    def delete_deployment(self, endpoint: str, name: str) -> None:
        found = self.get_deployment(endpoint, name)
        self._delete(deployments, *_is_deployment(found.endpoint_name, found.name))

    def add_job(self, record: JobRecord) -> JobRecord:
        """Add the job and give it the next sequence; raises AlreadyExistsError JOB_EXISTS."""
        if self.find_job(record.name) is not None:
            raise already_exists("job", record.name)
        stored = dataclasses.replace(record, revision=1)
        sequence = self._insert_next(jobs, _job_row(stored))
        return dataclasses.replace(stored, sequence=sequence)

    def update_job(self, record: JobRecord) -> JobRecord:
        """Replace the job; its sequence stays.

        Raises StateError STALE_REVISION if it was changed since ``record`` was read, and
        NotFoundError JOB_NOT_FOUND.
        """
        found = self.get_job(record.name)
        _check_revision("job", record, found)
        stored = dataclasses.replace(record, sequence=found.sequence, revision=found.revision + 1)
        self._update(jobs, _job_row(stored), jobs.c.sequence == found.sequence)
        return stored

    def delete_job(self, name: str) -> None:
        self._delete(jobs, jobs.c.sequence == self.get_job(name).sequence)

    def put_asset(self, record: AssetRecord) -> AssetRecord:
        """Add the version, or replace what is not its content.

        A version that exists keeps its sequence and time. Raises AlreadyExistsError
        ENVIRONMENT_EXISTS, DATA_EXISTS or CODE_EXISTS if it has another digest.
        """
        found = self.find_asset(record.kind, record.name, record.version)
        if found is None:
            sequence = self._insert_next(assets, to_row(record))
            return dataclasses.replace(record, sequence=sequence)
        if found.digest != record.digest:
            raise already_exists(
                record.kind,
                record.name,
                because=f" in version {record.version!r} with other content: give a new version",
                version=record.version,
            )
        stored = dataclasses.replace(record, sequence=found.sequence, created_at=found.created_at)
        self._update(assets, to_row(stored), assets.c.sequence == found.sequence)
        return stored

    def delete_asset(self, kind: AssetKind, name: str, version: str) -> None:
        found = self.get_asset(kind, name, version)
        self._delete(assets, assets.c.sequence == found.sequence)

    def put_datastore(self, record: DatastoreRecord) -> DatastoreRecord:
        """Add or replace the datastore; a new default takes the place of the one before."""
        if record.is_default:
            self._update(datastores, {"is_default": False}, datastores.c.name != record.name)
        self._put(datastores, record, self.find_datastore(record.name))
        return record

    def delete_datastore(self, name: str) -> None:
        self._delete(datastores, datastores.c.name == self.get_datastore(name).name)

    def put_compute(self, record: ComputeRecord) -> ComputeRecord:
        """Add or replace the compute."""
        self._put(computes, record, self.find_compute(record.name))
        return record

    def delete_compute(self, name: str) -> None:
        self._delete(computes, computes.c.name == self.get_compute(name).name)

    def add_token(self, record: TokenRecord) -> TokenRecord:
        """Raises AlreadyExistsError TOKEN_EXISTS."""
        if self.find_token(record.name) is not None:
            raise already_exists("token", record.name)
        self._insert(tokens, to_row(record))
        return record

    def delete_token(self, name: str) -> None:
        self._delete(tokens, tokens.c.name == self.get_token(name).name)

    def take_token(self, record: TokenRecord) -> bool:
        """Delete a token that only one may use: False if somebody else did so before."""
        condition = (tokens.c.name == record.name, tokens.c.digest == record.digest)
        return self._connection.execute(delete(tokens).where(*condition)).rowcount == 1

    def delete_expired_tokens(self, *, at: float) -> None:
        self._delete(tokens, tokens.c.expires_at.is_not(None), tokens.c.expires_at <= at)

    def _put(self, table: Table, record: Any, found: object | None) -> None:
        if found is None:
            self._insert(table, to_row(record))
        else:
            self._update(table, to_row(record), table.c.name == record.name)

    def _insert(self, table: Table, row: Mapping[str, Any]) -> None:
        self._connection.execute(insert(table).values(row))

    def _insert_next(self, table: Table, row: Mapping[str, Any]) -> int:
        """Insert without a sequence and return the one that the database gives."""
        values = {name: value for name, value in row.items() if name != "sequence"}
        inserted: Any = self._connection.execute(insert(table).values(values))
        return int(inserted.inserted_primary_key[0])

    def _update(
        self, table: Table, row: Mapping[str, Any], *conditions: ColumnElement[bool]
    ) -> None:
        self._connection.execute(update(table).where(*conditions).values(row))

    def _delete(self, table: Table, *conditions: ColumnElement[bool]) -> None:
        self._connection.execute(delete(table).where(*conditions))


def _check_revision(what: str, record: Any, found: Any) -> None:
    if record.revision != found.revision:
        raise stale_revision(what, record.name, revision=record.revision, stored=found.revision)


def _job_row(record: JobRecord) -> dict[str, Any]:
    key = None if record.endpoint_name is None else record.endpoint_name.lower()
    return {**to_row(record), "endpoint_key": key}


def _is_deployment(endpoint: str, name: str) -> tuple[ColumnElement[bool], ...]:
    return deployments.c.endpoint_key == endpoint.lower(), deployments.c.name == name
