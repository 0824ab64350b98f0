"""Lines of scripts' logs and the mini-batches that they belong to."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkscore.messages.log_marks import (
    INIT_MARK,
    SHUTDOWN_MARK,
    find_mini_batch,
    iter_mini_batch_lines,
    mark_lines,
    render_mark,
)


@given(number=st.integers(0, 10**9), attempt=st.integers(1, 99), text=st.text())
def test_find_mini_batch__finds_what_was_marked(number: int, attempt: int, text: str) -> None:
    assert find_mini_batch(render_mark(number, attempt) + text) == number


@pytest.mark.parametrize("line", [INIT_MARK, SHUTDOWN_MARK, "", "text [mb 000001 try 1] "])
def test_find_mini_batch__is_none_for_other_lines(line: str) -> None:
    assert find_mini_batch(line) is None


def test_iter_mini_batch_lines__gives_all_attempts_of_that_one_only(tmp_path: Path) -> None:
    log = tmp_path / "log.txt"
    log.write_bytes(
        b"[init] loading\n"
        + mark_lines(b"a\nb\r\n\xff", render_mark(1, 1).encode())
        + mark_lines(b"[mb 000001 try 1] not mine", render_mark(10, 1).encode())
        + mark_lines(b"c", render_mark(1, 2).encode())
    )
    assert list(iter_mini_batch_lines(log, 1)) == [
        "[mb 000001 try 1] a",
        "[mb 000001 try 1] b\r",
        "[mb 000001 try 1] \ufffd",
        "[mb 000001 try 2] c",
    ]
    assert list(iter_mini_batch_lines(log, 2)) == []
