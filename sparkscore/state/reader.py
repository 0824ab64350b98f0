"""What can be asked of a store within one transaction. Control plane.

``find_`` gives None for what is not there, ``get_`` raises NotFoundError with the closest name.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

from sqlalchemy import Column, Connection, Select, func, select

from sparkscore.errors import NotFoundError
from sparkscore.state.job_queries import (
    Archived,
    JobFilter,
    archived_condition,
    select_active_jobs,
    select_day_counts,
    select_job_count,
    select_jobs,
    select_launched_jobs,
    select_newest_jobs,
    select_queued_jobs,
    select_status_counts,
)
from sparkscore.state.names import all_archived, not_found, version_not_found
from sparkscore.state.records import (
    AssetKind,
    AssetRecord,
    ComputeRecord,
    DatastoreRecord,
    DeploymentRecord,
    EndpointRecord,
    JobRecord,
    ProcessIdentity,
    TokenRecord,
)
from sparkscore.state.rows import from_row
from sparkscore.state.tables import (
    assets,
    computes,
    datastores,
    deployments,
    endpoints,
    jobs,
    tokens,
)

Record = TypeVar("Record")

_NAMES_COUNT = 1000
"""How many of the newest jobs are looked through for a name that is spelled alike."""

_EVERY_JOB = JobFilter()


class Reader:
    """One snapshot of a store; usable only inside ``with store.reading()`` or ``writing()``."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def find_endpoint(self, name: str) -> EndpointRecord | None:
        """The endpoint of this name in any case."""
        return self._find(EndpointRecord, select(endpoints).where(endpoints.c.key == name.lower()))

    def get_endpoint(self, name: str) -> EndpointRecord:
        """As ``find_endpoint``; raises NotFoundError ENDPOINT_NOT_FOUND."""
        found = self.find_endpoint(name)
        return found or _raise(not_found("endpoint", name, self._names(endpoints.c.name)))

    def list_endpoints(self) -> list[EndpointRecord]:
        """All endpoints by name."""
        found = self._list(EndpointRecord, select(endpoints))
        return sorted(found, key=lambda record: record.name.lower())

    def find_deployment(self, endpoint: str, name: str) -> DeploymentRecord | None:
        query = select(deployments).where(
            deployments.c.endpoint_key == endpoint.lower(), deployments.c.name == name
        )
        return self._find(DeploymentRecord, query)

    def get_deployment(self, endpoint: str, name: str) -> DeploymentRecord:
        """Raises NotFoundError ENDPOINT_NOT_FOUND or DEPLOYMENT_NOT_FOUND."""
        found = self.find_deployment(endpoint, name)
        if found is not None:
            return found
        there = self.get_endpoint(endpoint)
        known = self._names(deployments.c.name, deployments.c.endpoint_key == there.name.lower())
        where = f" of endpoint {there.name!r}"
        raise not_found("deployment", name, known, where=where, endpoint=there.name)

    def list_deployments(self, endpoint: str) -> list[DeploymentRecord]:
        """The deployments of an endpoint by name; raises NotFoundError ENDPOINT_NOT_FOUND."""
        key = self.get_endpoint(endpoint).name.lower()
        query = select(deployments).where(deployments.c.endpoint_key == key)
        return sorted(self._list(DeploymentRecord, query), key=lambda record: record.name)

    def count_deployments(self) -> dict[str, int]:
        """How many deployments each endpoint has that has any, by its name in lower case."""
        key = deployments.c.endpoint_key
        rows = self._connection.execute(select(key, func.count()).group_by(key))
        return {str(endpoint): int(count) for endpoint, count in rows}

    def find_newest_jobs(self) -> dict[str, tuple[str, str]]:
        """Name and status of the newest job of each endpoint, by its name in lower case.

        Archived jobs are left out; the status is the one that was last recorded.
        """
        rows = self._connection.execute(select_newest_jobs())
        return {str(endpoint): (str(name), str(status)) for endpoint, name, status in rows}

    def find_job(self, name: str) -> JobRecord | None:
        return self._find(JobRecord, select(jobs).where(jobs.c.name == name))

    def get_job(self, name: str) -> JobRecord:
        """Raises NotFoundError JOB_NOT_FOUND."""
        found = self.find_job(name)
        return found or _raise(not_found("job", name, self._newest_job_names()))

    def list_jobs(
        self,
        wanted: JobFilter = _EVERY_JOB,
        *,
        limit: int | None = None,
        before_sequence: int | None = None,
    ) -> list[JobRecord]:
        """Jobs, the newest first.

        The ``sequence`` of the last one is the next page's ``before_sequence``.
        """
        query = select_jobs(wanted, limit=limit, before_sequence=before_sequence)
        return self._list(JobRecord, query)

    def count_jobs(self, wanted: JobFilter = _EVERY_JOB) -> int:
        return int(self._connection.execute(select_job_count(wanted)).scalar_one())

    def count_jobs_by_status(self, wanted: JobFilter = _EVERY_JOB) -> dict[str, int]:
        """How many jobs have each status, as it was last recorded."""
        rows = self._connection.execute(select_status_counts(wanted))
        return {str(status): int(count) for status, count in rows}

    def count_jobs_by_day(
        self, *, since: float, wanted: JobFilter = _EVERY_JOB
    ) -> dict[tuple[int, str], int]:
        """How many jobs of each day (counted from the epoch, UTC) have each status.

        Jobs that were made before ``since``, in seconds since the epoch, are left out.
        """
        rows = self._connection.execute(select_day_counts(wanted, since=since))
        return {(int(day), str(status)): int(count) for day, status, count in rows}

    def list_active_jobs(self, *, ahead_of: int | None = None) -> list[JobRecord]:
        """Jobs that have not ended, the oldest first: the queue.

        With ``ahead_of``, a job's sequence, those that wait behind it are left out.
        """
        return self._list(JobRecord, select_active_jobs(ahead_of=ahead_of))

    def list_queued_jobs(
        self, creator: ProcessIdentity | None, *, limit: int, before_sequence: int | None = None
    ) -> list[JobRecord]:
        """Jobs of one creator that are Queued, the oldest first."""
        query = select_queued_jobs(creator, limit=limit, before_sequence=before_sequence)
        return self._list(JobRecord, query)

    def list_launched_jobs(self, creator: ProcessIdentity | None) -> list[JobRecord]:
        """Jobs of one creator that have not ended and have had a launcher, the oldest first."""
        return self._list(JobRecord, select_launched_jobs(creator))

    def find_retries(self, names: Sequence[str]) -> dict[str, tuple[str, ...]]:
        """For each of these jobs that has some: the jobs that score what failed in it, by age."""
        query = (
            select(jobs.c.retry_of, jobs.c.name)
            .where(jobs.c.retry_of.in_(names))
            .order_by(jobs.c.sequence)
        )
        found: dict[str, tuple[str, ...]] = {}
        for earlier, name in self._connection.execute(query):
            found[earlier] = (*found.get(earlier, ()), name)
        return found

    def find_asset(self, kind: AssetKind, name: str, version: str) -> AssetRecord | None:
        query = _select_assets(kind, name).where(assets.c.version == version)
        return self._find(AssetRecord, query)

    def get_asset(self, kind: AssetKind, name: str, version: str) -> AssetRecord:
        """Raises NotFoundError ENVIRONMENT_NOT_FOUND, DATA_NOT_FOUND or CODE_NOT_FOUND.

        ``closest`` is a name, or a version where the name is right.
        """
        found = self.find_asset(kind, name, version)
        if found is not None:
            return found
        known = self.list_assets(kind, name, archived="include")
        versions = [record.version for record in known]
        if not versions:
            raise not_found(kind, name, self._asset_names(kind), version=version)
        raise version_not_found(kind, name, version, versions)

    def find_latest_asset(self, kind: AssetKind, name: str) -> AssetRecord | None:
        """The version that was registered last and is not archived."""
        query = _select_assets(kind, name).where(*archived_condition("exclude"))
        return self._find(AssetRecord, _newest_first(query).limit(1))

    def get_latest_asset(self, kind: AssetKind, name: str) -> AssetRecord:
        """As ``find_latest_asset``; raises as ``get_asset`` does."""
        found = self.find_latest_asset(kind, name)
        if found is not None:
            return found
        if self.list_assets(kind, name, archived="only"):
            raise all_archived(kind, name)
        raise not_found(kind, name, self._asset_names(kind))

    def find_asset_by_digest(self, kind: AssetKind, name: str, digest: str) -> AssetRecord | None:
        """The newest version with this content, archived or not."""
        query = _select_assets(kind, name).where(assets.c.digest == digest)
        return self._find(AssetRecord, _newest_first(query).limit(1))

    def list_assets(
        self, kind: AssetKind, name: str | None = None, *, archived: Archived = "exclude"
    ) -> list[AssetRecord]:
        """Assets of a kind, of all names or of one, the newest first."""
        query = _select_assets(kind, name).where(*archived_condition(archived))
        return self._list(AssetRecord, _newest_first(query))

    def find_datastore(self, name: str) -> DatastoreRecord | None:
        return self._find(DatastoreRecord, select(datastores).where(datastores.c.name == name))

    def get_datastore(self, name: str) -> DatastoreRecord:
        """Raises NotFoundError DATASTORE_NOT_FOUND."""
        found = self.find_datastore(name)
        return found or _raise(not_found("datastore", name, self._names(datastores.c.name)))

    def find_default_datastore(self) -> DatastoreRecord | None:
        query = select(datastores).where(datastores.c.is_default.is_(True))
        return self._find(DatastoreRecord, query)

    def get_default_datastore(self) -> DatastoreRecord:
        """Raises NotFoundError NO_DEFAULT_DATASTORE."""
        return self.find_default_datastore() or _raise(
            NotFoundError(
                "no datastore is the default one; make one with: sparkscore datastore create",
                condition="NO_DEFAULT_DATASTORE",
            )
        )

    def list_datastores(self, *, archived: Archived = "exclude") -> list[DatastoreRecord]:
        """Datastores by name."""
        query = select(datastores).where(*archived_condition(archived))
        found = self._list(DatastoreRecord, query)
        return sorted(found, key=lambda record: record.name)

    def find_compute(self, name: str) -> ComputeRecord | None:
        return self._find(ComputeRecord, select(computes).where(computes.c.name == name))

    def get_compute(self, name: str) -> ComputeRecord:
        """Raises NotFoundError COMPUTE_NOT_FOUND."""
        found = self.find_compute(name)
        return found or _raise(not_found("compute", name, self._names(computes.c.name)))

    def list_computes(self, *, archived: Archived = "exclude") -> list[ComputeRecord]:
        """Computes by name."""
        query = select(computes).where(*archived_condition(archived))
        found = self._list(ComputeRecord, query)
        return sorted(found, key=lambda record: record.name)

    def find_token(self, name: str) -> TokenRecord | None:
        return self._find(TokenRecord, select(tokens).where(tokens.c.name == name))

    def get_token(self, name: str) -> TokenRecord:
        """Raises NotFoundError TOKEN_NOT_FOUND."""
        found = self.find_token(name)
        return found or _raise(not_found("token", name, self._names(tokens.c.name)))

    def list_tokens(self) -> list[TokenRecord]:
        """Tokens by name."""
        return sorted(self._list(TokenRecord, select(tokens)), key=lambda record: record.name)

    def _find(self, kind: type[Record], query: Select[Any]) -> Record | None:
        row = self._connection.execute(query).mappings().one_or_none()
        return None if row is None else from_row(kind, row)

    def _list(self, kind: type[Record], query: Select[Any]) -> list[Record]:
        return [from_row(kind, row) for row in self._connection.execute(query).mappings()]

    def _names(self, column: Column[Any], *conditions: Any) -> list[str]:
        return list(self._connection.scalars(select(column).where(*conditions)))

    def _asset_names(self, kind: AssetKind) -> Iterable[str]:
        query = select(assets.c.name).where(assets.c.kind == kind).distinct()
        return list(self._connection.scalars(query))

    def _newest_job_names(self) -> Iterable[str]:
        query = select(jobs.c.name).order_by(jobs.c.sequence.desc()).limit(_NAMES_COUNT)
        return list(self._connection.scalars(query))


def _select_assets(kind: AssetKind, name: str | None) -> Select[Any]:
    query = select(assets).where(assets.c.kind == kind)
    return query if name is None else query.where(assets.c.name == name)


def _newest_first(query: Select[Any]) -> Select[Any]:
    return query.order_by(assets.c.sequence.desc())


def _raise(error: NotFoundError) -> Any:
    raise error
