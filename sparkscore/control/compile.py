"""Compiles a job into a folder that somebody else runs. Control plane.

Offline and deterministic: the input is not looked at, and equal deployments give equal files. The
folder is all that the job needs, on whichever machine it is submitted.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from sparkscore.control.compile_compute import (
    NO_COMPUTE,
    CompileCompute,
    find_compute,
    fit_compute,
)
from sparkscore.control.deployment import PreparedDeployment, prepare_deployment
from sparkscore.control.environments.job import (
    REQUEST_FILE,
    choose_mode,
    make_environment,
    settle_environment,
)
from sparkscore.control.job_folder import making_folder, write_job_files
from sparkscore.control.launch import JobPlace, build_output
from sparkscore.control.needs import check_needs
from sparkscore.control.one_shot import (
    find_input,
    make_absolute,
    plan_application,
    write_target_files,
)
from sparkscore.control.options import CompileOptions
from sparkscore.control.output_checks import check_writable
from sparkscore.control.secret_names import find_open_variables, refuse_secrets
from sparkscore.control.snapshot import JOBS_FOLDER
from sparkscore.errors import AlreadyExistsError
from sparkscore.messages.launch import InputMessage
from sparkscore.targets.base import Capability, CompiledApplication, require_capability
from sparkscore.targets.registry import get_target
from sparkscore.targets.registry import list_target_names as list_target_names


@dataclass(frozen=True)
class CompiledJob:
    """A folder with a compiled job; ``messages`` are for its user."""

    folder: Path
    job_folder: Path
    messages: tuple[str, ...]


def compile_deployment(options: CompileOptions) -> CompiledJob:
    """Write launch message, code, model and what the target needs into a new folder.

    Raises SpecError, UnknownTargetError, AlreadyExistsError if the folder has content, or
    OutputNotWritableError.
    """
    get_target(options.target)  # a wrong name is said before all else
    run = options.run
    deployment = prepare_deployment(run)
    return compile_prepared(
        deployment,
        target_name=options.target,
        folder=options.folder,
        input_=find_input(run),
        output_path=run.output_path,
        job_folder=run.job_folder,
        compute=find_compute(run.compute, instance_count=deployment.spec.given_instance_count),
        is_chosen=run.compute is not None,
    )


def compile_prepared(
    deployment: PreparedDeployment,
    *,
    target_name: str,
    folder: Path,
    input_: InputMessage,
    output_path: str | None = None,
    output_options: Mapping[str, str] | None = None,
    job_folder: Path | None = None,
    compute: CompileCompute = NO_COMPUTE,
    is_chosen: bool = False,
    environments: str | None = None,
) -> CompiledJob:
    """The same for a deployment that was checked.

    The job is named by its job folder; without one, by the compiled folder. ``is_chosen`` says
    that ``compute`` was named for this job, ``environments`` is the workspace's mode. Raises
    PlanError (COMPUTE_NEEDED, COMPUTE_MISMATCH) for a compute that the target is not for,
    UnsupportedByTargetError, InvalidFieldError (SECRET_IN_CONF), and what building raises.
    """
    target = get_target(target_name)
    require_capability(target, Capability.COMPILE)
    deployment = settle_environment(
        deployment,
        mode=choose_mode(environments, compute.document.get("environments")),
        is_local=False,
    )
    compute = fit_compute(target, compute, is_chosen=is_chosen)
    deployment = replace(deployment, spark_conf={**compute.spark_conf, **deployment.spark_conf})
    refuse_secrets(deployment.spark_conf)
    folder = Path(os.path.abspath(folder))
    _check_folder(folder)
    job_folder = Path(os.path.abspath(job_folder or Path(JOBS_FOLDER) / folder.name))
    staging = compute.get_staging(job_folder.name)
    output = make_absolute(output_path or f"{staging or job_folder}/score")
    place = JobPlace(
        job_name=job_folder.name,
        job_folder=job_folder,
        files=Path(),
        input=input_,
        output=build_output(deployment, path=output, options=output_options),
        created_at="",
        master=None,
        staging=staging,
        relay=compute.document.get("shared_paths") is False,
    )
    check_needs(target, deployment, place)
    compiled = target.compile(
        plan_application(
            deployment,
            place=place,
            master=compute.document.get("master") or target.master,
            machine=None,
            platform=compute.document,
            launch_arguments=compute.launch_arguments,
        )
    )
    with making_folder(folder) as partial:
        _fill_folder(partial, deployment, place, compiled)
    warnings = (*deployment.warnings, *find_open_variables(deployment))
    return CompiledJob(folder, place.job_folder, warnings)


def _fill_folder(
    folder: Path, deployment: PreparedDeployment, place: JobPlace, compiled: CompiledApplication
) -> None:
    launch = write_job_files(folder, deployment=deployment, place=place, linked_model=False)
    with tempfile.TemporaryDirectory() as logs:
        make_environment(folder, launch, log_file=Path(logs, "environment.log"))
    (folder / REQUEST_FILE).unlink(missing_ok=True)  # what it asks for is built
    write_target_files(compiled, folder=folder)


def _check_folder(folder: Path) -> None:
    if os.path.lexists(folder) and not (folder.is_dir() and not any(folder.iterdir())):
        raise AlreadyExistsError(
            f"{folder} already exists and is no empty folder: give another -o",
            condition="OUTPUT_EXISTS",
            path=str(folder),
        )
    check_writable(folder, what="folder", condition="OUTPUT_NOT_WRITABLE")
