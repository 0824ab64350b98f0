"""Compiles a job into a folder that somebody else runs. Control plane.

Offline and deterministic: the input is not looked at, and equal deployments give equal files.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sparkscore.control.deployment import PreparedDeployment, prepare_deployment
from sparkscore.control.job_folder import making_folder, write_job_files
from sparkscore.control.launch import JobPlace, build_output
from sparkscore.control.one_shot import (
    find_input,
    make_absolute,
    plan_application,
    write_target_files,
)
from sparkscore.control.options import CompileOptions
from sparkscore.control.output_checks import check_writable
from sparkscore.control.snapshot import JOBS_FOLDER
from sparkscore.errors import AlreadyExistsError
from sparkscore.messages.launch import InputMessage
from sparkscore.targets.base import Capability, require_capability
from sparkscore.targets.registry import get_target

STANDALONE_MASTER = "spark://HOST:PORT"
"""Stands for the master that is named when the compiled job is submitted."""


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
    run = options.run
    return compile_prepared(
        prepare_deployment(run),
        target_name=options.target,
        folder=options.folder,
        input_=find_input(run),
        output_path=run.output_path,
        job_folder=run.job_folder,
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
) -> CompiledJob:
    """The same for a deployment that was checked.

    The job is named by its job folder; without one, by the compiled folder.
    """
    target = get_target(target_name)
    require_capability(target, Capability.COMPILE)
    folder = Path(os.path.abspath(folder))
    _check_folder(folder)
    job_folder = Path(os.path.abspath(job_folder or Path(JOBS_FOLDER) / folder.name))
    output = make_absolute(output_path or str(job_folder / "score"))
    place = JobPlace(
        job_name=job_folder.name,
        job_folder=job_folder,
        files=folder,
        input=input_,
        output=build_output(deployment, path=output, options=output_options),
        created_at="",
        master=None,
    )
    compiled = target.compile(
        plan_application(
            deployment,
            place=place,
            master=STANDALONE_MASTER if target.name == "spark-submit" else None,
            machine=None,
        )
    )
    with making_folder(folder) as partial:
        write_job_files(partial, deployment=deployment, place=place, linked_model=False)
        write_target_files(compiled, folder=partial)
    return CompiledJob(folder, place.job_folder, deployment.warnings)


def _check_folder(folder: Path) -> None:
    if os.path.lexists(folder) and not (folder.is_dir() and not any(folder.iterdir())):
        raise AlreadyExistsError(
            f"{folder} already exists and is no empty folder: give another -o",
            condition="OUTPUT_EXISTS",
            path=str(folder),
        )
    check_writable(folder, what="folder", condition="OUTPUT_NOT_WRITABLE")
