"""Cores and memory of a machine. Any process."""

from __future__ import annotations

import pytest

from sparkscore.plan import read_machine


def write_limits(folder, **contents):
    for name, content in contents.items():
        path = folder / name.replace("__", "/").replace("_dot_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content + "\n")
    return str(folder)


def test_machine__without_limits(tmp_path):
    whole = read_machine(cgroup_folder=str(tmp_path))
    assert whole.core_count >= 1
    assert whole.memory_bytes > 64 * 1024**2
    folder = write_limits(tmp_path, cpu_dot_max="max 100000", memory_dot_max="max")
    assert read_machine(cgroup_folder=folder) == whole


@pytest.mark.parametrize(
    "limits",
    [
        {"cpu_dot_max": "50000 100000", "memory_dot_max": "67108864"},
        {
            "cpu__cpu_dot_cfs_quota_us": "50000",
            "cpu__cpu_dot_cfs_period_us": "100000",
            "memory__memory_dot_limit_in_bytes": "67108864",
        },
    ],
)
def test_machine__in_a_container(tmp_path, limits):
    machine = read_machine(cgroup_folder=write_limits(tmp_path, **limits))
    assert (machine.core_count, machine.memory_bytes) == (1, 64 * 1024**2)


def test_machine__container_without_quota(tmp_path):
    folder = write_limits(
        tmp_path, cpu__cpu_dot_cfs_quota_us="-1", cpu__cpu_dot_cfs_period_us="100000"
    )
    assert read_machine(cgroup_folder=folder) == read_machine(cgroup_folder="/nowhere")
