"""Starts a driver with spark-submit, in client mode. Control plane."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from sparkscore.errors import MissingDependencyError, SubmitError
from sparkscore.messages.launch import STOP_WITH_PARENT
from sparkscore.plan.spark_application import DELTA_CONF
from sparkscore.targets.base import CompiledApplication
from sparkscore.targets.environment import make_driver_environment
from sparkscore.targets.process import (
    DriverProcess,
    StartProcess,
    start_process,
    stop_with_parent,
)

CONNECT_TIMEOUT_SECONDS = 5.0


def get_environment(
    environment: Mapping[str, str], *, master: str, is_detached: bool = False
) -> dict[str, str]:
    """The driver's variables; workers have PYSPARK_PYTHON, else the path of this Python.

    Raises SubmitError if nobody answers at ``master``: Spark itself would wait for minutes.
    """
    worker_python = environment.get("PYSPARK_PYTHON") or sys.executable
    made = make_driver_environment(
        environment, worker_python=worker_python, is_detached=is_detached
    )
    check_master(master)
    return made


def check_master(master: str, *, timeout_seconds: float = CONNECT_TIMEOUT_SECONDS) -> None:
    """Raise SubmitError unless one of the hosts of ``spark://HOST:PORT[,HOST:PORT]`` answers; a
    local cluster starts with its driver."""
    if master.startswith("local-cluster["):
        return
    reasons = []
    for address in master.removeprefix("spark://").split(","):
        host, _, port = address.rpartition(":")
        try:
            socket.create_connection((host.strip("[]"), int(port)), timeout_seconds).close()
            return
        except (OSError, ValueError, OverflowError) as error:  # a host that no DNS name can be
            reasons.append(f"{address}: {getattr(error, 'strerror', None) or error}")
    raise SubmitError(
        f"no Spark master answers at {master} ({'; '.join(reasons)}): check the address and that "
        "the cluster is running",
        condition="MASTER_UNREACHABLE",
        master=master,
    )


def get_jars_arguments(
    compiled: CompiledApplication, *, environment: Mapping[str, str]
) -> tuple[str, ...]:
    """``--jars`` with Delta's where the application uses it: the driver resolves them.

    Raises MissingDependencyError (DELTA_JARS_MISSING) if it cannot.
    """
    if not any(DELTA_CONF["spark.sql.extensions"] in argument for argument in compiled.arguments):
        return ()
    command = [sys.executable, "-m", "sparkscore.driver.delta_jars"]
    done = subprocess.run(
        command, env=dict(environment), capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        reason = (done.stderr.strip().splitlines() or ["no reason was given"])[-1]
        raise MissingDependencyError(reason, condition="DELTA_JARS_MISSING")
    return ("--jars", ",".join(done.stdout.split("\n")).strip(","))


def get_python_arguments(compiled: CompiledApplication) -> tuple[str, ...]:
    """Keeps the driver in the Python of this process where spark_conf names one for workers: Spark
    would take that for the driver too."""
    given = {argument.partition("=")[0] for argument in compiled.arguments}
    if "spark.pyspark.python" not in given or "spark.pyspark.driver.python" in given:
        return ()
    return ("--conf", f"spark.pyspark.driver.python={sys.executable}")


def submit_application(
    compiled: CompiledApplication,
    *,
    environment: Mapping[str, str],
    log_file: Path,
    start: StartProcess = start_process,
) -> DriverProcess:
    """Start the spark-submit of SPARK_HOME; it ends with this process unless detached."""
    program = os.path.join(environment["SPARK_HOME"], "bin", "spark-submit")
    jars = get_jars_arguments(compiled, environment=environment)
    python = get_python_arguments(compiled)
    command: tuple[str, ...] = (program, *jars, *python, *compiled.arguments)
    if environment.get(STOP_WITH_PARENT) == "1":
        command = stop_with_parent(command)
    return DriverProcess(
        start(command, environment=environment, log_file=log_file), marker=compiled.arguments[-1]
    )
