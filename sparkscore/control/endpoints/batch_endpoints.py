"""The use cases of endpoints. Control plane."""

from __future__ import annotations

import builtins
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sparkscore.control.endpoints.entities import Endpoint
from sparkscore.control.endpoints.precondition import NO_PRECONDITION, Precondition
from sparkscore.control.listing_table import Table
from sparkscore.errors import InvalidFieldError
from sparkscore.spec import BatchEndpointSpec, load_document
from sparkscore.state.records import EndpointRecord

if TYPE_CHECKING:
    from sparkscore.control.endpoints.request import InvokeRequest
    from sparkscore.control.jobs import Job
    from sparkscore.control.planning import PlannedRun
    from sparkscore.control.workspace import Workspace
    from sparkscore.state import Reader

Source = Path | Mapping[str, Any] | None


class BatchEndpoints:
    """Endpoints of a workspace.

    ``source`` is the path of a YAML file, a mapping with its content, or None where the name says
    all. Raises SpecError for what it says, NotFoundError for names that are not there,
    PreconditionFailedError if ``precondition`` does not hold.
    """

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    def create(
        self,
        source: Source = None,
        *,
        name: str | None = None,
        overrides: Sequence[str] = (),
        precondition: Precondition = NO_PRECONDITION,
    ) -> Endpoint:
        """Make an endpoint, or change what is given of the one of that name.

        Raises NotFoundError if ``defaults`` names a deployment that the endpoint does not have.
        """
        loaded = load_document(BatchEndpointSpec, source, overrides=overrides, flags={"name": name})
        with self._workspace.store.writing() as writer:
            existing = writer.find_endpoint(loaded.spec.name)
            precondition.check("endpoint", loaded.spec.name, existing)
            record = existing or _new_record(loaded.spec.name)
            record = _fill(record, loaded.spec, loaded.spec.model_fields_set)
            _check_default(writer, record)
            return self._show(writer.put_endpoint(record))

    def update(
        self,
        name: str,
        *,
        source: Source = None,
        overrides: Sequence[str] = (),
        additions: Sequence[Sequence[str] | str] = (),
        removals: Sequence[Sequence[str] | str] = (),
        defaults: Sequence[str] = (),
        force_string: bool = False,
        precondition: Precondition = NO_PRECONDITION,
    ) -> Endpoint:
        """Change description, tags, properties or the default deployment.

        ``overrides``, ``additions`` and ``removals`` are texts of ``--set``, ``--add`` and
        ``--remove``; ``defaults`` are ``deployment_name=NAME`` texts. Raises what ``create`` does.
        """
        sets = [*overrides, *(f"defaults.{text}" for text in defaults)]
        content = {} if source is None else _read_content(source, name=name)
        with self._workspace.store.writing() as writer:
            before = writer.get_endpoint(name)
            precondition.check("endpoint", name, before)
            loaded = load_document(
                BatchEndpointSpec,
                {**_get_document(before), **content},
                overrides=sets,
                additions=additions,
                removals=removals,
                force_string=force_string,
                source_name=f"endpoint {before.name}",
            )
            _check_name(before.name, loaded.spec.name)
            record = _fill(before, loaded.spec, _CHANGEABLE)
            _check_default(writer, record)
            return self._show(writer.put_endpoint(record))

    def get(self, name: str) -> Endpoint:
        """The endpoint of this name, in any case."""
        with self._workspace.store.reading() as reader:
            return self._show(reader.get_endpoint(name))

    def list(self) -> Table[Endpoint]:
        """All endpoints by name."""
        with self._workspace.store.reading() as reader:
            return Table(self._show(record) for record in reader.list_endpoints())

    def delete(self, name: str, *, precondition: Precondition = NO_PRECONDITION) -> None:
        """Delete an endpoint and its deployments; its jobs stay."""
        with self._workspace.store.writing() as writer:
            precondition.check("endpoint", name, writer.find_endpoint(name))
            writer.delete_endpoint(name)

    def invoke(self, name: str, request: InvokeRequest) -> Job:
        """Start a job and return at once; see ``sparkscore.control.endpoints.invoke``."""
        from sparkscore.control.endpoints.invoke import invoke

        return invoke(self._workspace, name, request)

    def plan(self, name: str, request: InvokeRequest) -> PlannedRun:
        """What ``invoke`` would score, and in which pieces; records no job. Raises what it does."""
        from sparkscore.control.planning import plan_invocation

        return plan_invocation(self._workspace, name, request)

    def list_jobs(
        self, name: str, *, max_results: int | None = None, **filters: Any
    ) -> builtins.list[Job]:
        """Jobs of the endpoint, the newest first; also those of a deleted endpoint.

        Raises NotFoundError (ENDPOINT_NOT_FOUND) if there is neither endpoint nor job.
        """
        if max_results is None:
            filters["all_results"] = True
        else:
            filters["max_results"] = max_results
        found = self._workspace.jobs.list(endpoint_name=name, **filters)
        if not found:
            self.get(name)
        return found

    def _show(self, record: EndpointRecord) -> Endpoint:
        workspace = self._workspace
        return Endpoint(record, workspace.name, workspace.config.server_url)


def read_new_endpoint(content: Mapping[str, Any]) -> EndpointRecord:
    """The record of an endpoint that does not exist yet; raises SpecError."""
    spec = load_document(BatchEndpointSpec, content).spec
    return _fill(_new_record(spec.name), spec, _CHANGEABLE - {"defaults"})


_CHANGEABLE = frozenset({"description", "tags", "properties", "defaults"})


def _new_record(name: str) -> EndpointRecord:
    now = time.time()
    return EndpointRecord(name=name, created_at=now, updated_at=now)


def _fill(
    record: EndpointRecord, spec: BatchEndpointSpec, fields: frozenset[str] | set[str]
) -> EndpointRecord:
    """The record with these fields as the spec has them."""
    changes: dict[str, Any] = {
        name: getattr(spec, name)
        for name in ("description", "auth_mode", "tags", "properties")
        if name in fields
    }
    if "defaults" in fields:
        changes["default_deployment"] = spec.defaults.deployment_name
    return replace(record, updated_at=time.time(), **changes)


def _get_document(record: EndpointRecord) -> dict[str, Any]:
    content = {
        "name": record.name,
        "description": record.description,
        "auth_mode": record.auth_mode,
        "tags": record.tags,
        "properties": record.properties,
    }
    if record.default_deployment is not None:
        content["defaults"] = {"deployment_name": record.default_deployment}
    return {key: value for key, value in content.items() if value is not None}


def _read_content(source: Path | Mapping[str, Any], *, name: str) -> dict[str, Any]:
    """What a file says of an endpoint; the command line's name wins over the file's."""
    loaded = load_document(BatchEndpointSpec, source, flags={"name": name})
    return {
        key: value
        for key, value in loaded.spec.model_dump(mode="json", exclude_unset=True).items()
        if key in _CHANGEABLE
    }


def _check_name(before: str, after: str) -> None:
    if before != after:
        raise InvalidFieldError(
            f"name: endpoint {before} cannot be renamed to {after}: make a new one",
            condition="NAME_NOT_CHANGEABLE",
            key="name",
            value=after,
        )


def _check_default(reader: Reader, record: EndpointRecord) -> None:
    if record.default_deployment is not None:
        reader.get_deployment(record.name, record.default_deployment)
