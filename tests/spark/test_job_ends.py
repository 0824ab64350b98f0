"""How a job ends when what it stands on goes away: told in its folder, nothing left behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
from pyspark import accumulators

from sparkscore.driver import account, run
from sparkscore.messages import codec
from sparkscore.messages.launch import LaunchMessage

SLOW = """
import os, time
def run(batch):
    print("sleeping", flush=True)
    time.sleep(120)
    return batch
"""
NAMES = "import os\ndef run(batch):\n    return [os.path.basename(path) for path in batch]\n"


def wait_until_scoring(folder: Path) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        if any("sleeping" in log.read_text() for log in folder.rglob("*.stdout.txt")):
            return
        time.sleep(0.1)
    raise AssertionError("the job did not start to score")


def read_summary(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "summary.json").read_text())  # type: ignore[no-any-return]


def test_run__interrupted_in_a_notebook_is_canceled(spark: Any, make_launch: Any) -> None:
    launch = make_launch(SLOW)
    folder = Path(launch.job_folder)

    def interrupt() -> None:
        wait_until_scoring(folder)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        run(spark, launch)
    thread.join()
    summary = read_summary(folder)
    assert (summary["status"], summary["unprocessed_inputs"]) == ("Canceled", 8)
    assert json.loads((folder / "status.json").read_text())["status"] == "Canceled"
    assert "heartbeat" not in {thread.name for thread in threading.enumerate()}
    assert spark.range(3).count() == 3


def test_account__that_cannot_be_written_publishes_nothing(
    spark: Any, make_launch: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    launch = make_launch(NAMES)
    folder = Path(launch.job_folder)
    open_file = account._CsvLines._open

    def open_on_full_disk(lines: Any) -> None:
        open_file(lines)
        with open("/dev/full", "wb") as full:
            os.dup2(full.fileno(), lines._file.fileno())

    monkeypatch.setattr(account._CsvLines, "_open", open_on_full_disk)
    summary = run(spark, launch)
    assert summary.status == "Failed"
    assert summary.error is not None
    assert summary.error["condition"] == "NO_SPACE_LEFT"
    assert read_summary(folder)["status"] == "Failed"
    assert not Path(launch.output.path).exists()


def test_job_folder__of_an_earlier_run_tells_nothing_of_it(spark: Any, make_launch: Any) -> None:
    launch = make_launch(NAMES)
    folder = Path(launch.job_folder)
    folder.mkdir(parents=True)
    (folder / "bad_rows.csv").write_text("file,row,message\nold,1,old\n")
    assert run(spark, launch).status == "Completed"
    assert not (folder / "bad_rows.csv").exists()


def test_job__leaves_no_outcomes_and_no_broadcasts_in_the_session(spark: Any, run_job: Any) -> None:
    scratch = Path(spark.sparkContext._temp_dir)
    files = set(scratch.rglob("*"))
    known = set(accumulators._accumulatorRegistry)
    assert run_job(NAMES, 60, mini_batch_size=1).summary.status == "Completed"
    added = set(accumulators._accumulatorRegistry) - known
    assert added
    assert all(not accumulators._accumulatorRegistry[key].value for key in added)
    assert set(scratch.rglob("*")) <= files


def start_driver(launch: LaunchMessage) -> subprocess.Popen[str]:
    folder = Path(launch.job_folder)
    folder.mkdir(parents=True)
    (folder / "launch.json").write_text(codec.to_json(launch))
    return subprocess.Popen(
        [sys.executable, "-m", "sparkscore.driver", str(folder / "launch.json")],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def test_driver__sigint_cancels_in_order(make_launch: Any) -> None:
    launch = make_launch(SLOW, job={"instance_count": 1, "max_concurrency_per_instance": 1})
    driver = start_driver(launch)
    wait_until_scoring(Path(launch.job_folder))
    os.kill(driver.pid, signal.SIGINT)
    _, stderr = driver.communicate(timeout=90)
    assert driver.returncode == 6, stderr
    assert read_summary(Path(launch.job_folder))["status"] == "Canceled"


def test_driver__whose_jvm_was_killed_ends_with_a_summary(make_launch: Any) -> None:
    launch = make_launch(SLOW, job={"instance_count": 1, "max_concurrency_per_instance": 1})
    driver = start_driver(launch)
    wait_until_scoring(Path(launch.job_folder))
    (java,) = [
        child
        for child in psutil.Process(driver.pid).children(recursive=True)
        if child.name() == "java"
    ]
    java.kill()
    _, stderr = driver.communicate(timeout=90)
    assert driver.returncode == 4, stderr
    summary = read_summary(Path(launch.job_folder))
    assert (summary["status"], summary["unprocessed_inputs"]) == ("Failed", 8)
