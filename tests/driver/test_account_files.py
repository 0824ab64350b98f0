"""Ledger and ``failed_inputs.csv`` as they are written from outcomes."""

from __future__ import annotations

import csv
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from sparkscore.driver.account import JobAccount
from sparkscore.driver.job_folder import JobFolder
from sparkscore.messages.failure_groups import group_failures
from sparkscore.messages.outcome import (
    FAILED,
    SUCCEEDED,
    FailedInput,
    MiniBatchOutcome,
    ScoringFailure,
)

ERROR = ScoringFailure(
    "SCRIPT_RAISED",
    "ValueError: row 3",
    "whole",
    script_line="score.py:4",
    script_traceback="part",
    attempt=4,
    process=12,
)
FAILURES = (
    FailedInput("a", ERROR.condition, ERROR.message, 1, (), 4, ERROR.script_line, ERROR.process),
    FailedInput("", "SHORT_RESULT", "run() returned 0 results", 2, ("b", "c"), 3, "", 12),
)


@pytest.fixture
def folder(tmp_path: Path) -> JobFolder:
    """A job folder with the account of two mini-batches."""
    folder = JobFolder(tmp_path)
    folder.make()
    account = JobAccount(folder)
    values: dict[str, Any] = {"host": "node-a", "started_at": 0.0, "seconds": 0.5}
    account.add(
        [
            MiniBatchOutcome(0, SUCCEEDED, 4, 0, 4, 1, 0, process=11, **values),
            MiniBatchOutcome(
                1,
                FAILED,
                4,
                3,
                1,
                2,
                1,
                process=13,
                failures=FAILURES,
                error=ERROR,
                peak_memory_bytes=1 << 40,
                cpu_seconds=0.25,
                **values,
            ),
        ]
    )
    account.close()
    return folder


def test_ledger__tells_resources_and_where_the_error_was(folder: JobFolder) -> None:
    good, bad = pq.read_table(folder.ledger).to_pylist()
    assert (good["peak_memory_bytes"], good["cpu_seconds"], good["script_line"]) == (0, 0.0, None)
    assert (bad["peak_memory_bytes"], bad["cpu_seconds"]) == (1 << 40, 0.25)
    assert (bad["script_line"], bad["script_traceback"]) == ("score.py:4", "part")
    assert (bad["error_attempt"], bad["error_process"], bad["process"]) == (4, 12, 13)


def test_failed_inputs__name_each_with_its_reason(folder: JobFolder) -> None:
    with open(folder.failed_inputs, encoding="utf-8", newline="") as file:
        first, second = csv.DictReader(file)
    assert first == {
        "path": "a",
        "mini_batch_id": "1",
        "condition": "SCRIPT_RAISED",
        "message": "ValueError: row 3",
        "count": "1",
        "candidates": "",
        "attempts": "4",
        "script_line": "score.py:4",
        "host": "node-a",
        "process": "12",
    }
    assert (second["path"], second["count"], second["candidates"]) == ("", "2", '["b", "c"]')


def test_failed_inputs__can_be_grouped_as_they_are(folder: JobFolder) -> None:
    with open(folder.failed_inputs, encoding="utf-8", newline="") as file:
        groups = group_failures(csv.DictReader(file))
    assert [(group.condition, group.count) for group in groups] == [
        ("SHORT_RESULT", 2),
        ("SCRIPT_RAISED", 1),
    ]
    assert (
        sum(group.count for group in group_failures(pq.read_table(folder.ledger).to_pylist())) == 3
    )


def test_account__on_a_full_disk_closes_every_file(tmp_path: Path) -> None:
    folder = JobFolder(tmp_path)
    folder.make()
    account = JobAccount(folder)
    with open("/dev/full", "wb") as full:
        os.dup2(full.fileno(), descriptor_of(folder.failed_inputs))
    with pytest.raises(OSError, match="No space left"):
        account.close()
    assert not folder.live_ledger.exists()
    assert not any(str(tmp_path) in target for target in open_files())
    assert pq.read_table(folder.ledger).num_rows == 0


def descriptor_of(file: Path) -> int:
    """The descriptor by which this process has a file open."""
    links = Path("/proc/self/fd").iterdir()
    return next(int(link.name) for link in links if os.path.realpath(link) == str(file))


def open_files() -> list[str]:
    """What this process has open, removed files among them."""
    found = []
    for link in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):
            found.append(os.readlink(link))
    return found
