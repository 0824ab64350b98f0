"""Links that scripts put where the driver writes lead nowhere."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from sparkscore.driver.account import JobAccount
from sparkscore.driver.job_folder import JobFolder
from sparkscore.messages.outcome import BadRow
from sparkscore.messages.status import EventMessage, StatusMessage
from tests.driver.conftest import outcome

PRECIOUS = "precious"


@pytest.fixture
def folder(tmp_path: Path) -> JobFolder:
    made = JobFolder(tmp_path / "job")
    made.make()
    return made


@pytest.fixture
def precious(tmp_path: Path) -> Path:
    file = tmp_path / "outside.txt"
    file.write_text(PRECIOUS)
    return file


@pytest.mark.parametrize("name", ["ledger/outcomes.parquet", "failed_inputs.csv", "bad_rows.csv"])
def test_account__is_not_written_through_links(
    folder: JobFolder, precious: Path, name: str
) -> None:
    (folder.path / name).symlink_to(precious)
    account = JobAccount(folder)
    told = outcome(0, rows=1)
    account.add([replace(told, bad_rows=(BadRow("a", 0, "bad"),))])
    account.close()
    assert precious.read_text() == PRECIOUS
    assert (folder.path / name).stat().st_size > 0
    assert not (folder.path / name).is_symlink()


def test_status__is_not_written_through_links(
    folder: JobFolder, precious: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "getpid", lambda: 7)
    (folder.path / ".status.json.7.tmp").symlink_to(precious)
    folder.write_status(
        StatusMessage(job="job", status="Running", sequence=1, heartbeat_at=0, started_at=0)
    )
    assert precious.read_text() == PRECIOUS
    assert folder.find_sequence() == 1
    folder.events.symlink_to(precious)
    folder.write_event(EventMessage(0.0, "error"))
    assert precious.read_text() == PRECIOUS
    assert "error" in folder.events.read_text()


def test_next_driver__removes_what_a_killed_one_built(folder: JobFolder) -> None:
    building = folder.path / ".files.job.1.tmp"
    building.mkdir()
    (building / "half").write_text("half")
    folder.make()
    assert not building.exists()
