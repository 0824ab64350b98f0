"""Logs in pieces: from an offset, from the end, of a job's copy, and nothing else."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkscore.control.jobs import Job
from sparkscore.control.jobs.log_files import list_log_files, read_log, read_mini_batch_lines
from sparkscore.control.workspace import Workspace
from sparkscore.errors import NotFoundError, StateError
from tests.control.jobs.conftest import make_record
from tests.control.jobs.test_mirror import Add, add, mirrored  # noqa: F401 - fixtures


@pytest.fixture
def job(workspace: Workspace, tmp_path: Path) -> Job:
    logs = tmp_path / "job" / "logs"
    (logs / "user" / "stdout" / "vm").mkdir(parents=True)
    (logs / "launcher.log").write_bytes(b"started\n")
    (logs / "driver.log").write_bytes(b"one\ntwo \xff\nthree")
    (logs / "user" / "stdout" / "vm" / "p.txt").write_bytes(
        b"[mb 000001 try 1] a\n[mb 000002 try 1] b\n[mb 000001 try 1] c\n"
    )
    (tmp_path / "job" / "secret.txt").write_text("x")
    os.symlink(tmp_path / "job" / "secret.txt", logs / "link.log")
    return Job(make_record(folder=str(tmp_path / "job"), status="Completed"), workspace)


def running(job: Job) -> Job:
    return Job(make_record(folder=job.record.folder, status="Running"), job.workspace)


def test_list__driver_and_launcher_first(job: Job) -> None:
    assert list_log_files(job) == [
        "logs/driver.log",
        "logs/launcher.log",
        "logs/link.log",
        "logs/user/stdout/vm/p.txt",
    ]


def test_read__whole_log_with_bytes_that_are_no_text(job: Job) -> None:
    piece = read_log(job, "logs/driver.log")
    assert piece.text == "one\ntwo \N{REPLACEMENT CHARACTER}\nthree"
    assert (piece.start, piece.end, piece.size) == (0, 15, 15)


def test_read__last_line_of_a_running_job_waits_for_its_end(job: Job) -> None:
    piece = read_log(running(job), "logs/driver.log")
    assert (piece.text[-1], piece.end) == ("\n", 10)
    log = Path(job.record.folder, "logs", "driver.log")
    log.write_bytes(log.read_bytes() + b" and more\n")
    assert read_log(running(job), "logs/driver.log", start=10).text == "three and more\n"


def test_read__end_of_a_large_log_begins_with_a_line(job: Job) -> None:
    piece = read_log(job, "logs/driver.log", most_bytes=9)
    assert (piece.text, piece.start) == ("three", 10)


def test_read__a_line_longer_than_a_piece_is_cut(job: Job) -> None:
    Path(job.record.folder, "logs", "driver.log").write_bytes(b"x" * 100)
    piece = read_log(running(job), "logs/driver.log", start=0, most_bytes=10)
    assert (piece.text, piece.end) == ("x" * 10, 10)


@given(content=st.binary(max_size=200), most=st.integers(1, 50))
def test_read__pieces_from_the_start_are_the_whole_log(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, most: int
) -> None:
    folder = tmp_path_factory.mktemp("job")
    (folder / "logs").mkdir()
    (folder / "logs" / "driver.log").write_bytes(content)
    job = Job(make_record(folder=str(folder), status="Completed"), None)  # type: ignore[arg-type]
    at = 0
    while at < len(content):
        piece = read_log(job, "logs/driver.log", start=at, most_bytes=most)
        assert piece.start == at
        assert piece.text == content[at : piece.end].decode("utf-8", "replace")
        assert piece.end > at
        at = piece.end
    assert at == len(content)


@pytest.mark.parametrize(
    "path",
    [
        "logs/none.log",
        "logs/link.log",
        "logs/../secret.txt",
        "secret.txt",
        "logs",
        "",
        "/etc/passwd",
    ],
)
def test_read__nothing_but_logs(job: Job, path: str) -> None:
    with pytest.raises(NotFoundError) as caught:
        read_log(job, path)
    assert caught.value.condition == "LOG_NOT_FOUND"


def test_mini_batch__only_its_lines(job: Job) -> None:
    lines, has_more = read_mini_batch_lines(job, 1)
    assert [line[-1] for line in lines[1:]] == ["a", "c"]
    assert not has_more
    assert read_mini_batch_lines(job, 1, most_lines=2) == (lines[:2], True)


def test_pruned_job__has_none(job: Job) -> None:
    pruned = make_record(folder=job.record.folder, properties={"sparkscore.pruned_at": "now"})
    with pytest.raises(StateError) as caught:
        list_log_files(Job(pruned, job.workspace))
    assert caught.value.condition == "JOB_PRUNED"


def test_copy_in_a_store__is_read_from_an_offset(
    mirrored: Workspace,  # noqa: F811 - the fixture
    add: Add,  # noqa: F811 - the fixture
) -> None:
    record = add("old")
    shutil.rmtree(record.folder)
    job = mirrored.jobs.get("old")
    assert list_log_files(job) == ["logs/driver.log", "logs/user/stdout/w.txt"]
    piece = read_log(job, "logs/driver.log", start=4)
    assert (piece.text, piece.start, piece.end, piece.size) == ("two\n", 4, 8, 8)
