"""What scripts print reaches the job folder, also from machines that cannot write there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.spark.clusters import Cluster
from tests.spark.drivers import DriverProcess, list_below, read_summary

HIDDEN = 'mount -t tmpfs none "$0" && exec "$@"'
READ_ONLY = 'mount --bind "$0" "$0" && mount -o remount,ro,bind "$0" && exec "$@"'
INIT_LINES = re.compile(r"\[init\] loading on process-(\d+)")


def make_namespace(command: str, folder: Path) -> list[str]:
    """A command that runs others where ``folder`` looks different; root may mount so."""
    return ["unshare", "--mount", "sh", "-c", command, str(folder)]


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    """A master; tests add workers."""
    folder = tmp_path / "cluster"
    folder.mkdir()
    started = Cluster(folder)
    try:
        started.start(workers=0)
        yield started
    finally:
        started.stop()


def read_lines(folder: Path, kind: str) -> list[str]:
    files = sorted((folder / "logs" / "user" / kind).rglob("*.txt"))
    return [line for file in files for line in file.read_text().splitlines()]


@pytest.mark.slow
@pytest.mark.cluster
def test_logs__of_workers_that_cannot_write_there_arrive_while_the_job_runs(
    cluster: Cluster, make_launch: Any, tmp_path: Path
) -> None:
    script = f"""
    import logging, os, subprocess, time
    def init():
        print(f"loading on process-{{os.getppid()}}")
    def run(batch):
        name = os.path.basename(batch[0])
        print(name)
        subprocess.run(["sh", "-c", f"echo {{name}} >&2"])
        logging.info(name)
        while name == "0011.txt" and not os.path.exists({str(tmp_path / "seen")!r}):
            time.sleep(0.1)
        time.sleep(0.2)
        return [name]
    def shutdown():
        print("closing")
    """
    launch = make_launch(script, 24, mini_batch_size=1, job={"master": cluster.url})
    launch = replace(launch, scoring=replace(launch.scoring, timeout_seconds=100))
    folder = Path(launch.job_folder)
    (folder / "logs").mkdir(parents=True)
    for command in (HIDDEN, READ_ONLY):
        cluster.start_worker(by=make_namespace(command, folder / "logs"))
    cluster.wait_for_workers(2)
    driver = DriverProcess(launch)
    driver.wait_until(lambda: "[mb 000011 try 1] 0011.txt" in read_lines(folder, "stdout"))
    (tmp_path / "seen").touch()
    assert driver.end() == 0, driver.said
    assert read_summary(folder)["inputs"]["succeeded"] == 24
    marked = [f"[mb {number:06d} try 1] {number:04d}.txt" for number in range(24)]
    printed = read_lines(folder, "stdout")
    assert sorted(line for line in printed if line.startswith("[mb")) == marked
    assert sorted(read_lines(folder, "stderr")) == marked
    logged = sorted(read_lines(folder, "entry_script_log"))
    assert [line[:18] + line[-8:] for line in logged] == marked
    workers = {match[1] for match in map(INIT_LINES.fullmatch, printed) if match}
    assert len(workers) == 2
    assert {name for name in list_below(folder / "logs") if not name.endswith(".txt")} == {
        "driver.log"
    }
    assert list((folder / "logs").rglob(".*")) == []


@pytest.mark.slow
@pytest.mark.cluster
def test_job_folder__that_workers_do_not_share_is_said(cluster: Cluster, make_launch: Any) -> None:
    launch = make_launch(
        "def run(batch):\n    return batch\n", 4, job={"master": cluster.url}, mini_batch_size=1
    )
    folder = Path(launch.job_folder)
    folder.mkdir(parents=True)
    cluster.start_worker(by=make_namespace(HIDDEN, folder))
    cluster.wait_for_workers(1)
    driver = DriverProcess(launch)
    assert driver.end(seconds=60) == 4, driver.said
    error = read_summary(folder)["error"]
    assert error["condition"] == "JOB_FOLDER_NOT_SHARED"
    assert str(folder) in error["message"]
