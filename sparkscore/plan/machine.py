"""What the machine that this process runs on offers, container limits included. Any process."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Machine:
    """Cores that this process may use, and memory."""

    core_count: int
    memory_bytes: int


def read_machine(*, cgroup_folder: str = "/sys/fs/cgroup") -> Machine:
    """The machine as the operating system and its control group describe it."""
    cores = [_count_cores()]
    memory = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    folder = Path(cgroup_folder)
    quota, period = _read_cpu_quota(folder)
    if quota > 0 and period > 0:
        cores.append(max(1, math.ceil(quota / period)))
    limit = _read_integers(folder / "memory.max") or _read_integers(
        folder / "memory" / "memory.limit_in_bytes"
    )
    memory += [limit[0]] if limit else []
    return Machine(core_count=min(cores), memory_bytes=min(memory))


def _count_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _read_cpu_quota(folder: Path) -> tuple[int, int]:
    """Microseconds of CPU per period of microseconds; zero where there is no limit."""
    both = _read_integers(folder / "cpu.max")
    if len(both) == 2:
        return both[0], both[1]
    quota = _read_integers(folder / "cpu" / "cpu.cfs_quota_us")
    period = _read_integers(folder / "cpu" / "cpu.cfs_period_us")
    return (quota[0], period[0]) if quota and period else (0, 0)


def _read_integers(path: Path) -> list[int]:
    """The numbers of a control file; none where it is missing or says ``max``."""
    try:
        return [int(word) for word in path.read_text().split()]
    except (OSError, ValueError):
        return []
