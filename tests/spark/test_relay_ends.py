"""Relayed jobs that end early, and go on: in a session of this process, told no folder."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from py4j.protocol import Py4JJavaError
from pyspark import SparkFiles
from pyspark.sql import SparkSession

from sparkscore.driver import relay, run
from sparkscore.driver.job_run import JobRun
from sparkscore.driver.spark_features import load_arrow_batches
from sparkscore.messages.launch import LaunchMessage
from sparkscore.messages.status import SummaryMessage
from tests.spark.conftest import check_account
from tests.spark.drivers import find_events, wait_until

RELAY = {"relay": True, "checkpoint_interval_seconds": 1}
SCRIPT = """
import os, time
def run(batch):
    names = [os.path.basename(path) for path in batch]
    while os.path.exists({gate!r}) and int(names[0][:4]) >= 40:
        time.sleep(0.05)
    with open(os.path.join(os.environ["AZUREML_BI_OUTPUT_PATH"], names[0]), "w") as file:
        file.write(names[0])
    return names
"""


def run_in_thread(spark: SparkSession, job: JobRun) -> tuple[threading.Thread, list[Any]]:
    ended: list[Any] = []
    thread = threading.Thread(target=lambda: ended.append(job.run(lambda: spark)))
    thread.start()
    return thread, ended


def test_relay__canceled_job_goes_on(spark: SparkSession, make_launch: Any, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    gate.touch()
    launch: LaunchMessage = make_launch(SCRIPT.format(gate=str(gate)), 48, job=RELAY)
    folder = Path(launch.job_folder)
    job = JobRun(launch)
    thread, ended = run_in_thread(spark, job)
    wait_until(lambda: find_events(folder, "wave_committed"))
    job.cancellation.ask()
    thread.join(60)
    summary: SummaryMessage = ended[0]
    check_account(summary)
    assert summary.status == "Canceled"
    assert 0 < summary.inputs.succeeded <= 40
    tracker = spark.sparkContext.statusTracker()
    wait_until(lambda: not tracker.getActiveStageIds(), seconds=30)
    gate.unlink()
    again = run(spark, launch)
    check_account(again)
    assert (again.status, again.inputs.succeeded, again.rows) == ("Completed", 48, 48)
    (resumed,) = find_events(folder, "resumed")
    assert 0 < resumed["mini_batches"] <= 20
    rows = (Path(launch.output.path) / "predictions.csv").read_text().splitlines()[1:]
    assert rows == [f"{number:04d}.txt" for number in range(48)]
    written = {path.name for path in (folder / "files").iterdir()}
    assert written == {f"{number:04d}.txt" for number in range(0, 48, 2)}


def test_relay__full_disk_of_the_driver_is_said(
    spark: SparkSession, make_launch: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    launch: LaunchMessage = make_launch("def run(batch):\n    return batch\n", 8, job=RELAY)

    def fail(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    def give_half(path: str) -> None:
        add_file(path)
        os.truncate(Path(SparkFiles.getRootDirectory(), Path(path).name), 10)
        fail()

    add_file = spark.sparkContext.addFile
    for owner, name, failing in (
        (spark.sparkContext, "addFile", give_half),
        (relay._TaskFile, "_flush", fail),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(owner, name, failing)
            summary = run(spark, launch)
        check_account(summary)
        assert summary.error is not None
        assert (summary.status, summary.error["condition"]) == ("Failed", "NO_SPACE_LEFT")
    assert run(spark, launch).status == "Completed"


def test_relay__failure_to_read_what_tasks_gave_ends_the_wave(
    spark: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The JVM has more to send than sockets hold, and nobody reads it."""
    more = b"\0" * (1 << 20)

    def make(batches: Any) -> Any:
        for batch in batches:
            for _ in range(batch.num_rows):
                yield pa.record_batch({"payload": [more]})

    @contextmanager
    def load_some(socket: Any) -> Iterator[Any]:
        def read(found: Any) -> Iterator[Any]:
            yield next(found)
            raise MemoryError("as an allocation that failed")

        with load_arrow_batches(socket) as found:
            yield read(iter(found))

    monkeypatch.setattr(relay, "load_arrow_batches", load_some)
    monkeypatch.setattr(relay, "_RESULT_SECONDS", 0.5)
    frame = spark.range(0, 64, 1, 8).mapInArrow(make, "payload binary")
    with pytest.raises(MemoryError):
        list(relay.iter_collected(frame))
    monkeypatch.undo()
    wait_until(lambda: not spark.sparkContext.statusTracker().getActiveStageIds(), seconds=60)
    assert len(list(relay.iter_collected(spark.range(0, 4, 1, 4)))) == 4


def test_relay__error_of_the_job_is_told(spark: SparkSession) -> None:
    def fail(batches: Any) -> Any:
        raise ValueError("no rows today")

    frame = spark.range(0, 1, 1, 1).mapInArrow(fail, "id long")
    with pytest.raises(Py4JJavaError, match="no rows today"):
        list(relay.iter_collected(frame))


def test_relay__mini_batch_that_gives_too_much_fails_alone(
    spark: SparkSession, make_launch: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = """
    import os
    def run(batch):
        size = 300 if batch[0].endswith("0002.txt") else 1
        return [os.urandom(1 << 20) for _ in range(size)]
    """
    launch: LaunchMessage = make_launch(
        script, 4, mini_batch_size=1, max_retries=0, job=RELAY, output={"format": "parquet"}
    )
    launch = replace(launch, output=replace(launch.output, file_name="out.parquet"))
    summary = run(spark, launch)
    check_account(summary)
    assert (summary.status, summary.inputs.failed) == ("Completed", 1)
    (error,) = summary.errors
    assert (error["condition"], error["path"]) == ("RESULT_TOO_LARGE", "0002.txt")
