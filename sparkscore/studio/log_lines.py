"""Lines of logs for people: marks apart from what was said. Control plane, pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

_MARK = re.compile(r"\[(?:mb (?P<id>\d+) try (?P<attempt>\d+)|(?P<phase>init|shutdown))\] ")
_HEADER = re.compile(r"==> (?P<path>.+) <==")
_KINDS = (
    ("logs/user/stdout/", "stdout"),
    ("logs/user/stderr/", "stderr"),
    ("logs/user/entry_script_log/", "log"),
    ("logs/user/error/", "errors"),
)


@dataclass(frozen=True)
class LogLine:
    """One line. ``mark`` says whose it is, such as ``mb 7``; ``header`` names the file of the
    lines that follow."""

    text: str
    mark: str = ""
    mini_batch: int | None = None
    header: str = ""


def split_lines(text: str) -> list[LogLine]:
    """The lines of a log; the mark before a script's lines stands apart."""
    lines = text.split("\n")
    if lines and not lines[-1]:
        lines.pop()
    return [_read_line(line.rstrip("\r")) for line in lines]


def _read_line(line: str) -> LogLine:
    header = _HEADER.fullmatch(line)
    if header is not None:
        return LogLine("", header=name_log(header["path"]))
    mark = _MARK.match(line)
    if mark is None:
        return LogLine(line)
    text = line[mark.end() :]
    if mark["phase"] is not None:
        return LogLine(text, mark=mark["phase"])
    number, attempt = int(mark["id"]), int(mark["attempt"])
    shown = f"mb {number}" if attempt == 1 else f"mb {number} try {attempt}"
    return LogLine(text, mark=shown, mini_batch=number)


def name_log(path: str) -> str:
    """Such as ``driver.log``, or ``script stderr: HOST/process-7``."""
    for start, kind in _KINDS:
        if path.startswith(start):
            return f"script {kind}: {path.removeprefix(start).removesuffix('.txt')}"
    return path.removeprefix("logs/")
