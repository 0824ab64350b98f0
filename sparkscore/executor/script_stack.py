"""Where in the user's script a failure happened. Script host process and Python worker."""

from __future__ import annotations

import os
import re
import traceback
from dataclasses import dataclass
from typing import Any

from sparkscore.executor.failure_text import clean_text

_THREAD = re.compile(r"(Current thread|Thread) (0x[0-9a-f]+).*\(most recent call first\):$")
_FRAME = re.compile(r'  File "(.*)", line (\d+) in (.*)$')
_FATAL = "Fatal Python error"
_HERE = os.path.dirname(os.path.abspath(__file__)) + os.sep


@dataclass(frozen=True)
class Frame:
    """A place in code."""

    file: str
    line: int
    function: str

    def render(self) -> str:
        """As a line of Python's tracebacks."""
        return f'  File "{self.file}", line {self.line}, in {self.function}\n'


@dataclass(frozen=True)
class StackText:
    """A stack for people, and what of it lies in the script's code folder.

    ``script_line`` is ``file:line`` of the innermost frame there, relative to that folder.
    """

    traceback: str = ""
    script_line: str = ""
    script_traceback: str = ""


@dataclass(frozen=True)
class _Thread:
    name: str
    is_current: bool
    runs_script: bool
    frames: tuple[Frame, ...]

    def render(self) -> str:
        return "".join([f"{self.name} (most recent call last):\n", *map(Frame.render, self.frames)])


def explain_error(error: BaseException, *, code_folder: str | None) -> StackText:
    """What of an exception lies in the user's code; its ``traceback`` stays empty."""
    entries = [
        entry
        for entry in traceback.extract_tb(error.__traceback__)
        if is_in_folder(entry.filename, code_folder)
    ]
    place = _place_of(error, entries, code_folder)
    if not place:
        return StackText()
    ending = traceback.format_exception_only(type(error), error)
    lines = ["Traceback (most recent call last):\n", *traceback.format_list(entries), *ending]
    return StackText("", place, "".join(lines))


def explain_dump(text: str, *, code_folder: str | None) -> StackText:
    """What faulthandler wrote, in the order of Python's tracebacks, the telling thread last.

    That is the one that crashed, else the one that runs the script. Our own frames are left out.
    """
    is_crash = _FATAL in text
    threads = _parse(text[text.rfind(_FATAL) :] if is_crash else text)
    if not threads:
        return StackText()
    telling = max(
        threads,
        key=lambda thread: (
            bool(thread.frames),
            is_crash and thread.is_current,
            thread.runs_script,
        ),
    )
    others = [thread for thread in threads if thread is not telling and thread.frames]
    whole = "".join(thread.render() for thread in [*others, telling])
    frames = [frame for frame in telling.frames if is_in_folder(frame.file, code_folder)]
    if not frames:
        return StackText(clean_text(whole))
    assert code_folder is not None
    script = "".join(["Stack (most recent call last):\n", *map(Frame.render, frames)])
    place = _relative_place(frames[-1].file, frames[-1].line, code_folder)
    return StackText(clean_text(whole), place, clean_text(script))


def is_in_folder(file: str, folder: str | None) -> bool:
    """Whether a source file lies below ``folder``; nothing does if that is None."""
    return folder is not None and os.path.abspath(file).startswith(os.path.abspath(folder) + os.sep)


def _place_of(error: BaseException, entries: list[Any], code_folder: str | None) -> str:
    file, line = (entries[-1].filename, entries[-1].lineno) if entries else ("", 0)
    if isinstance(error, SyntaxError) and is_in_folder(error.filename or "", code_folder):
        file, line = error.filename or "", error.lineno or 0
    return _relative_place(file, line, code_folder) if file and code_folder else ""


def _relative_place(file: str, line: int, folder: str) -> str:
    return f"{os.path.relpath(os.path.abspath(file), os.path.abspath(folder))}:{line}"


def _parse(text: str) -> list[_Thread]:
    threads: list[_Thread] = []
    header, lines = None, []
    for line in [*text.splitlines(), ""]:
        match = _FRAME.match(line)
        if header is not None and match:
            lines.append(Frame(match[1], int(match[2]), match[3]))
        elif header is not None:
            threads.append(_make_thread(header, lines))
            header, lines = None, []
        header = _THREAD.match(line) or header
    return threads


def _make_thread(header: re.Match[str], innermost_first: list[Frame]) -> _Thread:
    """The script's part of a stack: our frames, and what called them, are left out."""
    ours = [number for number, frame in enumerate(innermost_first) if frame.file.startswith(_HERE)]
    frames = innermost_first[: ours[0]] if ours else innermost_first
    return _Thread(
        f"Thread {header[2]}", header[1] == "Current thread", bool(ours), tuple(reversed(frames))
    )
