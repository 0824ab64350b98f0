"""Small disks that fill up: the job says which folder it was, and completes once there is space."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sparkscore.driver import run
from tests.spark.conftest import check_account
from tests.spark.drivers import ONE_SLOT, DriverProcess, read_summary

RANDOM = """
import os
def run(batch):
    return [{"file": os.path.basename(path), "text": os.urandom(20_000).hex()} for path in batch]
"""

Disk = Callable[[Path, str], Path]


def mount(*arguments: str) -> None:
    found = subprocess.run(["mount", *arguments], capture_output=True, text=True, check=False)
    assert found.returncode == 0, f"these tests mount small disks, as root: {found.stderr}"


def enlarge(disk: Path) -> None:
    mount("-o", "remount,size=256m", str(disk))


@pytest.fixture
def small_disk() -> Iterator[Disk]:
    """Mounts a disk of a size at a folder until the test ends."""
    mounted: list[Path] = []

    def mount_it(folder: Path, size: str) -> Path:
        folder.mkdir(parents=True)
        mount("-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder))
        mounted.append(folder)
        return folder

    yield mount_it
    for folder in mounted:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def check_full(summary: dict[str, Any], folder: str, path: Path) -> None:
    error = summary["error"]
    assert error["condition"] == "NO_SPACE_LEFT", error
    assert (error.get("folder", "output"), error["exit_code"]) == (folder, 4)
    assert str(error["path"]).startswith(str(path))


def test_full_disk__staging(spark: Any, make_launch: Any, small_disk: Disk) -> None:
    launch = make_launch(RANDOM, 60)
    folder = Path(launch.job_folder)
    disk = small_disk(folder / "staging", "1m")
    run(spark, launch)
    check_full(read_summary(folder), "staging", disk)
    assert not Path(launch.output.path).exists()
    enlarge(disk)
    summary = run(spark, launch)
    check_account(summary)
    assert (summary.status, summary.rows) == ("Completed", 60), summary.error


def test_full_disk__output(spark: Any, make_launch: Any, small_disk: Disk) -> None:
    launch = make_launch(RANDOM, 60)
    folder = Path(launch.job_folder)
    disk = small_disk(Path(launch.output.path), "1m")
    run(spark, launch)
    check_full(read_summary(folder), "output", disk)
    assert list(disk.iterdir()) == []
    enlarge(disk)
    summary = run(spark, launch)
    check_account(summary)
    assert (summary.status, summary.rows) == ("Completed", 60), summary.error


def test_full_disk__delta_output(spark: Any, make_launch: Any, small_disk: Disk) -> None:
    output = {"format": "delta", "file_name": "table"}
    launch = make_launch(RANDOM, 60, output=output)
    folder = Path(launch.job_folder)
    disk = small_disk(Path(launch.output.path), "512k")
    run(spark, launch)
    check_full(read_summary(folder), "output", disk)
    enlarge(disk)
    summary = run(spark, launch)
    assert (summary.status, summary.rows) == ("Completed", 60), summary.error
    assert spark.read.format("delta").load(str(disk / "table")).count() == 60


def test_full_disk__scratch(spark: Any, make_launch: Any, small_disk: Disk) -> None:
    names = "import os\ndef run(batch):\n    return [os.path.basename(path) for path in batch]\n"
    launch = make_launch(names, 2000, job=ONE_SLOT)
    folder = Path(launch.job_folder)
    disk = small_disk(folder / "scratch", "4k")
    driver = DriverProcess(launch)
    assert driver.end() == 4, driver.said
    check_full(read_summary(folder), "scratch", disk)
    driver.wait_for_children()
    enlarge(disk)
    summary = run(spark, launch)
    assert (summary.status, summary.rows) == ("Completed", 2000), summary.error


def test_read_only__output(spark: Any, make_launch: Any, small_disk: Disk) -> None:
    launch = make_launch(RANDOM, 10)
    disk = small_disk(Path(launch.output.path), "64m")
    mount("-o", "remount,ro", str(disk))
    summary = run(spark, launch)
    assert summary.error is not None
    assert summary.error["condition"] == "OUTPUT_NOT_WRITABLE"
    mount("-o", "remount,rw", str(disk))
    scoring = replace(launch.scoring, error_threshold=5)
    summary = run(spark, replace(launch, scoring=scoring))
    assert (summary.status, summary.rows) == ("Completed", 10), summary.error
