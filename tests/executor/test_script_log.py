"""Logs of a script, whatever it does to them."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkscore.executor.log_file import MAX_LOG_BYTES
from sparkscore.executor.script_log import ScriptLog, open_script_log, resume_script_log
from sparkscore.messages.log_marks import render_mark


def write(path: str, text: bytes) -> None:
    """As a script does that appends to its standard output."""
    with open(path, "ab") as raw:
        raw.write(text)


def read(folder: Path, kind: str = "stdout") -> bytes:
    """What stands in the job's file of a kind."""
    (file,) = (folder / "logs" / "user" / kind).rglob("*.txt")
    return file.read_bytes()


def test_log__marks_each_line_with_its_attempt(script_log: ScriptLog, tmp_path: Path) -> None:
    write(script_log.stdout, b"loading\n")
    script_log.end()
    script_log.begin(render_mark(3, 1))
    write(script_log.stdout, b"one\n\nthr")
    script_log.end()
    script_log.begin(render_mark(3, 2))
    write(script_log.stdout, b"ee\n")
    write(script_log.stderr, b"careful")
    script_log.end()
    script_log.end()
    assert read(tmp_path).splitlines() == [
        b"[init] loading",
        *(b"[mb 000003 try 1] one", b"[mb 000003 try 1] ", b"[mb 000003 try 1] thr"),
        b"[mb 000003 try 2] ee",
    ]
    assert read(tmp_path, "stderr") == b"[mb 000003 try 2] careful\n"


def test_log__shows_whole_lines_of_an_attempt_that_runs(
    script_log: ScriptLog, tmp_path: Path
) -> None:
    script_log.begin(render_mark(0, 1))
    write(script_log.stdout, b"done\nhalf")
    script_log.follow()
    assert read(tmp_path) == b"[mb 000000 try 1] done\n"
    write(script_log.stdout, b" a line\n")
    script_log.follow()
    assert read(tmp_path).splitlines()[1:] == [b"[mb 000000 try 1] half a line"]


@given(
    attempts=st.lists(
        st.lists(st.text("ab\n\r é", max_size=30).map(str.encode), max_size=4), max_size=5
    )
)
def test_log__whatever_is_written_stands_there_once(
    tmp_path_factory: pytest.TempPathFactory, attempts: list[list[bytes]]
) -> None:
    folder = tmp_path_factory.mktemp("log")
    log = open_script_log(str(folder / "logs"), raw=str(folder / "raw"))
    expected = []
    for number, pieces in enumerate(attempts):
        mark = render_mark(number, 1)
        log.begin(mark)
        for piece in pieces:
            write(log.stdout, piece)
            log.follow()
        log.end()
        lines = b"".join(pieces).split(b"\n")
        expected += [mark.encode() + line for line in (lines if lines[-1] else lines[:-1])]
    log.close()
    written = read(folder).split(b"\n")[:-1] if any(map(any, attempts)) else []
    assert written == expected


def test_log__line_without_end_is_broken_but_whole(script_log: ScriptLog, tmp_path: Path) -> None:
    mark = render_mark(1, 1)
    script_log.begin(mark)
    write(script_log.stdout, b"x" * (3 << 20))
    script_log.follow()
    script_log.end()
    lines = read(tmp_path).splitlines()
    assert all(line.startswith(mark.encode()) for line in lines)
    assert sum(line.count(b"x") for line in lines) == 3 << 20


@pytest.mark.parametrize("text", [b"a\n", b"line of text\n", b"x" * 100_000], ids=len)
def test_log__is_cut_with_its_marks_and_says_so(
    script_log: ScriptLog, tmp_path: Path, text: bytes
) -> None:
    write(script_log.stdout, b"first\n" + text * (2 * MAX_LOG_BYTES // len(text)))
    script_log.follow()
    script_log.begin(render_mark(0, 1))
    write(script_log.stdout, b"later\n")
    script_log.end()
    content = read(tmp_path)
    assert len(content) < MAX_LOG_BYTES + 1000
    assert content.startswith(b"[init] first\n")
    assert content.count(b"was cut") == 1
    assert b"later" not in content
    assert os.path.getsize(script_log.stdout) < 2 << 20


def test_log__of_logging_is_cut_while_the_script_writes(
    script_log: ScriptLog, tmp_path: Path
) -> None:
    with open(script_log.entry_script, "ab") as script:
        script.write(b"first" + bytes(MAX_LOG_BYTES * 2))
        script.flush()
        script_log.follow()
        script.write(b"later")
    content = read(tmp_path, "entry_script_log")
    assert len(content) < MAX_LOG_BYTES + 1000
    assert (content[:5], content[-5:]) == (b"first", b"later")
    assert b"was cut" in content


@pytest.mark.parametrize("kind", ["removed", "file"])
def test_log__does_without_files_that_the_script_took_away(
    script_log: ScriptLog, tmp_path: Path, kind: str
) -> None:
    shutil.rmtree(tmp_path / "logs")
    if kind == "file":
        (tmp_path / "logs").touch()
    write(script_log.stdout, b"text\n")
    script_log.end()
    shutil.rmtree(tmp_path / ".log")
    script_log.begin(render_mark(0, 1))
    script_log.end()
    assert (tmp_path / "logs").exists() == (kind == "file")


def test_log__goes_on_after_the_script_emptied_or_replaced_its_file(
    script_log: ScriptLog, tmp_path: Path
) -> None:
    write(script_log.stdout, b"before, and much of it\n")
    script_log.end()
    os.truncate(script_log.stdout, 0)
    write(script_log.stdout, b"emptied\n")
    script_log.end()
    os.unlink(script_log.stdout)
    script_log.begin_init()
    write(script_log.stdout, b"new\n")
    script_log.end()
    assert b"".join(read(tmp_path).splitlines()[1:]) == b"[init] emptied[init] new"


def test_resumed_log__copies_the_rest_with_the_mark_of_the_attempt(
    script_log: ScriptLog, tmp_path: Path
) -> None:
    script_log.begin(render_mark(12, 2))
    write(script_log.stdout, b"copied\n")
    script_log.follow()
    write(script_log.stdout, b"last words")
    resumed = resume_script_log(script_log.order)
    assert resumed is not None
    resumed.end()
    resumed.close()
    assert read(tmp_path) == b"[mb 000012 try 2] copied\n[mb 000012 try 2] last words\n"


def test_resumed_log__is_none_once_the_worker_removed_it(
    script_log: ScriptLog, tmp_path: Path
) -> None:
    shutil.rmtree(tmp_path / ".log")
    assert resume_script_log(script_log.order) is None
