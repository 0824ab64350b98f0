"""Disks that are full or read-only: the job says which folder it was, and completes once there is
space."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from sparkscore.driver import run
from tests.chaos.conftest import Faults
from tests.chaos.plain_jobs import PlainJob, make_plain_job
from tests.chaos.surroundings import Surroundings
from tests.servers.store import StoreServer
from tests.spark.drivers import ONE_SLOT, DriverProcess, read_summary

pytestmark = pytest.mark.spark

Disk = Callable[[Path, str], Path]

ROW_BYTES = 20_000
STORED_INPUTS = 60
STORED_BYTES = 200_000


def mount(*arguments: str) -> None:
    found = subprocess.run(["mount", *arguments], capture_output=True, text=True, check=False)
    assert found.returncode == 0, f"these tests mount small disks, as root: {found.stderr}"


def enlarge(disk: Path) -> None:
    mount("-o", "remount,size=256m", str(disk))


@pytest.fixture
def small_disk(faults: Faults) -> Iterator[Disk]:
    """Mounts a disk of a size at a folder until the test ends."""
    mounted: list[Path] = []

    def mount_it(folder: Path, size: str) -> Path:
        folder.mkdir(parents=True)
        mount("-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder))
        mounted.append(folder)
        faults.add("small disk")
        return folder

    yield mount_it
    for folder in mounted:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def check_full(job: PlainJob, folder: str, path: Path) -> None:
    """The job has failed, and names the folder that was full."""
    error = read_summary(job.folder)["error"]
    assert error["condition"] == "NO_SPACE_LEFT", error
    assert (error.get("folder", "output"), error["exit_code"]) == (folder, 4), error
    assert str(error["path"]).startswith(str(path))


def test_full_disk__staging(spark: SparkSession, tmp_path: Path, small_disk: Disk) -> None:
    job = make_plain_job(tmp_path, inputs=60, row_bytes=ROW_BYTES)
    disk = small_disk(job.folder / "staging", "1m")
    run(spark, job.launch)
    check_full(job, "staging", disk)
    job.check(status="Failed")
    assert not job.output.exists()
    enlarge(disk)
    assert run(spark, job.launch).status == "Completed"
    assert list(disk.iterdir()) == []


def test_full_disk__output(spark: SparkSession, tmp_path: Path, small_disk: Disk) -> None:
    job = make_plain_job(tmp_path, inputs=60, row_bytes=ROW_BYTES)
    disk = small_disk(job.output, "1m")
    run(spark, job.launch)
    check_full(job, "output", disk)
    assert list(disk.iterdir()) == []
    enlarge(disk)
    assert run(spark, job.launch).status == "Completed"
    job.check()


def test_full_disk__delta_output(spark: SparkSession, tmp_path: Path, small_disk: Disk) -> None:
    output = {"format": "delta", "file_name": "table"}
    job = make_plain_job(tmp_path, inputs=60, row_bytes=ROW_BYTES, output=output)
    disk = small_disk(job.output, "512k")
    run(spark, job.launch)
    check_full(job, "output", disk)
    enlarge(disk)
    assert run(spark, job.launch).status == "Completed"
    rows = spark.read.format("delta").load(str(disk / "table")).collect()
    job.check(rows=[row.asDict() for row in rows])


def test_full_disk__scratch_of_the_session(tmp_path: Path, small_disk: Disk) -> None:
    """Spark's local folders and the temporary files of its JVM."""
    job = make_plain_job(tmp_path, inputs=2000, job=ONE_SLOT)
    disk = small_disk(job.folder / "scratch", "4k")
    driver = DriverProcess(job.launch)
    assert driver.end() == 4, driver.said
    check_full(job, "scratch", disk)
    driver.wait_for_children()
    enlarge(disk)
    again = DriverProcess(job.launch)
    assert again.end() == 0, again.said
    assert read_summary(job.folder)["status"] == "Completed"


def test_full_disk__scratch_of_workers(
    tmp_path: Path,
    small_disk: Disk,
    s3_store: StoreServer,
    monkeypatch: pytest.MonkeyPatch,
    surroundings: Surroundings,
) -> None:
    """Where inputs of a store are fetched to: none of them is called failed for it."""
    for name, value in s3_store.environment.items():
        monkeypatch.setenv(name, value)
    job = make_plain_job(tmp_path, inputs=STORED_INPUTS, mini_batch_size=20, job=ONE_SLOT)
    for name in job.inputs:
        s3_store.put(f"disks/{name}", bytes(STORED_BYTES))
    disk = small_disk(tmp_path / "local", "1m")
    job = replace(
        job,
        launch=replace(
            job.launch,
            input=replace(job.launch.input, uri=f"{s3_store.uri}/disks", options={}),
            spark_conf={"spark.local.dir": str(disk)},
        ),
    )
    driver = DriverProcess(job.launch)
    assert driver.end() == 4, driver.said
    error = read_summary(job.folder)["error"]
    assert error["condition"] == "NO_SPACE_LEFT", error
    job.check(status="Failed")
    enlarge(disk)
    again = DriverProcess(job.launch)
    assert again.end() == 0, again.said
    job.check()
    assert [path for path in disk.rglob("*") if path.is_file()] == []
    surroundings.check_nothing_left()


def test_read_only__output(
    spark: SparkSession, tmp_path: Path, small_disk: Disk, faults: Faults
) -> None:
    job = make_plain_job(tmp_path, inputs=10)
    disk = small_disk(job.output, "64m")
    mount("-o", "remount,ro", str(disk))
    faults.add("read-only disk")
    summary = run(spark, job.launch)
    assert summary.error is not None
    assert summary.error["condition"] == "OUTPUT_NOT_WRITABLE"
    job.check(status="Failed")
    mount("-o", "remount,rw", str(disk))
    assert run(spark, job.launch).status == "Completed"
    job.check()
