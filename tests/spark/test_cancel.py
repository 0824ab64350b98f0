"""A job that is canceled ends within seconds, whatever it waits for, and leaves no process."""

from __future__ import annotations

import json
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import psutil
import pytest

from sparkscore.driver import run
from sparkscore.messages.launch import OutputMessage
from sparkscore.storage import open_store
from tests.servers.road import stuck_road
from tests.servers.store import StoreServer
from tests.spark.drivers import ONE_SLOT, DriverProcess, find_events, list_below, read_summary

LONG = "def run(batch):\n    return ['x' * 200_000 for _ in batch]\n"
MANY_ROWS = """
import os
import pandas as pd
def run(batch):
    return pd.DataFrame({"file": [os.path.basename(batch[0])] * 1_000_000, "value": 1.25})
"""
MANY_FILES = """
import os
def run(batch):
    folder = os.environ["AZUREML_BI_OUTPUT_PATH"]
    for number in range(30_000):
        os.close(os.open(os.path.join(folder, str(number)), os.O_CREAT))
    return batch
"""
PARQUET = {"format": "parquet", "file_name": "predictions.parquet"}
LARGE_ROWS = """
import os
def run(batch):
    return [{"file": os.path.basename(path), "noise": os.urandom(8 << 20)} for path in batch]
"""


def cancel(driver: DriverProcess, *, number: int = signal.SIGTERM) -> None:
    """Cancel the job: within seconds it has ended, and nothing of it runs any more."""
    assert driver.cancel(number) < 20
    assert driver.process.returncode == 6, driver.said
    driver.wait_for_children()
    assert read_summary(driver.folder)["status"] == "Canceled"


@pytest.mark.slow
def test_cancel__while_it_uploads_leaves_nothing_in_the_store(
    make_launch: Any, s3_store: StoreServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri = f"{s3_store.uri}/test-{uuid4().hex[:8]}"
    launch = make_launch(LONG, 20, job=ONE_SLOT)
    output = OutputMessage(uri, "append_row", "csv", "predictions.csv")
    with stuck_road(s3_store, most_bytes=1 << 20) as (road, slow):
        for name, value in slow.environment.items():
            monkeypatch.setenv(name, value)
        driver = DriverProcess(replace(launch, output=output))
        driver.wait_until(road.is_stuck.is_set)
        cancel(driver)
    for name, value in s3_store.environment.items():
        monkeypatch.setenv(name, value)
    store, path = open_store(uri)
    assert store.find(path) == []


@pytest.mark.slow
def test_cancel__while_init_hangs_ends_also_what_it_started(
    make_launch: Any, tmp_path: Path
) -> None:
    pids = tmp_path / "pids"
    script = f"""
    import os, signal, time
    def init():
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                with open({str(pids)!r}, "w") as file:
                    file.write(str(os.getpid()))
                time.sleep(600)
            os._exit(0)
        time.sleep(600)
    def run(batch):
        return batch
    """
    driver = DriverProcess(make_launch(script, 4, job=ONE_SLOT))
    driver.wait_until(lambda: pids.exists() and pids.read_text())
    left = psutil.Process(int(pids.read_text()))
    cancel(driver, number=signal.SIGINT)
    left.wait(timeout=10)


@pytest.mark.slow
def test_cancel__while_a_huge_folder_is_listed(make_launch: Any, tmp_path: Path) -> None:
    """Ten million paths: links to one folder of a thousand files."""
    (tmp_path / "files").mkdir()
    for number in range(1000):
        (tmp_path / "files" / f"{number:04d}.txt").touch()
    for folder, linked in (("folders", "files"), ("huge", "folders")):
        (tmp_path / folder).mkdir()
        for number in range(100):
            (tmp_path / folder / f"{number:02d}").symlink_to(tmp_path / linked)
    launch = make_launch(LONG, 0, job=ONE_SLOT)
    launch = replace(launch, input=replace(launch.input, uri=str(tmp_path / "huge")))
    driver = DriverProcess(launch)
    driver.wait_until(lambda: list(driver.folder.glob("scratch/spark-*/userFiles-*")))
    heartbeats = read_sequence(driver.folder)
    driver.wait_until(lambda: read_sequence(driver.folder) > heartbeats + 3)
    cancel(driver)
    assert not (driver.folder / "plan" / "plan.json").exists()


def read_sequence(folder: Path) -> int:
    return int(json.loads((folder / "status.json").read_text())["sequence"])


@pytest.mark.slow
def test_cancel__while_the_columns_are_pinned(spark: Any, make_launch: Any) -> None:
    launch = make_launch(LARGE_ROWS, 10, job=ONE_SLOT, mini_batch_size=1, output=PARQUET)
    driver = DriverProcess(launch)
    driver.wait_until(lambda: list(driver.folder.glob("staging/wave-0*/_committed.json")))
    cancel(driver)
    assert not Path(launch.output.path).exists()
    summary = run(spark, launch)
    assert (summary.status, summary.rows) == ("Completed", 10)
    assert len(find_events(driver.folder, "schema_pinned")) == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("format_", "millions"), [("csv", 24), ("jsonl", 12), ("parquet", 24), ("delta", 24)]
)
def test_cancel__while_it_publishes(make_launch: Any, format_: str, millions: int) -> None:
    output = {"format": format_, "file_name": "predictions"}
    launch = make_launch(MANY_ROWS, millions, job=ONE_SLOT, output=output, mini_batch_size=1)
    target = Path(launch.output.path)
    driver = DriverProcess(launch)
    driver.wait_until(lambda: (driver.folder / "publish.json").exists() or list_below(target))
    cancel(driver, number=signal.SIGINT)
    assert list_below(target) == set()


@pytest.mark.slow
def test_cancel__while_files_of_scripts_are_published(make_launch: Any) -> None:
    launch = make_launch(MANY_FILES, 1, job=ONE_SLOT, output={"action": "summary_only"})
    target = Path(launch.output.path)
    driver = DriverProcess(launch)
    driver.wait_until(lambda: list(target.parent.glob(".out.*.tmp/*")))
    cancel(driver)
    assert not target.exists()
    assert list(target.parent.glob(".out.*")) == []
