"""What a job needs of its target, checked before anything is made. Control plane, pure."""

from __future__ import annotations

from collections.abc import Iterator

from sparkscore.control.deployment import PreparedDeployment
from sparkscore.control.launch import JobPlace
from sparkscore.listing.location import find_local_path
from sparkscore.targets.base import Capability, Target, require_capability

_NO_DELTA_IN_VOLUME = (
    "write a table of the catalog (output_table: catalog.schema.table), or give --output-path "
    "the URI of a folder in a store"
)
_NO_ENVIRONMENT = 'set environments = "host" in [jobs] to run scripts in the Python of the workers'
_NO_GPU = "set it to 0 (scripts then see what the machine shows them), or choose a Spark cluster"


def check_needs(target: Target, deployment: PreparedDeployment, place: JobPlace) -> None:
    """Raise UnsupportedByTargetError for the first thing that the target cannot do."""
    for capability, why in iter_needs(target, deployment, place):
        require_capability(target, capability, why=why)


def iter_needs(
    target: Target, deployment: PreparedDeployment, place: JobPlace
) -> Iterator[tuple[Capability, str]]:
    """What the job needs, each with the reason and the way out, as a clause."""
    settings = deployment.spec.settings
    for what, uri in (("input", place.input.uri), ("output", place.output.path)):
        path = None if what == "output" and place.output.table else find_local_path(uri)
        if path is not None and not _is_below(path, target.own_folders):
            yield Capability.LOCAL_PATHS, f"the {what} is {path}; name a URI of a store"
    if deployment.spec.gpus_per_instance:
        yield Capability.GPU, f"resources.gpus is {deployment.spec.gpus_per_instance}; {_NO_GPU}"
    if settings.isolation == "inline":
        yield Capability.INLINE_ISOLATION, "use isolation: process"
    if deployment.job_environment is not None:
        yield Capability.ENVIRONMENT, _NO_ENVIRONMENT
    if place.output.table is not None:
        yield Capability.CATALOG_TABLE, f"output_table is {place.output.table}"
    elif place.output.format == "delta":
        yield Capability.DELTA_OUTPUT, "choose another output_format"
        path = find_local_path(place.output.path)
        if path is not None and _is_below(path, target.own_folders):
            yield Capability.DELTA_IN_VOLUME, f"the output is {path}; {_NO_DELTA_IN_VOLUME}"


def _is_below(path: str, folders: tuple[str, ...]) -> bool:
    return any(path == folder or path.startswith(f"{folder}/") for folder in folders)
