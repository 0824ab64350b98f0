"""Starts a driver with spark-submit, in client mode. Control plane."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Mapping
from pathlib import Path

from sparkscore.errors import SubmitError
from sparkscore.targets.base import CompiledApplication
from sparkscore.targets.environment import make_driver_environment
from sparkscore.targets.process import (
    DriverProcess,
    StartProcess,
    start_process,
    stop_with_parent,
)

CONNECT_TIMEOUT_SECONDS = 5.0


def get_environment(environment: Mapping[str, str], *, master: str) -> dict[str, str]:
    """The driver's variables; workers have PYSPARK_PYTHON, else the path of this Python.

    Raises SubmitError if nobody answers at ``master``: Spark itself would wait for minutes.
    """
    worker_python = environment.get("PYSPARK_PYTHON") or sys.executable
    made = make_driver_environment(environment, worker_python=worker_python)
    check_master(master)
    return made


def check_master(master: str, *, timeout_seconds: float = CONNECT_TIMEOUT_SECONDS) -> None:
    """Raise SubmitError unless one of the hosts of ``spark://HOST:PORT[,HOST:PORT]`` answers."""
    reasons = []
    for address in master.removeprefix("spark://").split(","):
        host, _, port = address.rpartition(":")
        try:
            socket.create_connection((host.strip("[]"), int(port)), timeout_seconds).close()
            return
        except OSError as error:
            reasons.append(f"{address}: {error.strerror or error}")
    raise SubmitError(
        f"no Spark master answers at {master} ({'; '.join(reasons)}): check the address and that "
        "the cluster is running",
        condition="MASTER_UNREACHABLE",
        master=master,
    )


def submit_application(
    compiled: CompiledApplication,
    *,
    environment: Mapping[str, str],
    log_file: Path,
    start: StartProcess = start_process,
) -> DriverProcess:
    """Start the spark-submit of SPARK_HOME; it ends with this process."""
    program = os.path.join(environment["SPARK_HOME"], "bin", "spark-submit")
    command = stop_with_parent((program, *compiled.arguments))
    return DriverProcess(
        start(command, environment=environment, log_file=log_file), marker=compiled.arguments[-1]
    )
