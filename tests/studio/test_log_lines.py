"""Lines of logs with their marks apart."""

from __future__ import annotations

import pytest

from sparkscore.messages.log_marks import INIT_MARK, render_mark
from sparkscore.studio.log_lines import LogLine, name_log, split_lines


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (render_mark(7, 1) + "said", LogLine("said", mark="mb 7", mini_batch=7)),
        (render_mark(7, 3) + "[x] a", LogLine("[x] a", mark="mb 7 try 3", mini_batch=7)),
        (INIT_MARK + "loading", LogLine("loading", mark="init")),
        ("plain [mb 000001 try 1] x", LogLine("plain [mb 000001 try 1] x")),
        ("==> logs/driver.log <==", LogLine("", header="driver.log")),
        ("", LogLine("")),
        ("a\r", LogLine("a")),
    ],
)
def test_line__is_read(line: str, expected: LogLine) -> None:
    assert split_lines(f"{line}\n") == [expected]


def test_lines__end_with_the_text() -> None:
    assert split_lines("") == []
    assert [line.text for line in split_lines("a\n\nb")] == ["a", "", "b"]


def test_name__says_who_wrote_it() -> None:
    assert name_log("logs/driver.log") == "driver.log"
    assert name_log("logs/user/stderr/vm/process-1.stderr.txt") == (
        "script stderr: vm/process-1.stderr"
    )
