"""The mark before each line of a script's logs: its mini-batch and attempt. Any process."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

INIT_MARK = "[init] "
SHUTDOWN_MARK = "[shutdown] "

_MINI_BATCH = re.compile(r"\[mb (\d+) try \d+\] ")


def render_mark(mini_batch_id: int, attempt: int) -> str:
    """The mark of lines that this attempt of a mini-batch writes: ``[mb 000007 try 1] ``."""
    return f"[mb {mini_batch_id:06d} try {attempt}] "


def mark_lines(text: bytes, mark: bytes) -> bytes:
    """``text`` with ``mark`` before each of its lines; ends with a newline."""
    lines = text[:-1] if text.endswith(b"\n") else text
    return mark + lines.replace(b"\n", b"\n" + mark) + b"\n"


def find_mini_batch(line: str) -> int | None:
    """The mini-batch that a line of a script's log belongs to, None if it is of none."""
    match = _MINI_BATCH.match(line)
    return None if match is None else int(match[1])


def iter_mini_batch_lines(file: Path, mini_batch_id: int) -> Iterator[str]:
    """The lines of one mini-batch in a log of a script, marks included, without their ends.

    Raises OSError if the file cannot be read.
    """
    with open(file, encoding="utf-8", errors="replace", newline="\n") as lines:
        for line in lines:
            if find_mini_batch(line) == mini_batch_id:
                yield line.rstrip("\n")
