"""Computes of a workspace: the machine itself, and Spark clusters by name. Control plane."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sparkscore.control.assets.catalog import Archived
from sparkscore.control.assets.entities import Compute
from sparkscore.control.endpoints.precondition import NO_PRECONDITION, Precondition
from sparkscore.control.listing_table import Table
from sparkscore.errors import InvalidFieldError, StateError, UnknownTargetError
from sparkscore.listing.location import find_local_path
from sparkscore.spec import ComputeSpec, Location, load_document, parse_compute, parse_data
from sparkscore.state.names import not_found
from sparkscore.state.records import ComputeRecord
from sparkscore.targets.registry import get_compute

if TYPE_CHECKING:
    from sparkscore.control.workspace import Workspace
    from sparkscore.state import Reader

LOCAL = "local"
PLATFORMS = ("databricks", "kubernetes")
"""Types of computes whose drivers run elsewhere."""

_LOCAL_COMPUTE = Compute(
    name=LOCAL,
    type="local",
    document={"description": "This machine, with as many cores as jobs ask for."},
    is_built_in=True,
)


@dataclass(frozen=True)
class ComputeTarget:
    """Where a job runs: ``name`` of the compute, and ``master``, which is None on this machine.

    ``shared_paths``: the workers see this machine's paths. ``max_instances`` None is no bound.
    ``platform`` is the document of a compute whose jobs run on Databricks or Kubernetes, empty for
    others. ``environments`` is auto, build or host, None for what the workspace says.
    """

    name: str
    master: str | None = None
    min_instances: int = 0
    max_instances: int | None = None
    shared_paths: bool = True
    spark_conf: dict[str, str] = field(default_factory=dict)
    platform: dict[str, Any] = field(default_factory=dict)
    environments: str | None = None

    @property
    def is_remote(self) -> bool:
        """Whether the driver runs elsewhere too."""
        return bool(self.platform)

    def check_instance_count(self, count: int | None) -> None:
        """Raise InvalidFieldError (INSTANCE_COUNT_OUT_OF_RANGE) for a count beyond the bounds."""
        if count is None:
            return
        highest = self.max_instances
        if count < self.min_instances or (highest is not None and count > highest):
            bounds = f"at least {self.min_instances}" if self.min_instances else ""
            if highest is not None:
                bounds = f"{bounds} and at most {highest}" if bounds else f"at most {highest}"
            raise InvalidFieldError(
                f"instance_count is {count}, but compute {self.name} takes {bounds}: change "
                "instance_count, or min_instances and max_instances of the compute",
                condition="INSTANCE_COUNT_OUT_OF_RANGE",
                compute=self.name,
                instance_count=count,
                min_instances=self.min_instances,
                max_instances=highest,
            )

    def check_sees(self, uri: str, *, job: str) -> None:
        """Raise InvalidFieldError (LOCAL_DATA_NOT_REACHABLE) if its workers cannot see the inputs
        at ``uri``, which ``job`` was planned with."""
        path = find_local_path(uri)
        if path is not None and not self.shared_paths:
            raise InvalidFieldError(
                f"compute {self.name} does not see {path}, where job {job} had its inputs: choose "
                "one that does with --compute",
                condition="LOCAL_DATA_NOT_REACHABLE",
                path=path,
            )

    def to_dict(self) -> dict[str, Any]:
        """What a job remembers of it."""
        return {
            "name": self.name,
            "master": self.master,
            "min_instances": self.min_instances,
            "max_instances": self.max_instances,
            "shared_paths": self.shared_paths,
            "spark_conf": self.spark_conf,
            "platform": self.platform,
            "environments": self.environments,
        }


class Computes:
    """The computes of a workspace. ``local`` is always there."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    def create(
        self,
        source: Path | Mapping[str, Any] | None = None,
        *,
        name: str | None = None,
        type: str | None = None,  # noqa: A002 - the key's name
        size: str | None = None,
        min_instances: int | None = None,
        max_instances: int | None = None,
        overrides: Sequence[str] = (),
        precondition: Precondition = NO_PRECONDITION,
        **others: object,
    ) -> Compute:
        """Make a compute, or replace the one of that name; an archived one stays archived.

        ``source`` is a YAML file or its content; the rest are keys laid over it. Raises SpecError,
        PreconditionFailedError, StateError (COMPUTE_BUILT_IN) for ``local``, or PlanError for a
        staging folder that callers of the server may not name.
        """
        flags = {
            "name": name,
            "type": type,
            "size": size,
            "min_instances": min_instances,
            "max_instances": max_instances,
            **others,
        }
        spec = load_document(ComputeSpec, source, overrides=overrides, flags=flags).spec
        _refuse_built_in(spec.name, "replaced")
        _admit_staging(self._workspace, spec)
        now = time.time()
        with self._workspace.store.writing() as writer:
            found = writer.find_compute(spec.name)
            precondition.check_etag("compute", spec.name, _find_etag(found))
            record = ComputeRecord(
                name=spec.name,
                document=spec.to_document(),
                is_archived=found is not None and found.is_archived,
                created_at=now if found is None else found.created_at,
                updated_at=now,
            )
            return _read(writer.put_compute(record))

    def get(self, name: str) -> Compute:
        """The compute of this name, archived or not; raises NotFoundError (COMPUTE_NOT_FOUND)."""
        if name == LOCAL:
            return _LOCAL_COMPUTE
        with self._workspace.store.reading() as reader:
            return _read(_get_record(name, reader))

    def list(self, *, archived: Archived = "exclude") -> Table[Compute]:
        """Computes by name."""
        with self._workspace.store.reading() as reader:
            found = [_read(record) for record in reader.list_computes(archived=archived)]
        if archived != "only":
            found.append(_LOCAL_COMPUTE)
        return Table(sorted(found, key=lambda compute: compute.name))

    def archive(self, name: str, *, precondition: Precondition = NO_PRECONDITION) -> None:
        """Hide a compute from lists; deployments go on using it.

        Raises StateError (COMPUTE_BUILT_IN).
        """
        self._set_archived(name, precondition, is_archived=True)

    def restore(self, name: str, *, precondition: Precondition = NO_PRECONDITION) -> None:
        """Undo ``archive``."""
        self._set_archived(name, precondition, is_archived=False)

    def delete(self, name: str, *, precondition: Precondition = NO_PRECONDITION) -> None:
        """Delete a compute; jobs that run on it go on."""
        _refuse_built_in(name, "deleted")
        with self._workspace.store.writing() as writer:
            precondition.check_etag("compute", name, _find_etag(writer.find_compute(name)))
            _get_record(name, writer)
            writer.delete_compute(name)

    def resolve(self, compute: str | None, *, instance_count: int | None = None) -> ComputeTarget:
        """Where ``compute`` is: ``azureml:<name>``, a bare name, ``local[N]`` or a Spark master.

        None is this machine. Raises NotFoundError (COMPUTE_NOT_FOUND) with the closest name, or
        InvalidFieldError (INSTANCE_COUNT_OUT_OF_RANGE).
        """
        target = self._resolve((compute or LOCAL).removeprefix("azureml:"))
        target.check_instance_count(instance_count)
        return target

    def _set_archived(self, name: str, precondition: Precondition, *, is_archived: bool) -> None:
        _refuse_built_in(name, "archived")
        with self._workspace.store.writing() as writer:
            record = _get_record(name, writer)
            precondition.check_etag("compute", name, _find_etag(record))
            writer.put_compute(replace(record, is_archived=is_archived, updated_at=time.time()))

    def _resolve(self, text: str) -> ComputeTarget:
        master = _find_master(text)
        if master is not None:
            return ComputeTarget(name=text, master=master)
        found = self.get(parse_compute(text))
        return ComputeTarget(
            name=found.name,
            master=found.master,
            min_instances=found.min_instances,
            max_instances=found.max_instances,
            shared_paths=found.shared_paths,
            spark_conf=found.spark_conf,
            platform=found.document if found.type in PLATFORMS else {},
            environments=found.document.get("environments"),
        )


def _find_master(name: str) -> str | None:
    try:
        return get_compute(name).master
    except UnknownTargetError:
        return None


def _admit_staging(workspace: Workspace, spec: ComputeSpec) -> None:
    """Whoever runs jobs on the compute later does not name its folder; a datastore's path is
    looked at then."""
    if spec.staging is None:
        return
    from sparkscore.control.access.places import admit
    from sparkscore.control.assets.resolve import resolve_location

    _, place = parse_data(spec.staging)
    if isinstance(place, Location):
        admit(workspace, resolve_location(place, base=Path.cwd()))


def _refuse_built_in(name: str, done: str) -> None:
    if name == LOCAL:
        raise StateError(
            f"compute {LOCAL} is this machine: it cannot be {done}; use another name",
            condition="COMPUTE_BUILT_IN",
            name=name,
        )


def _get_record(name: str, reader: Reader) -> ComputeRecord:
    found = reader.find_compute(name)
    if found is None:
        others = (record.name for record in reader.list_computes(archived="include"))
        raise not_found("compute", name, [LOCAL, *others])
    return found


def _find_etag(record: ComputeRecord | None) -> str | None:
    return None if record is None else _read(record).etag


def _read(record: ComputeRecord) -> Compute:
    document = record.document
    return Compute(
        name=record.name,
        type=document["type"],
        master=document.get("master"),
        min_instances=document.get("min_instances", 0),
        max_instances=document.get("max_instances"),
        shared_paths=document.get("shared_paths", document["type"] not in PLATFORMS),
        spark_conf=document.get("spark_conf", {}),
        document=document,
        is_archived=record.is_archived,
        created_at=record.created_at,
    )
