"""Opens the Spark session of a job whose driver process is ours. Spark driver process."""

from __future__ import annotations

import contextlib
import os
import socket
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pyspark import SparkConf, SparkContext
from pyspark.sql import SparkSession

import sparkscore
from sparkscore.driver.children import end_python_workers
from sparkscore.driver.delta_jars import delta_jars, find_delta_package
from sparkscore.driver.job_folder import JobFolder
from sparkscore.errors import MissingDependencyError
from sparkscore.messages.launch import LaunchMessage
from sparkscore.plan.machine import read_machine
from sparkscore.plan.spark_application import SparkApplication, plan_launched_application

_JAVA_OPTIONS = "spark.driver.extraJavaOptions"
_NO_SHARED_FILE = "-XX:+PerfDisableSharedMem"
"""Without it each JVM has a file below /tmp/hsperfdata_USER, which stays if the JVM is killed."""
_LAUNCHER_OPTIONS = "SPARK_LAUNCHER_OPTS"
_LOCAL_DIR, _LOCAL_DIRS = "spark.local.dir", "SPARK_LOCAL_DIRS"
_SOCKETS = "spark.python.unix.domain.socket.dir"
_ANSWER_SECONDS = 2.0
_DELTA_CLASS = "io.delta.tables.DeltaTable"


def is_guest() -> bool:
    """Whether a platform owns this process and its session: Databricks does."""
    return "DATABRICKS_RUNTIME_VERSION" in os.environ


def open_session(launch: LaunchMessage) -> SparkSession:
    """A session as the launch message asks for; under spark-submit its settings count too.

    A guest takes the session that is there.
    """
    _let_workers_import_this()
    if is_guest():
        return SparkSession.builder.getOrCreate()
    submitted = _submitted_conf()
    application = _application(launch, submitted)
    builder = SparkSession.builder.master(application.master)
    for key, value in application.conf.items():
        if key == _LOCAL_DIR and not submitted and application.master.startswith("local"):
            # The same to Spark, but without a warning in every job's log.
            os.environ.setdefault(_LOCAL_DIRS, value)
        else:
            builder = builder.config(key, value)
    if not submitted:
        folder = JobFolder(launch.job_folder)
        builder = builder.config(_JAVA_OPTIONS, _java_options(folder, application))
        os.environ.setdefault(_LAUNCHER_OPTIONS, _NO_SHARED_FILE)
        if _SOCKETS not in application.conf:
            builder = builder.config(_SOCKETS, str(folder.make_socket_folder()))
    if launch.output.format == "delta" and not submitted:
        builder = builder.config("spark.jars", _all_jars(application))
    spark = builder.getOrCreate() if submitted else _start(builder, JobFolder(launch.job_folder))
    if launch.output.format == "delta":
        _check_delta(spark)
    return spark


def _start(builder: Any, folder: JobFolder) -> SparkSession:
    """Start Spark; a driver that is killed meanwhile leaves PySpark's temporary files in the job's
    scratch folder."""
    before = tempfile.tempdir
    tempfile.tempdir = str(folder.make_temporary_folder())
    try:
        session: SparkSession = builder.getOrCreate()
    finally:
        tempfile.tempdir = before
    return session


def stop_session() -> None:
    """Stop the session of this process, if there is one."""
    with contextlib.suppress(Exception):
        session = SparkSession.getActiveSession()
        if session is not None:
            if not session.sparkContext.statusTracker().getActiveStageIds():
                end_python_workers()
            session.stop()


def is_session_gone() -> bool:
    """Whether the JVM of this process has ended or is about to, or its Spark context was stopped,
    and not by this process: platforms end the JVM first.
    """
    gateway = SparkContext._gateway
    if gateway is None:
        return False
    return _is_told(_is_ending) or _is_told(_is_stopped) or not _answers(gateway)


def _is_told(ask: Callable[[], Any]) -> bool:
    """A JVM that does not answer, or may not, says no."""
    try:
        return bool(ask())
    except Exception:
        return False


def _is_ending() -> Any:
    machine: Any = SparkContext._jvm
    return machine.org.apache.spark.util.ShutdownHookManager.inShutdown()


def _is_stopped() -> Any:
    context: Any = SparkContext._active_spark_context
    return context is not None and context._jsc.sc().isStopped()


def _answers(gateway: Any) -> bool:
    try:
        where = gateway.gateway_parameters
        socket.create_connection((where.address, where.port), timeout=_ANSWER_SECONDS).close()
    except AttributeError:
        return True
    except OSError:
        return False
    return True


def _submitted_conf() -> dict[str, str]:
    """What spark-submit was told; empty where this process starts Spark itself."""
    if "PYSPARK_GATEWAY_PORT" not in os.environ:
        return {}
    SparkContext._ensure_initialized()
    return dict(SparkConf().getAll())


def _application(launch: LaunchMessage, submitted: dict[str, str]) -> SparkApplication:
    return plan_launched_application(
        launch,
        entry_point="sparkscore.driver",
        launch_path=os.path.join(launch.job_folder, "launch.json"),
        machine=read_machine(),
        submitted=submitted,
    )


def _java_options(folder: JobFolder, application: SparkApplication) -> str:
    """What a killed JVM leaves in its temporary folder goes with the job's scratch folder."""
    ours = f'{_NO_SHARED_FILE} "-Djava.io.tmpdir={folder.make_temporary_folder()}"'
    return f"{ours} {application.conf.get(_JAVA_OPTIONS, '')}".strip()


def _all_jars(application: SparkApplication) -> str:
    given = application.conf.get("spark.jars", "")
    return ",".join([*filter(None, given.split(",")), *map(str, delta_jars())])


def _check_delta(spark: SparkSession) -> None:
    """Spark only warns about an extension that it cannot load."""
    try:
        virtual_machine: Any = spark.sparkContext._jvm
        loader = virtual_machine.java.lang.Thread.currentThread().getContextClassLoader()
        loader.loadClass(_DELTA_CLASS)
    except Exception as error:
        raise MissingDependencyError(
            "the output is a Delta table and Delta's jars are not on the class path: give "
            f"spark-submit --packages {find_delta_package() or 'the Delta Lake of this Spark'}",
            condition="DELTA_JARS_MISSING",
        ) from error


def _let_workers_import_this() -> None:
    """Local workers find sparkscore where this process found it, installed or not."""
    root = str(Path(sparkscore.__file__).parent.parent)
    others = os.environ.get("PYTHONPATH", "")
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [root, others]))
