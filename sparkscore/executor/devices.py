"""Which GPUs this task has to itself. Python worker process.

Spark hands them out (``spark.task.resource.gpu.amount``), by index or by unique id.
"""

from __future__ import annotations

from typing import Any

GPU = "gpu"


def find_devices() -> tuple[str, ...]:
    """Addresses of the task's GPUs in their order; empty where Spark hands out none."""
    from pyspark import TaskContext

    return get_devices(TaskContext.get())


def get_devices(context: Any) -> tuple[str, ...]:
    """The same for a task's context, or None outside of a task."""
    found = context.resources().get(GPU) if context is not None else None
    return tuple(sorted(found.addresses)) if found is not None else ()


def get_device_variables(devices: tuple[str, ...]) -> dict[str, str]:
    """What makes libraries see these devices alone; nothing where there are none.

    Indices are those of nvidia-smi, which CUDA would count in another order by itself.
    """
    if not devices:
        return {}
    return {"CUDA_DEVICE_ORDER": "PCI_BUS_ID", "CUDA_VISIBLE_DEVICES": ",".join(devices)}
