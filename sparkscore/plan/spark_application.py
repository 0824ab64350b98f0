"""How a job is launched on Spark, whichever target launches it. Any process, pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sparkscore.messages.launch import LaunchMessage
from sparkscore.plan.machine import Machine
from sparkscore.plan.resources import Asked, Resources, get_count, get_gpu_conf, plan_resources

TASK_ATTEMPTS = 4
"""How often Spark starts a task before it gives the wave up; in local mode its own default is 1."""

LOCAL = "local"

SCRATCH_NAME = "scratch"
"""Folder in a local job's folder where Spark and fetched inputs live while it runs."""

_GIB = 1024**3
_MIB = 1024**2
_MIN_HEAP_BYTES = 1 * _GIB
_MAX_HEAP_BYTES = 4 * _GIB
_SLOTS_PRODUCT = "instance_count x max_concurrency_per_instance"
_SLOT_KEYS = ("spark.executor.instances", "spark.executor.cores", "spark.cores.max")

_LOCAL_MASTER = re.compile(r"local(\[(?P<cores>\d{1,9}|\*)(,\s*\d+)?\])?")

DEFAULT_CONF = {
    "spark.task.maxFailures": str(TASK_ATTEMPTS),
    "spark.sql.shuffle.partitions": "4",
    "spark.databricks.delta.snapshotPartitions": "2",
    "spark.sql.execution.arrow.maxRecordsPerBatch": "10000",
    "spark.python.unix.domain.socket.enabled": "true",
}
"""What users may set otherwise: small tables need few partitions, sockets on disk are faster."""

REQUIRED_CONF = {
    "spark.ui.showConsoleProgress": "false",
    "spark.scheduler.mode": "FIFO",
    "spark.python.worker.reuse": "true",
    "spark.python.use.daemon": "true",
    "spark.hadoop.mapreduce.fileoutputcommitter.algorithm.version": "1",
    "spark.hadoop.mapreduce.fileoutputcommitter.marksuccessfuljobs": "true",
}
"""What the engine relies on: workers that keep their script host, waves committed by _SUCCESS."""

RELAY_CONF = {"spark.driver.maxResultSize": "0"}
"""Where results come back through the driver: all that a wave gives passes, a little at a time."""

YARN_CONF = {"spark.python.unix.domain.socket.enabled": "false"}
"""The folder of a container has so long a path that no socket fits into it."""

DELTA_CONF = {
    "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
    "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
}


@dataclass(frozen=True)
class SparkApplication:
    """One job as Spark sees it; every target renders this and decides nothing itself.

    ``slots`` is how many mini-batches are scored at the same time, None where the cluster
    decides; ``slots_reason`` says how it was found. ``driver_memory_bytes`` is the heap of the
    driver's JVM, None where the cluster decides.

    ``staging`` is the URI of the folder with the job's files, for a platform that sees no path of
    this machine: entry point and arguments then lie in it. An environment's archive lies there too;
    the driver gives it to executors. ``platform`` are the keys of the compute for that platform,
    ``max_platform_retries`` and ``timeout_seconds`` (None is no limit) what it does with a run.
    ``input_uri`` and ``output_path`` are those of the launch message, to be shown.
    """

    name: str
    entry_point: str
    arguments: tuple[str, ...]
    py_files: tuple[str, ...]
    master: str
    conf: dict[str, str]
    slots: int | None
    slots_reason: str
    driver_memory_bytes: int | None
    task_attempts: int
    resources: Resources = field(default_factory=Resources)
    max_platform_retries: int = 0
    timeout_seconds: int | None = None
    platform: Mapping[str, Any] = field(default_factory=dict)
    staging: str | None = None
    input_uri: str = ""
    output_path: str = ""


@dataclass(frozen=True)
class _Slots:
    count: int | None
    reason: str
    thread_count: int | None = None


def plan_spark_application(
    name: str,
    *,
    entry_point: str,
    launch_path: str,
    job_folder: str,
    machine: Machine | None,
    master: str | None = None,
    instance_count: int | None = None,
    max_concurrency_per_instance: int | None = None,
    spark_conf: Mapping[str, str] | None = None,
    py_files: Sequence[str] = (),
    uses_delta: bool = False,
    gpus_per_instance: int = 0,
    launch_arguments: Sequence[str] = (),
    relay: bool = False,
) -> SparkApplication:
    """The application of job ``name``; its arguments are ``launch_path``, ``launch_arguments``.

    ``machine`` is where the driver will run, None if that is not known here. Without ``master``
    the job is local. ``spark_conf`` is the user's: it wins over our defaults, not over what the
    engine requires. Spark hands out GPUs on clusters only, one executor being one instance.
    """
    user_conf = dict(spark_conf or {})
    task_cores = get_count(user_conf, "spark.task.cpus", default=1)
    attempts = get_count(user_conf, "spark.task.maxFailures", default=TASK_ATTEMPTS)
    asked = Asked(instance_count, max_concurrency_per_instance, task_cores, gpus_per_instance)
    local = _LOCAL_MASTER.fullmatch(master or LOCAL)
    if local is not None:
        slots = _plan_local_slots(asked, local["cores"], machine)
        master = f"local[{slots.thread_count or '*'},{attempts}]"
        target_conf = _get_local_conf(job_folder)
    else:
        slots = _plan_cluster_slots(asked, user_conf)
        target_conf = _get_cluster_conf(asked, master=str(master))
    conf = {
        "spark.app.name": name,
        **DEFAULT_CONF,
        **(RELAY_CONF if relay else {}),
        **_get_heap_conf(machine),
        **target_conf,
        **(get_gpu_conf(asked) if local is None else {}),
        **user_conf,
        **(_get_delta_conf(user_conf) if uses_delta else {}),
        **REQUIRED_CONF,
    }
    resources = plan_resources(conf, gpus_per_executor=gpus_per_instance)
    return SparkApplication(
        name=name,
        entry_point=entry_point,
        arguments=(launch_path, *launch_arguments),
        py_files=tuple(py_files),
        master=str(master),
        conf=conf,
        slots=slots.count,
        slots_reason=slots.reason,
        driver_memory_bytes=resources.driver_memory_bytes,
        task_attempts=attempts,
        resources=resources,
    )


def plan_launched_application(
    launch: LaunchMessage,
    *,
    entry_point: str,
    launch_path: str,
    machine: Machine | None,
    submitted: Mapping[str, str] | None = None,
    py_files: Sequence[str] = (),
) -> SparkApplication:
    """The application of a job that was launched; ``submitted`` is what spark-submit was told."""
    given = dict(submitted or {})
    return plan_spark_application(
        launch.job_name,
        entry_point=entry_point,
        launch_path=launch_path,
        job_folder=launch.job_folder,
        machine=machine,
        master=given.get("spark.master", launch.master),
        instance_count=launch.instance_count,
        max_concurrency_per_instance=launch.max_concurrency_per_instance,
        spark_conf={**given, **launch.spark_conf},
        py_files=py_files,
        uses_delta=launch.output.format == "delta",
        gpus_per_instance=launch.gpus_per_instance,
        relay=launch.relay,
    )


def _plan_local_slots(asked: Asked, cores: str | None, machine: Machine | None) -> _Slots:
    """``cores`` is what the master names in brackets, if anything."""
    if cores is not None and cores != "*":
        return _get_local_slots(asked, int(cores), f"master local[{cores}]")
    if machine is None:
        return _Slots(None, "all cores of the driver's machine")
    if cores == "*" or asked.slots is None:
        return _get_local_slots(asked, machine.core_count, "all cores")
    threads = asked.slots * asked.task_cores
    if threads <= machine.core_count:
        return _get_local_slots(asked, threads, _SLOTS_PRODUCT)
    reason = f"{_SLOTS_PRODUCT} is {asked.slots}, this machine has {machine.core_count} cores"
    return _get_local_slots(asked, machine.core_count, reason)


def _get_local_slots(asked: Asked, threads: int, reason: str) -> _Slots:
    threads = max(threads, asked.task_cores)
    return _Slots(threads // asked.task_cores, reason, threads)


def _plan_cluster_slots(asked: Asked, user_conf: Mapping[str, str]) -> _Slots:
    if any(key in user_conf for key in _SLOT_KEYS):
        return _Slots(None, "spark_conf decides")
    return _Slots(asked.slots, _SLOTS_PRODUCT if asked.slots else "the cluster decides")


def _get_local_conf(job_folder: str) -> dict[str, str]:
    conf = {"spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1"}
    if "," not in job_folder and "://" not in job_folder:  # a comma separates several folders
        conf["spark.local.dir"] = f"{job_folder.rstrip('/')}/{SCRATCH_NAME}"
    return conf


def _get_cluster_conf(asked: Asked, *, master: str) -> dict[str, str]:
    conf = dict(YARN_CONF) if master.startswith("yarn") else {}
    if asked.slots is None:
        return conf
    conf |= {
        "spark.executor.instances": str(asked.executors),
        "spark.executor.cores": str(asked.concurrency * asked.task_cores),
    }
    if master.startswith("spark://"):
        conf["spark.cores.max"] = str(asked.slots * asked.task_cores)
    return conf


def _get_heap_conf(machine: Machine | None) -> dict[str, str]:
    if machine is None:
        return {}
    heap_bytes = min(max(machine.memory_bytes // 4, _MIN_HEAP_BYTES), _MAX_HEAP_BYTES)
    return {"spark.driver.memory": f"{heap_bytes // _MIB}m"}


def _get_delta_conf(user_conf: Mapping[str, str]) -> dict[str, str]:
    """Delta beside the user's own extensions; a catalog of the user's stays."""
    conf = {**DELTA_CONF, **{key: user_conf[key] for key in DELTA_CONF if key in user_conf}}
    extensions = [name for name in conf["spark.sql.extensions"].split(",") if name]
    delta = DELTA_CONF["spark.sql.extensions"]
    conf["spark.sql.extensions"] = ",".join(
        extensions if delta in extensions else [*extensions, delta]
    )
    return conf
