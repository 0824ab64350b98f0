"""A job that is canceled ends within seconds, whatever it waits for, and leaves no process."""

from __future__ import annotations

import signal
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import psutil
import pytest

from sparkscore.messages.launch import OutputMessage
from sparkscore.storage import open_store
from tests.servers.road import stuck_road
from tests.servers.store import StoreServer
from tests.spark.drivers import ONE_SLOT, DriverProcess, read_summary

LONG = "def run(batch):\n    return ['x' * 200_000 for _ in batch]\n"


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
        assert driver.cancel() < 20
    assert driver.process.returncode == 6, driver.said
    driver.wait_for_children()
    assert read_summary(driver.folder)["status"] == "Canceled"
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
    assert driver.cancel(signal.SIGINT) < 20
    assert driver.process.returncode == 6, driver.said
    driver.wait_for_children()
    left.wait(timeout=10)
