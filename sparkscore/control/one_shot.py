"""Runs one job from a deployment file, without a workspace. Control plane.

``prepare_run`` checks everything while nothing is made yet, ``make_job`` makes the job folder,
``run_job`` submits the job and waits for its end.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from types import MappingProxyType
from typing import Any

from sparkscore.control.deployment import PreparedDeployment, prepare_deployment
from sparkscore.control.environments.job import (
    choose_mode,
    is_local_master,
    make_environment,
    settle_environment,
)
from sparkscore.control.job_folder import making_folder, write_job_files
from sparkscore.control.launch import JobPlace, build_output
from sparkscore.control.model import refuse_asset
from sparkscore.control.needs import check_needs
from sparkscore.control.options import RunOptions
from sparkscore.control.output_checks import (
    check_job_folder,
    check_job_folder_outside_input,
    check_output,
    check_output_outside_input,
)
from sparkscore.control.packages import write_packages
from sparkscore.control.snapshot import JOBS_FOLDER
from sparkscore.control.watch import Cancellation, OnStatus, wait_for_summary
from sparkscore.errors import PlanError
from sparkscore.listing import check_input, find_input_folder
from sparkscore.listing.location import find_local_path
from sparkscore.messages.launch import LAUNCH_FILE, InputMessage, LaunchMessage
from sparkscore.messages.status import SummaryMessage
from sparkscore.plan.machine import Machine, read_machine
from sparkscore.plan.spark_application import SparkApplication, plan_spark_application
from sparkscore.spec.locations import to_mounted
from sparkscore.storage import open_store
from sparkscore.targets.base import (
    Capability,
    CompiledApplication,
    DriverTarget,
    require_capability,
)
from sparkscore.targets.registry import Compute, get_compute

PLATFORM_RETRIES = 1
"""How often a platform starts a job again that broke off, where its compute does not say."""

NO_PLATFORM: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True)
class PreparedRun:
    """A job that may be made: everything about it was checked. ``messages`` are for its user."""

    deployment: PreparedDeployment
    compute: Compute
    place: JobPlace
    environment: dict[str, str]
    messages: tuple[str, ...]


@dataclass(frozen=True)
class MadeJob:
    """A job whose folder is made and that waits to be submitted."""

    folder: Path
    launch: LaunchMessage
    target: DriverTarget
    compiled: CompiledApplication
    environment: dict[str, str]

    @property
    def summary_file(self) -> Path:
        """Where the job's summary stands once it has ended."""
        return self.folder / "summary.json"


def prepare_run(
    options: RunOptions, *, environment: Mapping[str, str] | None = None
) -> PreparedRun:
    """Check a job and where it is to run; makes nothing.

    Raises SpecError, PlanError, TargetError or AlreadyExistsError. ``environment`` are the
    variables of the driver's process, by default those of this one.
    """
    compute = get_compute(options.compute)
    require_capability(compute.target, Capability.RUN)
    deployment = settle_environment(
        prepare_deployment(options),
        mode=choose_mode(environment=environment),
        is_local=is_local_master(compute.master),
    )
    place = plan_place(options, deployment=deployment, compute=compute)
    check_needs(compute.target, deployment, place)
    check_place(place)
    given = os.environ if environment is None else environment
    return PreparedRun(
        deployment=deployment,
        compute=compute,
        place=place,
        environment=compute.target.get_environment(given, master=compute.master),
        messages=(
            _where(options, deployment=deployment, job_name=place.job_name),
            f"job folder {place.job_folder}",
            *deployment.warnings,
        ),
    )


def make_job(prepared: PreparedRun) -> MadeJob:
    """Make the job folder with launch message, code and model, at once or not at all."""
    place = prepared.place
    application = plan_application(
        prepared.deployment, place=place, master=place.master, machine=read_machine()
    )
    compiled = prepared.compute.target.compile(application)
    with making_folder(place.job_folder) as folder:
        launch = write_job_files(
            folder, deployment=prepared.deployment, place=place, linked_model=True
        )
        write_target_files(compiled, folder=folder)
    return MadeJob(
        folder=place.job_folder,
        launch=launch,
        target=prepared.compute.target,
        compiled=compiled,
        environment=prepared.environment,
    )


def run_job(
    job: MadeJob, *, on_status: OnStatus, cancellation: Cancellation | None = None
) -> SummaryMessage:
    """Submit the job and wait for its end, handing each new status to ``on_status``.

    Its environment is built before, if it has one. Raises what ``make_environment`` does.
    Raises SubmitError if the driver cannot be started or ends without a summary, CanceledError if
    it had to be killed to cancel the job.
    """
    given = cancellation or Cancellation()
    make_environment(job.folder, job.launch, on_poll=given.raise_if_requested)
    run = job.target.submit(
        job.compiled,
        environment=job.environment,
        log_file=job.folder / "logs" / "driver.log",
    )
    return wait_for_summary(
        run,
        job_folder=job.folder,
        on_status=on_status,
        cancellation=given,
    )


def plan_place(
    options: RunOptions, *, deployment: PreparedDeployment, compute: Compute
) -> JobPlace:
    """Name and folders of a new job: those asked for, or new ones below ./sparkscore-jobs."""
    now = datetime.now(timezone.utc)
    if options.job_folder is not None:
        job_folder = Path(os.path.abspath(options.job_folder))
        job_name = job_folder.name
    else:
        token = secrets.token_hex(3)
        job_name = f"{deployment.spec.endpoint_name}-{now:%Y%m%d-%H%M%S}-{token}"
        job_folder = Path.cwd() / JOBS_FOLDER / job_name
    return JobPlace(
        job_name=job_name,
        job_folder=job_folder,
        files=job_folder,
        input=find_input(options),
        output=build_output(
            deployment, path=make_absolute(options.output_path or str(job_folder / "score"))
        ),
        created_at=now.isoformat(timespec="seconds"),
        master=compute.master,
    )


def find_input(options: RunOptions) -> InputMessage:
    """The input with an absolute path; raises UnresolvedReferenceError for a registered asset."""
    if options.input.startswith("azureml:"):
        raise refuse_asset(options.input, what="input")
    if not options.input.strip():
        raise PlanError("--input is empty: name a file, a folder or a URI", condition="NO_INPUT")
    return InputMessage(
        uri=make_absolute(options.input),
        limit=options.limit,
        include=options.include,
        exclude=options.exclude,
    )


def make_absolute(uri: str) -> str:
    """A local path as an absolute one, ``dbfs:/...`` as it is mounted; other URIs as they are."""
    return find_local_path(to_mounted(os.path.expanduser(uri))) or uri


def check_place(place: JobPlace) -> None:
    """Check that the input is there, and that output and job folder are not and can be made.

    Of inputs that are named one by one, those that are gone fail when they are scored.
    """
    if place.input.list_file is None:
        check_input(
            place.input.uri,
            options=place.input.options,
            include=place.input.include,
            exclude=place.input.exclude,
        )
    elif find_local_path(place.input.uri) is None:
        open_store(place.input.uri, place.input.options)
    local_input = find_local_path(place.input.uri)
    if local_input is not None:
        check_job_folder_outside_input(
            place.job_folder, input_path=Path(find_input_folder(local_input))
        )
    check_job_folder(place.job_folder)
    check_output(place.output, job_folder=place.job_folder)
    check_output_outside_input(place.output, place.input)


def plan_application(
    deployment: PreparedDeployment,
    *,
    place: JobPlace,
    master: str | None,
    machine: Machine | None,
    platform: Mapping[str, Any] = NO_PLATFORM,
    launch_arguments: Sequence[str] = (),
) -> SparkApplication:
    """The Spark application of a job; ``machine`` is where its driver will run, if known.

    ``platform`` are the keys of its compute, ``launch_arguments`` follow the launch message.
    """
    spec, files = deployment.spec, place.staging or str(place.files)
    application = plan_spark_application(
        place.job_name,
        entry_point=f"{files}/score.py",
        launch_path=f"{files}/{LAUNCH_FILE}",
        job_folder=str(place.job_folder),
        machine=machine,
        master=master,
        instance_count=spec.given_instance_count,
        max_concurrency_per_instance=spec.settings.max_concurrency_per_instance,
        spark_conf=deployment.spark_conf,
        py_files=(f"{files}/sparkscore.zip",),
        uses_delta=spec.output_format == "delta",
        gpus_per_instance=spec.gpus_per_instance,
        launch_arguments=launch_arguments,
        relay=place.relay or place.staging is not None,
    )
    return replace(
        application,
        max_platform_retries=platform.get("max_platform_retries", PLATFORM_RETRIES),
        timeout_seconds=platform.get("timeout_seconds"),
        platform=platform,
        staging=place.staging,
        input_uri=place.input.uri,
        output_path=place.output.path,
    )


def write_target_files(compiled: CompiledApplication, *, folder: Path) -> None:
    """Write what the target needs beside the launch message."""
    for name, text in compiled.files.items():
        file = folder / name
        file.write_text(text, encoding="utf-8")
        if text.startswith("#!"):
            file.chmod(file.stat().st_mode | 0o111)
    if compiled.packages:
        write_packages(folder / "sparkscore.zip")


def _where(options: RunOptions, *, deployment: PreparedDeployment, job_name: str) -> str:
    recorded = deployment.spec.compute
    if options.compute is not None:
        place = "locally" if options.compute.startswith("local") else f"on {options.compute}"
        return f"job {job_name} runs {place}"
    if recorded is None:
        return f"job {job_name} runs locally (pass --compute to choose)"
    return (
        f"job {job_name} runs locally (compute {recorded} is recorded, not used; pass --compute "
        "to choose)"
    )
