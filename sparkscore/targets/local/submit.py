"""Starts a driver on this machine with Spark in local mode. Control plane."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

from sparkscore.targets.base import CompiledApplication
from sparkscore.targets.environment import make_driver_environment
from sparkscore.targets.process import DriverProcess, StartProcess, start_process


def get_environment(environment: Mapping[str, str], *, is_detached: bool = False) -> dict[str, str]:
    """The driver's variables: workers have the Python of this process, whatever was set."""
    return make_driver_environment(
        environment, worker_python=sys.executable, is_detached=is_detached
    )


def submit_application(
    compiled: CompiledApplication,
    *,
    environment: Mapping[str, str],
    log_file: Path,
    start: StartProcess = start_process,
) -> DriverProcess:
    """Start the driver in the Python of this process."""
    command = (sys.executable, *compiled.arguments)
    return DriverProcess(
        start(command, environment=environment, log_file=log_file), marker=compiled.arguments[-1]
    )
