"""The file that tells of finished mini-batches while a job runs."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from typing import Any

from sparkscore.driver.account import JobAccount
from sparkscore.driver.job_folder import JobFolder
from sparkscore.driver.live_ledger import LiveLedger
from sparkscore.messages.live_ledger import FIELDS, render_line
from sparkscore.messages.outcome import (
    FAILED,
    INIT_FAILED,
    SUCCEEDED,
    MiniBatchOutcome,
    ScoringFailure,
)


def make_outcome(mini_batch_id: int, status: str = SUCCEEDED, **fields: Any) -> MiniBatchOutcome:
    values: dict[str, Any] = {
        "inputs": 4,
        "failed": 0,
        "rows": 4,
        "attempts": 1,
        "retries": 0,
        "started_at": 1_700_000_000.25,
        "seconds": 0.5,
        "host": "node-a",
        "process": 11,
        **fields,
    }
    return MiniBatchOutcome(mini_batch_id, status, **values)


def read_ids(file: Path) -> list[int]:
    return [json.loads(line)[0] for line in file.read_text(encoding="ascii").splitlines()]


def test_render_line__holds_what_readers_show() -> None:
    error = ScoringFailure('ODD "CONDITION"\n', "message")
    outcome = make_outcome(7, FAILED, failed=3, retries=2, attempts=3, host="höst", error=error)
    text = render_line(outcome)
    assert text.count("\n") == 1
    assert dict(zip(FIELDS, json.loads(text), strict=True)) == {
        "id": 7,
        "status": "failed",
        "inputs": 4,
        "failed": 3,
        "rows": 4,
        "attempts": 3,
        "retries": 2,
        "started_at": 1_700_000_000.25,
        "seconds": 0.5,
        "host": "höst",
        "process": 11,
        "condition": 'ODD "CONDITION"\n',
    }


def test_account__tells_at_once_and_removes_the_file_with_its_end(tmp_path: Path) -> None:
    folder = JobFolder(tmp_path)
    folder.make()
    account = JobAccount(folder)
    account.tell([make_outcome(0), make_outcome(1, INIT_FAILED)])
    account.tell([])
    account.tell([make_outcome(2)])
    assert read_ids(folder.live_ledger) == [0, 2]
    account.close()
    assert not folder.live_ledger.exists()
    assert folder.ledger.exists()
    account.close()


def test_account__that_is_abandoned_leaves_what_another_driver_writes(tmp_path: Path) -> None:
    folder = JobFolder(tmp_path)
    folder.make()
    first = JobAccount(folder)
    first.tell([make_outcome(0)])
    folder.remove_account()
    assert not folder.live_ledger.exists()
    second = JobAccount(folder)
    second.tell([make_outcome(5)])
    first.tell([make_outcome(1)])
    first.close()
    assert read_ids(folder.live_ledger) == [5]
    second.close()
    assert not folder.live_ledger.exists()


class FullDisk:
    """A file on a disk that takes so many bytes more."""

    def __init__(self, file: Any) -> None:
        self.file, self.left = file, 1 << 30

    def write(self, content: bytes) -> int:
        if self.left == 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written: int = self.file.write(content[: self.left])
        self.left -= written
        return written

    def __getattr__(self, name: str) -> Any:
        return getattr(self.file, name)


def test_live_ledger__full_disk_tears_a_line_and_ends_nothing(tmp_path: Path) -> None:
    live = LiveLedger(tmp_path / "live.jsonl")
    disk = live._file = FullDisk(live._file)  # type: ignore[assignment]
    live.add([make_outcome(0)])
    disk.left = 20
    live.add([make_outcome(1)])
    live.add([make_outcome(2)])
    disk.left = 1 << 30
    live.add([make_outcome(3)])
    live.add([make_outcome(4)])
    first, torn, *rest = (tmp_path / "live.jsonl").read_text().splitlines()
    assert (json.loads(first)[0], len(torn)) == (0, 20)
    assert [json.loads(line)[0] for line in rest] == [3, 4]
    live.remove()


def test_live_ledger__folder_that_takes_no_files_ends_nothing(tmp_path: Path) -> None:
    live = LiveLedger(tmp_path / "missing" / "live.jsonl")
    live.add([make_outcome(0)])
    live.remove()
    assert list(tmp_path.iterdir()) == []
