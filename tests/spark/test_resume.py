"""Drivers killed at any point, and started again: the output is that of an undisturbed run."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sparkscore.control.jobs.mini_batch_columns import read_columns
from sparkscore.driver import run
from sparkscore.messages.launch import MirrorMessage
from sparkscore.messages.live_ledger import LIVE_LEDGER
from tests.spark.conftest import check_account
from tests.spark.drivers import (
    ONE_SLOT,
    DriverProcess,
    find_events,
    list_below,
    read_summary,
)

NAMES = """
import os, time
def run(batch):
    time.sleep({seconds})
    if any(path.endswith("0013.txt") for path in batch):
        raise ValueError("unlucky")
    return [{{"file": os.path.basename(path), "size": 1.5}} for path in batch]
"""
MANY_ROWS = """
import os
import pandas as pd
def run(batch):
    return pd.DataFrame({"file": [os.path.basename(batch[0])] * 250_000, "value": 1.25})
"""
COUNTS = ("inputs", "unprocessed_inputs", "mini_batches", "rows", "errors")


def run_undisturbed(spark: Any, make_launch: Any, script: str, *arguments: Any, **more: Any) -> Any:
    """An equal job in the test's own session."""
    launch = make_launch(script, *arguments, name="whole", **more)
    summary = run(spark, launch)
    assert summary.status == "Completed", summary.error
    return launch


def get_counts(folder: Path) -> dict[str, Any]:
    summary = read_summary(folder)
    return {name: summary[name] for name in COUNTS}


def check_equal(killed: Any, whole: Any) -> None:
    """Output, account and failed inputs are those of the undisturbed job, byte for byte."""
    output, expected = Path(killed.output.path), Path(whole.output.path)
    assert list_below(output) == list_below(expected)
    for name in list_below(expected):
        assert (output / name).read_bytes() == (expected / name).read_bytes(), name
    folder = Path(killed.job_folder)
    assert get_counts(folder) == get_counts(Path(whole.job_folder))
    lines = [
        sorted(line.split(",")[0] for line in (path / "failed_inputs.csv").read_text().split("\n"))
        for path in (folder, Path(whole.job_folder))
    ]
    assert lines[0] == lines[1]
    assert not (folder / "scratch").exists()
    assert not (folder / "staging").exists()


def flip_bit(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def test_resume__after_a_kill_between_waves(spark: Any, make_launch: Any) -> None:
    script = NAMES.format(seconds=0.15)
    launch = make_launch(script, 80, job=ONE_SLOT, max_retries=0)
    folder = Path(launch.job_folder)
    driver = DriverProcess(launch)
    driver.wait_until(lambda: find_events(folder, "wave_committed"))
    planned_at = (folder / "plan" / "plan.json").stat().st_mtime_ns

    second = DriverProcess(launch)
    assert second.end(seconds=60) == 5, second.said
    assert "sparkscore: LEASE_HELD: " in second.said

    driver.kill()
    assert not (folder / "summary.json").exists()
    first, *_ = find_events(folder, "wave_started")
    told = read_columns(folder).ids.tolist()
    assert set(told) >= {number for piece in first["mini_batches"] for number in range(*piece)}
    (committed,) = {file.parent for file in folder.glob("staging/wave-*/_committed.json")}
    flip_bit(sorted(committed.glob("part-*.parquet"))[0])
    again = DriverProcess(launch)
    assert again.end() == 0, again.said
    again.wait_for_children()

    (resumed,) = find_events(folder, "resumed")
    assert resumed["damaged"] > 0
    assert not (folder / LIVE_LEDGER).exists()
    assert (folder / "plan" / "plan.json").stat().st_mtime_ns == planned_at
    whole = run_undisturbed(spark, make_launch, NAMES.format(seconds=0), 80, max_retries=0)
    check_equal(launch, whole)
    summary = run(spark, launch)
    assert summary.status == "Completed"
    assert summary.seconds == read_summary(folder)["seconds"]


@pytest.mark.parametrize("format_", ["jsonl", "parquet"])
def test_resume__after_a_kill_while_it_published(
    spark: Any, make_launch: Any, format_: str
) -> None:
    output = {"format": format_, "file_name": f"predictions.{format_}"}
    launch = make_launch(MANY_ROWS, 16, job=ONE_SLOT, output=output, mini_batch_size=1)
    folder, target = Path(launch.job_folder), Path(launch.output.path)
    driver = DriverProcess(launch)
    driver.wait_until(lambda: target.exists() and list(target.iterdir()))
    driver.kill()
    assert not (folder / "summary.json").exists()
    assert not (target / f"predictions.{format_}").exists()
    assert list_below(target)
    summary = run(spark, launch)
    check_account(summary)
    assert (summary.status, summary.mini_batches.total) == ("Completed", 16)
    (resumed,) = find_events(folder, "resumed")
    assert resumed == {"mini_batches": 16, "damaged": 0}
    whole = run_undisturbed(
        spark, make_launch, MANY_ROWS, 16, job=ONE_SLOT, output=output, mini_batch_size=1
    )
    check_equal(launch, whole)


@pytest.fixture
def deaf_store() -> Iterator[str]:
    """An address that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def test_resume__after_a_kill_between_publish_and_summary(
    spark: Any, make_launch: Any, deaf_store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    launch = make_launch(NAMES.format(seconds=0), 20, job=ONE_SLOT)
    mirror = MirrorMessage("s3://bucket/jobs/job", {"endpoint": deaf_store})
    folder, target = Path(launch.job_folder), Path(launch.output.path, "predictions.csv")
    driver = DriverProcess(replace(launch, mirror=mirror))
    driver.wait_until(target.exists)
    driver.kill()
    before, waves = target.stat(), find_events(folder, "wave_started")
    assert not (folder / "summary.json").exists()
    summary = run(spark, launch)
    check_account(summary)
    assert summary.status == "Completed", summary.error
    assert (target.stat().st_ino, target.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert find_events(folder, "wave_started") == waves
    check_equal(launch, run_undisturbed(spark, make_launch, NAMES.format(seconds=0), 20))


def test_resume__output_of_another_is_not_taken_for_ours(spark: Any, make_launch: Any) -> None:
    launch = make_launch(NAMES.format(seconds=0), 10, job={"keep_staging": True})
    assert run(spark, launch).status == "Completed"
    folder, target = Path(launch.job_folder), Path(launch.output.path, "predictions.csv")
    (folder / "summary.json").unlink()
    text = target.read_text()
    target.unlink()
    target.write_text(text)
    summary = run(spark, launch)
    assert summary.error is not None
    assert summary.error["condition"] == "OUTPUT_EXISTS"


def test_resume__after_a_kill_inside_a_delta_write(spark: Any, make_launch: Any) -> None:
    output = {"format": "delta", "file_name": "table"}
    launch = make_launch(MANY_ROWS, 16, job=ONE_SLOT, output=output, mini_batch_size=1)
    table = Path(launch.output.path, "table")
    driver = DriverProcess(launch)
    driver.wait_until(lambda: list(table.glob("*.parquet")) + list(table.glob(".*.parquet.crc")))
    driver.kill()
    assert not list(table.glob("_delta_log/*.json")), "it was killed too late"
    summary = run(spark, launch)
    assert summary.status == "Completed", summary.error
    rows = spark.read.format("delta").load(str(table)).groupBy("file").count().collect()
    assert {row["file"]: row["count"] for row in rows} == {
        f"{number:04d}.txt": 250_000 for number in range(16)
    }
    assert len(list(table.glob("_delta_log/*.json"))) == 1


def test_resume__script_files_of_a_lost_folder_are_written_again(
    spark: Any, make_launch: Any
) -> None:
    script = """
    import os
    def run(batch):
        for path in batch:
            folder = os.environ["AZUREML_BI_OUTPUT_PATH"]
            with open(os.path.join(folder, os.path.basename(path)), "w") as file:
                file.write("scored")
        return list(batch)
    """
    output = {"action": "summary_only", "format": "files"}
    launch = make_launch(script, 20, output=output, job={"keep_staging": True})
    assert run(spark, launch).status == "Completed"
    folder, target = Path(launch.job_folder), Path(launch.output.path)
    (folder / "summary.json").unlink()
    for file in target.iterdir():
        file.unlink()
    lost = sorted((folder / "staging" / "files").glob("*/*-*"))[0]
    for file in lost.iterdir():
        file.unlink()
    lost.rmdir()
    summary = run(spark, launch)
    assert summary.status == "Completed", summary.error
    assert list_below(target) == {f"{number:04d}.txt" for number in range(20)}
    assert find_events(folder, "staging_damaged") != []


def test_resume__another_job_in_the_same_folder_is_refused(spark: Any, make_launch: Any) -> None:
    launch = make_launch(NAMES.format(seconds=0), 4)
    assert run(spark, launch).status == "Completed"
    before = read_summary(Path(launch.job_folder))
    other = replace(launch, scoring=replace(launch.scoring, mini_batch_size=3))
    summary = run(spark, other)
    assert summary.error is not None
    assert (summary.error["condition"], summary.error["exit_code"]) == ("RESUME_MISMATCH", 5)
    assert read_summary(Path(launch.job_folder)) == before


def test_cancel__while_a_store_is_listed(make_launch: Any, deaf_store: str) -> None:
    launch = make_launch(NAMES.format(seconds=0), 4, job=ONE_SLOT)
    launch = replace(launch, input=replace(launch.input, uri=f"{deaf_store}/folder/"))
    folder = Path(launch.job_folder)
    driver = DriverProcess(launch)
    driver.wait_until(lambda: (folder / "status.json").exists())
    threading.Event().wait(2)
    assert driver.cancel() < 15
    assert driver.process.returncode == 6, driver.said
    driver.wait_for_children()
    assert read_summary(folder)["status"] == "Canceled"
