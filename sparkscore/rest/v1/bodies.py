"""What requests below ``/api/v1`` hold, as FastAPI reads and documents it. Control plane."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Literal

from fastapi import Depends, Query
from fastapi.params import Depends as DependsParameter

from sparkscore.control import InvokeRequest
from sparkscore.control.access.roles import Role
from sparkscore.rest.access import Principal, require
from sparkscore.rest.paging import Paging, read_paging

READS: list[DependsParameter] = [Depends(require(Role.READER))]
INVOKES: list[DependsParameter] = [Depends(require(Role.INVOKER))]
CHANGES: list[DependsParameter] = [Depends(require(Role.CONTRIBUTOR))]
OWNS: list[DependsParameter] = [Depends(require(Role.OWNER))]

PagingOf = Annotated[Paging, Depends(read_paging)]
Invoker = Annotated[Principal, Depends(require(Role.INVOKER))]
ArchivedView = Annotated[
    Literal["exclude", "include", "only"], Query(description="Whether archived ones are listed.")
]

_NO_OTHERS = {"extra": "forbid"}

# As the document says it: neither "yes" nor "5" is what JSON means.
Flag = Annotated[bool, Query(strict=True)]
Number = Annotated[int, Query(strict=True)]
Words = Annotated[list[str], Query(min_length=1)] | str


@dataclass(frozen=True)
class Making:
    """What a new thing is: ``document`` has the keys of its YAML file, ``set`` is laid over it."""

    document: dict[str, Any] = field(default_factory=dict)
    set: list[str] = field(default_factory=list)
    __pydantic_config__: ClassVar[Mapping[str, Any]] = _NO_OTHERS


@dataclass(frozen=True)
class MakingDeployment(Making):
    """The same for a deployment."""

    set_default: Flag = False
    skip_script_validation: Flag = False
    __pydantic_config__: ClassVar[Mapping[str, Any]] = _NO_OTHERS


@dataclass(frozen=True)
class Changes:
    """Changes as ``update`` takes them: a document, and then texts of --set, --add, --remove."""

    document: dict[str, Any] | None = None
    set: list[str] = field(default_factory=list)
    add: list[Words] = field(default_factory=list)
    remove: list[Words] = field(default_factory=list)
    force_string: Flag = False
    __pydantic_config__: ClassVar[Mapping[str, Any]] = _NO_OTHERS

    def to_arguments(self) -> dict[str, Any]:
        """What the ``update`` of control takes, but the document."""
        return {
            "overrides": self.set,
            "additions": self.add,
            "removals": self.remove,
            "force_string": self.force_string,
        }


@dataclass(frozen=True)
class Invocation:
    """What a job scores, and how; see ``sparkscore batch-endpoint invoke --help``."""

    input: str | None = None
    input_type: str | None = None
    output_path: str | None = None
    deployment_name: str | None = None
    job_name: str | None = None
    mini_batch_size: Number | None = None
    instance_count: Number | None = None
    set: list[str] = field(default_factory=list)
    experiment_name: str | None = None
    display_name: str | None = None
    description: str | None = None
    tags: dict[str, str] = field(default_factory=dict)
    include: list[str] = field(default_factory=list)
    exclude: list[str] = field(default_factory=list)
    limit: Annotated[int, Query(ge=1, strict=True)] | None = None
    compute: str | None = None
    conf: list[str] = field(default_factory=list)
    __pydantic_config__: ClassVar[Mapping[str, Any]] = _NO_OTHERS

    def to_request(self) -> InvokeRequest:
        """The request that control takes."""
        return InvokeRequest(
            deployment_name=self.deployment_name,
            input=self.input,
            input_type=self.input_type,
            output_path=self.output_path,
            overrides=tuple(self.set),
            mini_batch_size=self.mini_batch_size,
            instance_count=self.instance_count,
            job_name=self.job_name,
            experiment_name=self.experiment_name,
            display_name=self.display_name,
            description=self.description,
            tags=self.tags,
            include=tuple(self.include),
            exclude=tuple(self.exclude),
            limit=self.limit,
            compute=self.compute,
            conf=tuple(self.conf),
        )


def show(entity: Any) -> dict[str, Any]:
    """What the command line prints of it."""
    shown: dict[str, Any] = entity.to_dict()
    return shown
