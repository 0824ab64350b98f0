"""The use cases of deployments. Control plane."""

from __future__ import annotations

import builtins
import dataclasses
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sparkscore.control.endpoints.batch_endpoints import read_new_endpoint
from sparkscore.control.endpoints.entities import Deployment
from sparkscore.control.endpoints.precondition import NO_PRECONDITION, Precondition
from sparkscore.control.endpoints.registration import check_deployment, register_deployment
from sparkscore.control.listing_table import Table
from sparkscore.errors import InvalidFieldError, SparkscoreError, StateError
from sparkscore.spec import LoadedDeployment, load_deployment
from sparkscore.state.records import DeploymentRecord, EndpointRecord

if TYPE_CHECKING:
    from sparkscore.control.compile import CompiledJob
    from sparkscore.control.endpoints.request import InvokeRequest
    from sparkscore.control.jobs import Job
    from sparkscore.control.workspace import Workspace
    from sparkscore.state import Reader, Writer

Source = Path | Mapping[str, Any] | None

_IS_NEW = Precondition(is_absent=True)

UPDATE_ATTEMPTS = 20
"""How often an update starts anew because somebody else changed the deployment meanwhile."""


class BatchDeployments:
    """Deployments of the endpoints of a workspace.

    ``source`` is the path of a YAML file, or a mapping with its content. Raises SpecError for what
    it says, UnresolvedReferenceError or NotFoundError for what it refers to,
    PreconditionFailedError if ``precondition`` does not hold.
    """

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    def create(
        self,
        source: Path | Mapping[str, Any],
        *,
        name: str | None = None,
        endpoint_name: str | None = None,
        overrides: Sequence[str] = (),
        set_default: bool = False,
        skip_script_validation: bool = False,
        precondition: Precondition = NO_PRECONDITION,
        new_endpoint: Mapping[str, Any] | None = None,
    ) -> Deployment:
        """Make a deployment, or replace the one of that name.

        Inline model, code and environment are registered first. Nothing becomes the default
        unless ``set_default`` asks for it. ``new_endpoint`` is the content of an endpoint that is
        made with its first deployment: both or neither. Raises PreconditionFailedError
        (ALREADY_THERE) if there is one of its name.
        """
        loaded = load_deployment(
            source, overrides=overrides, flags={"name": name, "endpoint_name": endpoint_name}
        )
        spec = loaded.spec
        with self._workspace.store.reading() as reader:
            endpoint = _find_new_endpoint(reader, loaded, new_endpoint)
            existing = reader.find_deployment(spec.endpoint_name, spec.name)
        precondition.check("deployment", spec.name, existing)
        document = register_deployment(
            self._workspace, loaded, checks_script=not skip_script_validation
        )
        with self._workspace.store.writing() as writer:
            existing = writer.find_deployment(spec.endpoint_name, spec.name)
            precondition.check("deployment", spec.name, existing)
            if endpoint is not None:
                _IS_NEW.check("endpoint", endpoint.name, writer.find_endpoint(endpoint.name))
                writer.put_endpoint(endpoint)
            return self._put(writer, document, set_default=set_default)

    def update(
        self,
        name: str,
        endpoint_name: str,
        *,
        source: Source = None,
        overrides: Sequence[str] = (),
        additions: Sequence[Sequence[str] | str] = (),
        removals: Sequence[Sequence[str] | str] = (),
        force_string: bool = False,
        skip_script_validation: bool = False,
        precondition: Precondition = NO_PRECONDITION,
    ) -> Deployment:
        """Change code, model, environment or settings; jobs keep what they ran.

        ``overrides``, ``additions`` and ``removals`` are texts of ``--set``, ``--add`` and
        ``--remove``, laid over the file, or over the deployment as it is.
        """
        for _ in range(UPDATE_ATTEMPTS):
            with self._workspace.store.reading() as reader:
                before = reader.get_deployment(endpoint_name, name)
            precondition.check("deployment", name, before)
            flags = {"name": before.name, "endpoint_name": before.endpoint_name}
            loaded = load_deployment(
                before.document if source is None else source,
                overrides=overrides,
                flags=flags if source is not None else {},
                additions=additions,
                removals=removals,
                force_string=force_string,
                source_name=f"deployment {before.name}",
            )
            _check_names(before, loaded)
            document = register_deployment(
                self._workspace, loaded, checks_script=not skip_script_validation
            )
            with self._workspace.store.writing() as writer:
                if writer.get_deployment(endpoint_name, name).revision == before.revision:
                    return self._put(writer, document, set_default=False)
        raise StateError(
            f"deployment {name} was changed by others {UPDATE_ATTEMPTS} times while this update "
            "was prepared: repeat the command",
            condition="STALE_REVISION",
            name=name,
        )

    def get(self, name: str, endpoint_name: str) -> Deployment:
        """The deployment of this name."""
        with self._workspace.store.reading() as reader:
            return self._show(reader, reader.get_deployment(endpoint_name, name))

    def list(self, endpoint_name: str) -> Table[Deployment]:
        """All deployments of an endpoint by name."""
        with self._workspace.store.reading() as reader:
            reader.get_endpoint(endpoint_name)
            records = reader.list_deployments(endpoint_name)
            return Table(self._show(reader, record) for record in records)

    def delete(
        self,
        name: str,
        endpoint_name: str,
        *,
        new_default: str | None = None,
        precondition: Precondition = NO_PRECONDITION,
    ) -> None:
        """Delete a deployment; its jobs stay.

        The default one can go while others exist only if ``new_default`` takes its place. Raises
        StateError (NEW_DEFAULT_NEEDED) otherwise.
        """
        with self._workspace.store.writing() as writer:
            endpoint = writer.get_endpoint(endpoint_name)
            deleted = writer.get_deployment(endpoint_name, name)
            precondition.check("deployment", name, deleted)
            others = [
                record.name
                for record in writer.list_deployments(endpoint_name)
                if record.name != deleted.name
            ]
            default = endpoint.default_deployment
            if new_default is not None:
                _refuse_deleted(deleted.name, new_default)
                default = writer.get_deployment(endpoint_name, new_default).name
            elif default == deleted.name:
                _check_no_others(deleted.name, others)
                default = None
            if default != endpoint.default_deployment:
                writer.put_endpoint(_with_default(endpoint, default))
            writer.delete_deployment(endpoint_name, name)

    def list_jobs(
        self, name: str, endpoint_name: str, *, max_results: int | None = None, **filters: Any
    ) -> builtins.list[Job]:
        """Jobs of the deployment, the newest first; also those of a deleted deployment.

        Raises NotFoundError if there is neither deployment nor job.
        """
        if max_results is None:
            filters["all_results"] = True
        else:
            filters["max_results"] = max_results
        found = self._workspace.jobs.list(
            endpoint_name=endpoint_name, deployment_name=name, **filters
        )
        if not found:
            self.get(name, endpoint_name)
        return found

    def validate(
        self,
        source: Path | Mapping[str, Any],
        *,
        name: str | None = None,
        endpoint_name: str | None = None,
        overrides: Sequence[str] = (),
        new_endpoint: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Check a deployment and all it refers to; registers nothing.

        ``new_endpoint`` is what ``create`` takes. Gives ``result`` (Succeeded or Failed) and
        ``errors``, each with condition and message.
        """
        try:
            loaded = load_deployment(
                source, overrides=overrides, flags={"name": name, "endpoint_name": endpoint_name}
            )
            with self._workspace.store.reading() as reader:
                _find_new_endpoint(reader, loaded, new_endpoint)
            check_deployment(self._workspace, loaded)
        except SparkscoreError as error:
            found = {"condition": error.condition, "message": error.message, **error.attributes}
            return {"result": "Failed", "errors": [found]}
        return {"result": "Succeeded", "errors": []}

    def compile(
        self, name: str, endpoint_name: str, request: InvokeRequest, *, target: str, folder: Path
    ) -> CompiledJob:
        """Write a job of the deployment into a new folder, for ``target``; records no job.

        Raises what an invocation does.
        """
        from sparkscore.control.endpoints.job_plan import compile_job

        chosen = dataclasses.replace(request, deployment_name=name)
        return compile_job(self._workspace, endpoint_name, chosen, target=target, folder=folder)

    def _put(self, writer: Writer, document: dict[str, Any], *, set_default: bool) -> Deployment:
        endpoint = writer.get_endpoint(document["endpoint_name"])
        existing = writer.find_deployment(endpoint.name, document["name"])
        now = time.time()
        record = DeploymentRecord(
            endpoint_name=endpoint.name,
            name=document["name"],
            document={**document, "endpoint_name": endpoint.name},
            created_at=existing.created_at if existing else now,
            updated_at=now,
            revision=existing.revision if existing else 0,
        )
        stored = writer.put_deployment(record)
        if set_default and endpoint.default_deployment != record.name:
            writer.put_endpoint(_with_default(endpoint, record.name))
        return self._show(writer, stored)

    def _show(self, reader: Reader, record: DeploymentRecord) -> Deployment:
        endpoint = reader.get_endpoint(record.endpoint_name)
        is_default = endpoint.default_deployment == record.name
        return Deployment(record, self._workspace.name, is_default)


def _find_new_endpoint(
    reader: Reader, loaded: LoadedDeployment, content: Mapping[str, Any] | None
) -> EndpointRecord | None:
    """What is to be made; None where there is no content, for the endpoint is there then."""
    name = loaded.spec.endpoint_name
    if content is None:
        reader.get_endpoint(name)
        return None
    record = read_new_endpoint({**content, "name": name})
    _IS_NEW.check("endpoint", record.name, reader.find_endpoint(record.name))
    return record


def _with_default(endpoint: EndpointRecord, default: str | None) -> EndpointRecord:
    return dataclasses.replace(endpoint, default_deployment=default, updated_at=time.time())


def _check_names(before: DeploymentRecord, loaded: LoadedDeployment) -> None:
    for key, text in (("name", before.name), ("endpoint_name", before.endpoint_name)):
        after = getattr(loaded.spec, key)
        if after != text:
            raise InvalidFieldError(
                f"{key}: deployment {before.name} keeps its {key} {text}, it cannot become "
                f"{after}: make a new deployment",
                condition="NAME_NOT_CHANGEABLE",
                key=key,
                value=after,
            )


def _refuse_deleted(deleted: str, new_default: str) -> None:
    if deleted == new_default:
        raise InvalidFieldError(
            f"--new-default {new_default} is the deployment that is to be deleted: name another",
            condition="INVALID_NEW_DEFAULT",
            name=new_default,
        )


def _check_no_others(deleted: str, others: builtins.list[str]) -> None:
    if others:
        raise StateError(
            f"deployment {deleted} is the default and the endpoint has others "
            f"({', '.join(others[:5])}): say which one takes its place with --new-default NAME",
            condition="NEW_DEFAULT_NEEDED",
            name=deleted,
            others=others,
        )
