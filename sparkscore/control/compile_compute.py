"""The compute that a job is compiled for. Control plane."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sparkscore.control.assets.computes import PLATFORMS, ComputeTarget
from sparkscore.control.model import refuse_asset
from sparkscore.errors import PlanError, UnknownTargetError
from sparkscore.spec import ComputeSpec, load_document
from sparkscore.targets.base import Target
from sparkscore.targets.registry import TARGETS, get_compute

if TYPE_CHECKING:
    from sparkscore.control.workspace import Workspace

_FILES = (".yml", ".yaml")


@dataclass(frozen=True)
class CompileCompute:
    """What a compute says of its jobs; ``document`` are its keys.

    ``staging_options`` are those of the store of its staging folder, never secrets.
    """

    document: Mapping[str, Any] = field(default_factory=dict)
    staging_options: Mapping[str, str] = field(default_factory=dict)

    @property
    def type(self) -> str | None:
        """Its type, None without a compute."""
        found = self.document.get("type")
        return None if found is None else str(found)

    @property
    def name(self) -> str:
        """Its name, for messages."""
        return str(self.document.get("name", ""))

    @property
    def spark_conf(self) -> dict[str, str]:
        """Spark properties of every job on it."""
        return dict(self.document.get("spark_conf", {}))

    def get_staging(self, job_name: str) -> str | None:
        """The URI of a job's folder, None where drivers see the paths of this machine."""
        staging = self.document.get("staging")
        return None if staging is None else f"{str(staging).rstrip('/')}/{job_name}"

    @property
    def launch_arguments(self) -> tuple[str, ...]:
        """What the driver has to know before it can read the launch message."""
        options = sorted(self.staging_options.items())
        return tuple(word for key, value in options for word in ("--option", f"{key}={value}"))


NO_COMPUTE = CompileCompute()


def find_compute_file(text: str | None) -> Path | None:
    """The YAML file that ``--compute`` names, None if it names something else."""
    return Path(text) if text is not None and text.lower().endswith(_FILES) else None


def read_compute(file: Path | None) -> ComputeTarget | None:
    """The compute in a YAML file, as if it were registered; raises SpecError."""
    if file is None:
        return None
    document = load_document(ComputeSpec, file).spec.to_document()
    is_platform = document["type"] in PLATFORMS
    return ComputeTarget(
        name=document["name"],
        master=document.get("master"),
        min_instances=document.get("min_instances", 0),
        max_instances=document.get("max_instances"),
        shared_paths=document.get("shared_paths", not is_platform),
        spark_conf=document.get("spark_conf", {}),
        environments=document.get("environments"),
        platform=document if is_platform else {},
    )


def describe_compute(workspace: Workspace, compute: ComputeTarget) -> CompileCompute:
    """What a compute of the workspace says; its staging folder becomes a URI."""
    from sparkscore.control.assets.resolve import resolve_registered

    if not compute.is_remote:
        return _describe_cluster(compute)
    staging = resolve_registered(workspace, str(compute.platform["staging"]), base=Path.cwd())
    return CompileCompute({**compute.platform, "staging": staging.uri}, staging.options)


def _describe_cluster(compute: ComputeTarget) -> CompileCompute:
    if compute.master is None or compute.master.startswith("local"):
        keys: tuple[str, ...] = ("name", "environments")
        return CompileCompute({"type": "local", **{key: getattr(compute, key) for key in keys}})
    keys = ("name", "master", "shared_paths", "spark_conf", "environments")
    return CompileCompute({"type": "spark", **{key: getattr(compute, key) for key in keys}})


def find_compute(text: str | None, *, instance_count: int | None = None) -> CompileCompute:
    """What ``--compute`` means without a workspace: a YAML file, local, or a Spark master.

    Raises SpecError for the file, UnknownTargetError for a name, UnresolvedReferenceError for a
    staging folder on a datastore, InvalidFieldError (INSTANCE_COUNT_OUT_OF_RANGE).
    """
    if text is None:
        return NO_COMPUTE
    compute = read_compute(find_compute_file(text)) or ComputeTarget(text, _find_master(text))
    compute.check_instance_count(instance_count)
    if not compute.is_remote:
        return _describe_cluster(compute)
    if str(compute.platform["staging"]).startswith("azureml:"):
        raise refuse_asset(str(compute.platform["staging"]), what="staging")
    return CompileCompute(compute.platform)


def _find_master(text: str) -> str | None:
    try:
        return get_compute(text).master
    except UnknownTargetError as error:
        raise UnknownTargetError(
            f"--compute {text}: a deployment's file is compiled for the YAML file of a compute, "
            "local, local[N] or spark://HOST:PORT; the name of a registered compute goes with a "
            "registered deployment: give --endpoint-name in place of --file",
            condition="UNKNOWN_COMPUTE",
            compute=text,
        ) from error


def fit_compute(target: Target, compute: CompileCompute, *, is_chosen: bool) -> CompileCompute:
    """The compute if the target is for its type; raises PlanError if it has to be and is not.

    A compute that nobody chose for the compiled job (the deployment's own) may be of another type
    where the target needs none.
    """
    if target.compute_type == compute.type:
        return compute
    if target.compute_type is not None:
        raise _compute_needed(target, compute)
    others = {other.compute_type for other in TARGETS} - {None}
    if compute.type not in others:
        return compute
    if is_chosen:
        raise PlanError(
            f"compute {compute.name} is of type {compute.type}, which target {target.name} is not "
            f"for: compile with --target {_find_target_name(compute.type)}",
            condition="COMPUTE_MISMATCH",
            target=target.name,
            compute=compute.name,
            type=compute.type,
        )
    return NO_COMPUTE


def _compute_needed(target: Target, compute: CompileCompute) -> PlanError:
    found = f"{compute.name} is of type {compute.type}" if compute.type else "none was given"
    return PlanError(
        f"target {target.name} needs a compute of type {target.compute_type}, {found}: give "
        "--compute the name of one or its YAML file",
        condition="COMPUTE_NEEDED",
        target=target.name,
        type=compute.type,
    )


def _find_target_name(compute_type: str | None) -> str:
    return next(target.name for target in TARGETS if target.compute_type == compute_type)
