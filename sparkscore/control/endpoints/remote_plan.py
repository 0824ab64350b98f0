"""What is special about a job whose driver runs on a platform. Control plane; makes nothing."""

from __future__ import annotations

import os
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sparkscore.control.jobs.remote_compile import NOT_SUBMITTED, list_driver_words
from sparkscore.control.jobs.remote_store import RemoteStore
from sparkscore.control.needs import check_needs
from sparkscore.control.one_shot import check_place
from sparkscore.control.output_checks import check_job_folder, check_output_outside_input
from sparkscore.control.secret_names import refuse_secrets
from sparkscore.errors import InvalidFieldError
from sparkscore.listing.location import find_local_path
from sparkscore.spec import Location, parse_data
from sparkscore.targets.base import CompiledApplication, Target
from sparkscore.targets.registry import get_target

if TYPE_CHECKING:
    from sparkscore.control.assets.computes import ComputeTarget
    from sparkscore.control.assets.data import ResolvedInput
    from sparkscore.control.deployment import PreparedDeployment
    from sparkscore.control.launch import JobPlace
    from sparkscore.control.workspace import Workspace

_FOLDER = "uri_folder"
_VOLUMES = "/Volumes/"


def describe_remote(
    workspace: Workspace, compute: ComputeTarget, *, job_name: str
) -> dict[str, Any] | None:
    """``remote`` of the record of a new job; None for a compute whose drivers run here.

    Raises what ``resolve_registered`` does, and InvalidFieldError (STAGING_NOT_REACHABLE).
    """
    if not compute.is_remote:
        return None
    from sparkscore.control.assets.resolve import resolve_registered

    written = str(compute.platform["staging"])
    found = resolve_registered(workspace, written, base=Path.cwd())
    local = find_local_path(found.uri)
    if local is not None and not os.path.isdir(local):
        raise InvalidFieldError(
            f"staging {written} of compute {compute.name} is no folder of this machine, which "
            "copies the files of jobs there: mount it, or name a URI of a store that this machine "
            "and the platform reach",
            condition="STAGING_NOT_REACHABLE",
            staging=written,
            path=local,
        )
    return {
        "platform": compute.platform["type"],
        **NOT_SUBMITTED,
        "folder": f"{found.uri.rstrip('/')}/{job_name}",
        "options": dict(found.options),
        "run": 0,
        "token": uuid.uuid4().hex,
        "document": compute.platform,
    }


def find_own_input(
    workspace: Workspace, compute: ComputeTarget, text: str, *, input_type: str | None
) -> ResolvedInput | None:
    """An input in a folder that is the platform's own, such as /Volumes; None for others.

    Whether it is there only the driver can tell. Callers of a server may name volumes alone, which
    have rights of their own.
    """
    from sparkscore.control.assets.data import ResolvedInput

    type_, place = parse_data(text) if text.strip() else (None, None)
    if not compute.is_remote or not isinstance(place, Location):
        return None
    if not _is_own(place.uri, get_platform_target(compute)):
        return None
    if workspace.places is not None and not os.path.normpath(place.uri).startswith(_VOLUMES):
        return None
    return ResolvedInput(os.path.normpath(place.uri), type_ or input_type or _FOLDER)


def get_platform_target(compute: ComputeTarget) -> Target:
    """What compiles jobs for the compute's platform."""
    return get_target(str(compute.platform["type"]))


def check_remote(
    compute: ComputeTarget,
    deployment: PreparedDeployment,
    place: JobPlace,
    *,
    options: dict[str, str],
) -> None:
    """Check what can be checked from here; ``options`` are those of the staging folder's store.

    Raises InvalidFieldError (LOCAL_DATA_NOT_REACHABLE), UnsupportedByTargetError, StorageError
    (STAGING_NOT_REACHABLE), AlreadyExistsError (JOB_EXISTS), and what ``check_place`` does.
    """
    target = get_platform_target(compute)
    local = find_local_path(place.output.path) if place.output.table is None else None
    if local is not None and not _is_own(local, target):
        raise InvalidFieldError(
            f"output {local} is on this machine, whose paths compute {compute.name} does not see: "
            "give --output-path a URI of a store, or set uri under [datastore] in sparkscore.toml "
            "to one",
            condition="LOCAL_DATA_NOT_REACHABLE",
            path=local,
        )
    check_needs(target, deployment, place)
    RemoteStore(str(place.staging), options).check_free()
    if any(_is_own(uri, target) for uri in (place.input.uri, place.output.path)):
        check_job_folder(place.job_folder)
        check_output_outside_input(place.output, place.input)
    else:
        check_place(place)


def compile_planned(
    deployment: PreparedDeployment, place: JobPlace, remote: dict[str, Any]
) -> CompiledApplication:
    """The job in the words of its platform.

    Raises what the target refuses, and InvalidFieldError (SECRET_IN_CONF).
    """
    from sparkscore.control.one_shot import plan_application

    refuse_secrets(deployment.spark_conf)
    target = get_target(str(remote["platform"]))
    application = plan_application(
        deployment,
        place=place,
        master=target.master,
        machine=None,
        platform=remote["document"],
        launch_arguments=list_driver_words(remote),
    )
    return target.compile(application)


def _is_own(uri: str, target: Target) -> bool:
    path = os.path.normpath(uri)
    return any(path == folder or path.startswith(f"{folder}/") for folder in target.own_folders)
