"""What the soak looks at between jobs: memory, descriptors, processes, disk. Reads /proc."""

from __future__ import annotations

import os
import statistics
import time
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import psutil

Sample = dict[str, float]

MEGABYTE = 2**20
_PATIENCE_SECONDS = 30.0


@dataclass(frozen=True)
class Bound:
    """What a figure is, and how much it may grow: over the whole stretch, or for each job."""

    about: str
    over_all: float = 0.0
    each_job: float = 0.0

    def get_allowed(self, jobs: float) -> float:
        """The growth that is allowed over so many jobs."""
        return max(self.over_all, self.each_job * jobs)


BOUNDS = {
    "session_python_mb": Bound("session: memory of the driver's Python, MB", over_all=16),
    "session_jvm_mb": Bound(
        "session: memory of the JVM, its heap of 1 GB included, MB", over_all=48
    ),
    "session_heap_mb": Bound("session: heap in use after a collection, MB", over_all=8),
    "session_workers_mb": Bound(
        "session: memory of Python workers, guards and script hosts, MB", over_all=48
    ),
    "session_processes": Bound("session: processes", over_all=1),
    "session_descriptors": Bound("session: open file descriptors of all of them", over_all=4),
    "session_threads": Bound("session: threads of all of them", over_all=4),
    "control_mb": Bound("process that invokes and waits: memory, MB", over_all=16),
    "control_descriptors": Bound("process that invokes and waits: file descriptors", over_all=2),
    "control_threads": Bound("process that invokes and waits: threads", over_all=2),
    "left_processes": Bound("processes of ended jobs"),
    "temporary_entries": Bound("entries in the temporary folder", over_all=1),
    "shared_memory_entries": Bound("entries in /dev/shm"),
    "session_local_mb": Bound("session: disk, its job folders removed, MB", over_all=1),
    "store_kb": Bound("store, KB", each_job=64),
    "mlflow_kb": Bound("MLflow runs, KB", each_job=64),
    "workspace_rest_kb": Bound("workspace without store, runs and job folders, KB", over_all=16),
    "user_kb": Bound("the user's configuration, KB", over_all=1),
}
"""Every figure that is sampled; a growth of 0 means that it stays as it is."""


@dataclass(frozen=True)
class Places:
    """Where the soak works: everything that it starts has ``root`` somewhere in its environment."""

    root: Path

    @property
    def workspace(self) -> Path:
        return self.root / "workspace"

    @property
    def session(self) -> Path:
        return self.root / "session"

    @property
    def temporary(self) -> Path:
        return self.root / "tmp"

    @property
    def user(self) -> Path:
        return self.root / "user"

    @property
    def inputs(self) -> Path:
        return self.root / "inputs"


def take_sample(places: Places, session_id: int, *, heap_megabytes: float) -> Sample:
    """All figures of one moment in which no job runs."""
    return {
        **_measure_session(session_id, heap_megabytes=heap_megabytes),
        **_measure_control(),
        "left_processes": float(_wait_for_no_process(places, session_id)),
        **_measure_disk(places),
    }


def find_slope(points: list[tuple[float, float]]) -> float:
    """The median of the slopes between all pairs of points: one outlier changes nothing."""
    slopes = [
        (later - earlier) / (end - start)
        for (start, earlier), (end, later) in combinations(points, 2)
        if end != start
    ]
    return statistics.median(slopes) if slopes else 0.0


def _measure_session(session_id: int, *, heap_megabytes: float) -> Sample:
    python = psutil.Process(session_id)
    children = python.children(recursive=True)
    machines = [child for child in children if child.name() == "java"]
    workers = [child for child in children if child not in machines]
    everything = [python, *machines, *workers]
    return {
        "session_python_mb": _resident([python]),
        "session_jvm_mb": _resident(machines),
        "session_heap_mb": heap_megabytes,
        "session_workers_mb": _resident(workers),
        "session_processes": float(len(everything)),
        "session_descriptors": float(sum(process.num_fds() for process in everything)),
        "session_threads": float(sum(process.num_threads() for process in everything)),
    }


def _measure_control() -> Sample:
    own = psutil.Process()
    return {
        "control_mb": _resident([own]),
        "control_descriptors": float(own.num_fds()),
        "control_threads": float(own.num_threads()),
    }


def _resident(processes: list[psutil.Process]) -> float:
    return float(sum(process.memory_info().rss for process in processes) / MEGABYTE)


def _wait_for_no_process(places: Places, session_id: int) -> int:
    """How many processes of ended jobs are still there after a while."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while (count := _count_left(places, session_id)) and time.monotonic() < deadline:
        time.sleep(0.2)
    return count


def _count_left(places: Places, session_id: int) -> int:
    session = psutil.Process(session_id)
    known = {os.getpid(), session_id, *(child.pid for child in session.children(recursive=True))}
    mark = os.fsencode(places.root)
    return sum(
        _mentions(process.pid, mark)
        for process in psutil.process_iter()
        if process.pid not in known
    )


def _mentions(process_id: int, mark: bytes) -> bool:
    found = Path(f"/proc/{process_id}")
    try:
        return mark in (found / "environ").read_bytes() + (found / "cmdline").read_bytes()
    except OSError:
        return False


def _measure_disk(places: Places) -> Sample:
    workspace = places.workspace
    store = _size(workspace / "store.db") + _size(workspace / "store.db-wal")
    runs = _size(workspace / "mlflow.db") + _size(workspace / "mlartifacts")
    known = store + runs + _size(workspace / "jobs")
    return {
        "temporary_entries": float(len(list(places.temporary.iterdir()))),
        "shared_memory_entries": float(len(os.listdir("/dev/shm"))),
        "session_local_mb": _size(places.session) / MEGABYTE,
        "store_kb": store / 1024,
        "mlflow_kb": runs / 1024,
        "workspace_rest_kb": (_size(workspace) - known) / 1024,
        "user_kb": _size(places.user) / 1024,
    }


def _size(path: Path) -> int:
    """Bytes of a file, or of all files below a folder."""
    if path.is_file():
        return path.stat().st_size
    return sum(file.lstat().st_size for file in path.rglob("*") if file.is_file())
