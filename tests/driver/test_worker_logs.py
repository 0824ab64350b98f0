"""Logs that workers could not put into ``logs/`` come there; scripts may have been at them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from sparkscore.driver.job_folder import JobFolder
from sparkscore.driver.worker_logs import WorkerLogs
from sparkscore.executor.log_place import SPOOL


@pytest.fixture
def folder(tmp_path: Path) -> JobFolder:
    (tmp_path / SPOOL).mkdir(parents=True)
    (tmp_path / "logs").mkdir()
    return JobFolder(tmp_path)


@pytest.fixture
def logs(folder: JobFolder) -> Iterator[WorkerLogs]:
    logs = WorkerLogs(folder)
    logs.start()
    yield logs
    logs.finish()


def test_worker_logs__are_copied_as_they_grow(folder: JobFolder, logs: WorkerLogs) -> None:
    spooled, copied = folder.path / SPOOL / "stdout.txt", folder.logs / "stdout.txt"
    for text in ("one\n", "one\ntwo\n"):
        spooled.write_text(text)
        logs.copy()
        assert copied.read_text() == text


def test_worker_logs__plain_files_alone_are_read_and_written(
    folder: JobFolder, logs: WorkerLogs, tmp_path: Path
) -> None:
    secret, precious = tmp_path / "secret", tmp_path / "precious"
    secret.write_text("secret")
    precious.write_text("precious")
    spool = folder.path / SPOOL
    (spool / "read.txt").symlink_to(secret)
    os.mkfifo(spool / "waits.txt")
    (folder.logs / "written.txt").symlink_to(precious)
    (spool / "written.txt").write_text("overwritten")
    (folder.logs / "user").symlink_to(tmp_path)
    (spool / "user").mkdir()
    (spool / "user" / "precious").write_text("overwritten")
    logs.copy()
    assert not (folder.logs / "read.txt").exists()
    assert not (folder.logs / "waits.txt").exists()
    assert precious.read_text() == "precious"
