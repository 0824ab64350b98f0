"""Starts the driver of a job on this machine, or finds one that was started. Control plane."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from sparkscore.control.jobs.look import get_launch_path
from sparkscore.control.jobs.processes import is_alive
from sparkscore.errors import MessageError
from sparkscore.messages.codec import from_json
from sparkscore.messages.launch import LAUNCH_FILE, LaunchMessage
from sparkscore.plan.machine import read_machine
from sparkscore.plan.spark_application import plan_launched_application
from sparkscore.state import JobRecord
from sparkscore.targets.base import TargetRun
from sparkscore.targets.process import AdoptedDriver
from sparkscore.targets.registry import get_compute


def start_driver(
    record: JobRecord,
    *,
    secret_variables: frozenset[str] = frozenset(),
    on_poll: Callable[[], None] = lambda: None,
) -> TargetRun:
    """Start the driver of a job from the launch message in its folder, on the target it names.

    Its environment is built before, and ``on_poll`` called meanwhile. ``secret_variables`` of the
    environment are the launcher's: scripts could read the driver's. Raises MessageError,
    SubmitError, MissingDependencyError, TargetError (ENVIRONMENT_NOT_BUILT) and whatever the plan
    refuses.
    """
    folder = Path(record.folder)
    launch = read_launch(folder / LAUNCH_FILE)
    if launch.scoring.environment is not None:
        from sparkscore.control.environments.job import make_environment

        make_environment(folder, launch, on_poll=on_poll)
    compute = get_compute(launch.master)
    application = plan_launched_application(
        launch,
        entry_point=str(folder / "score.py"),
        launch_path=get_launch_path(record),
        machine=read_machine(),
        py_files=(str(folder / "sparkscore.zip"),),
    )
    environment = compute.target.get_environment(
        {key: os.environ[key] for key in os.environ if key not in secret_variables},
        master=compute.master,
        is_detached=True,
    )
    return compute.target.submit(
        compute.target.compile(application),
        environment=environment,
        log_file=folder / "logs" / "driver.log",
    )


def adopt_driver(record: JobRecord) -> TargetRun:
    """A driver that an earlier launcher started."""
    assert record.driver is not None, "a job that is claimed while it runs has a living driver"
    return AdoptedDriver(
        record.driver.process_id,
        marker=get_launch_path(record),
        is_alive=lambda: is_alive(record.driver) is True,
    )


def read_launch(file: Path) -> LaunchMessage:
    """The launch message; raises MessageError if it cannot be read."""
    try:
        text = file.read_bytes()
    except OSError as error:
        raise MessageError(f"{file} cannot be read: {error.strerror}", where=str(file)) from error
    return from_json(LaunchMessage, text, where=str(file))
