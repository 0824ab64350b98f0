"""Log files that a script has put something else in place of."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from sparkscore.executor.log_file import MAX_LOG_BYTES, CappedFile, cut_back
from sparkscore.executor.stack_dump import read_stack


def put_fifo(path: Path) -> None:
    os.mkfifo(path)


def put_link(path: Path) -> None:
    path.symlink_to("/dev/zero")


@pytest.mark.parametrize("put", [put_fifo, put_link])
def test_log_file__that_is_none_takes_nothing(tmp_path: Path, put: Callable[[Path], None]) -> None:
    path = tmp_path / "log"
    put(path)
    log = CappedFile(str(path))
    with pytest.raises(OSError):
        log.append(b"text\n", b"[mark] ")
    log.cut_bytes = 7
    log.note()
    cut_back(str(path))
    assert read_stack(str(path)) == ""


def test_log_file__is_cut_with_a_note(tmp_path: Path) -> None:
    path = tmp_path / "log"
    log = CappedFile(str(path))
    assert log.append(b"first\n", b"[mark] ")
    assert not log.append(b"x" * (MAX_LOG_BYTES + 5), b"[mark] ")
    assert path.stat().st_size < MAX_LOG_BYTES + 200
    assert b"was cut" in path.read_bytes()[-200:]
