"""What a job asks of its Spark: executors, cores, memory and GPUs. Any process, pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from sparkscore.errors import InvalidFieldError

_MIB = 1024**2
_SIZE = re.compile(r"(?P<number>\d{1,18})\s*(?P<unit>[kmgtp]?)b?", re.IGNORECASE)
_UNITS = {"": _MIB, "k": 1024, "m": _MIB, "g": 1024**3, "t": 1024**4, "p": 1024**5}

EXECUTOR_GPUS = "spark.executor.resource.gpu.amount"
TASK_GPUS = "spark.task.resource.gpu.amount"


@dataclass(frozen=True)
class Asked:
    """What the deployment asks for; one factor alone stands for itself.

    ``task_cores`` are the cores of one mini-batch; ``gpus_per_executor`` is 0 without GPUs.
    """

    instance_count: int | None
    max_concurrency_per_instance: int | None
    task_cores: int
    gpus_per_executor: int = 0

    @property
    def executors(self) -> int:
        return self.instance_count or 1

    @property
    def concurrency(self) -> int:
        return self.max_concurrency_per_instance or 1

    @property
    def slots(self) -> int | None:
        if self.instance_count is None and self.max_concurrency_per_instance is None:
            return None
        return self.executors * self.concurrency


@dataclass(frozen=True)
class Resources:
    """What a platform has to provide; None is the platform's own default.

    ``cores_per_executor`` are Spark's slots times the cores of one mini-batch. Memory is the heap
    of a JVM, in bytes.
    """

    executor_count: int | None = None
    cores_per_executor: int | None = None
    gpus_per_executor: int = 0
    driver_memory_bytes: int | None = None
    executor_memory_bytes: int | None = None


def plan_resources(conf: Mapping[str, str], *, gpus_per_executor: int) -> Resources:
    """The resources that an application's Spark properties say.

    Raises InvalidFieldError for a count or size that Spark would not read.
    """
    return Resources(
        executor_count=_find_count(conf, "spark.executor.instances"),
        cores_per_executor=_find_count(conf, "spark.executor.cores"),
        gpus_per_executor=gpus_per_executor,
        driver_memory_bytes=find_bytes(conf, "spark.driver.memory"),
        executor_memory_bytes=find_bytes(conf, "spark.executor.memory"),
    )


def get_gpu_conf(asked: Asked) -> dict[str, str]:
    """Spark's requests for GPUs; each task gets an equal share of its executor's.

    More GPUs than tasks: each task has several to itself. Fewer: tasks share one. Where the
    cluster decides how many tasks there are, each has one GPU.
    """
    gpus = asked.gpus_per_executor
    if not gpus:
        return {}
    tasks = gpus if asked.slots is None else asked.concurrency
    return {EXECUTOR_GPUS: str(gpus), TASK_GPUS: _get_share(gpus, tasks)}


def _get_share(gpus: int, tasks: int) -> str:
    """GPUs of one task. Spark takes a whole number or the inverse of one, rounded down."""
    if tasks <= gpus:
        return str(gpus // tasks)
    sharing = -(-tasks // gpus)
    return f"{10**6 // sharing / 10**6:.6f}".rstrip("0")


def get_count(conf: Mapping[str, str], key: str, *, default: int) -> int:
    """The count at ``key``; raises InvalidFieldError if it is no whole number of at least 1."""
    found = _find_count(conf, key)
    return default if found is None else found


def _find_count(conf: Mapping[str, str], key: str) -> int | None:
    value = conf.get(key)
    if value is None:
        return None
    if not re.fullmatch(r"0{0,9}[1-9]\d{0,8}", value):
        raise _invalid(key, value, "a whole number of at least 1")
    return int(value)


def find_bytes(conf: Mapping[str, str], key: str) -> int | None:
    """The size at ``key`` as the JVM reads it: a bare number is MiB."""
    value = conf.get(key)
    if value is None:
        return None
    match = _SIZE.fullmatch(value.strip())
    if match is None:
        raise _invalid(key, value, "a size such as 2g or 1500m")
    return int(match["number"]) * _UNITS[match["unit"].lower()]


def _invalid(key: str, value: str, expected: str) -> InvalidFieldError:
    return InvalidFieldError(
        f"spark_conf {key} is {value!r}: it must be {expected}", key=key, value=value
    )
