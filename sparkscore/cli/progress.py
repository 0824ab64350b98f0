"""Live progress on standard error: one line that is redrawn, or plain lines. Control plane."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Protocol

from rich.console import Console
from rich.live import Live
from rich.text import Text

from sparkscore.control import StatusMessage

PLAIN_INTERVAL_SECONDS = 5.0
STILL_THERE_SECONDS = 60.0
"""How often the same line is said again, so that a long wait does not look like an end."""


class Progress(AbstractContextManager["Progress"], Protocol):
    """Shows each status that it is given, its hint once, and lines of text between them."""

    def report(self, status: StatusMessage) -> None: ...

    def say(self, line: str) -> None: ...


def make_progress(console: Console) -> Progress:
    """A redrawn line where the console is a terminal that can do so, else plain lines."""
    if console.is_terminal and not console.is_dumb_terminal:
        return LiveProgress(console)
    return PlainProgress(console)


class PlainProgress:
    """A line whenever the job's status changes, and about every five seconds if there is news."""

    def __init__(self, console: Console, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._console = console
        self._clock = clock
        self._shown_status = self._shown_line = ""
        self._shown_at = float("-inf")
        self._hint: str | None = None

    def __enter__(self) -> PlainProgress:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        return None

    def report(self, status: StatusMessage) -> None:
        self._report_line(status)
        if status.hint and status.hint != self._hint:
            self.say(status.hint)
        self._hint = status.hint

    def _report_line(self, status: StatusMessage) -> None:
        now, line = self._clock(), render_status(status)
        is_news = line != self._shown_line
        patience_seconds = PLAIN_INTERVAL_SECONDS if is_news else STILL_THERE_SECONDS
        if status.status == self._shown_status and now - self._shown_at < patience_seconds:
            return
        self._shown_status, self._shown_line, self._shown_at = status.status, line, now
        self.say(line)

    def say(self, line: str) -> None:
        self._console.print(Text(line), soft_wrap=True)


class LiveProgress:
    """One line at the bottom of the terminal, gone when the job has ended."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, transient=True, auto_refresh=False)
        self._hint: str | None = None

    def __enter__(self) -> LiveProgress:
        self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._live.stop()

    def report(self, status: StatusMessage) -> None:
        if status.hint and status.hint != self._hint:
            self.say(status.hint)
        self._hint = status.hint
        line = Text(render_status(status), no_wrap=True, overflow="ellipsis")
        self._live.update(line, refresh=True)

    def say(self, line: str) -> None:
        self._console.print(Text(line), soft_wrap=True)


def render_status(status: StatusMessage) -> str:
    """One line: how far the job is, how fast, and how long it may still take."""
    if not status.mini_batches:
        return status.status
    parts = [
        f"{status.status}: {status.mini_batches_done:,}/{status.mini_batches:,} mini-batches",
        f"{status.inputs_succeeded + status.inputs_failed:,}/{status.inputs:,} inputs",
        f"{status.inputs_failed:,} failed",
        f"{status.inputs_per_second:,.1f} inputs/s",
    ]
    if status.eta_seconds is not None:
        parts.append(f"ETA {render_duration(status.eta_seconds)}")
    return ", ".join(parts)


def render_duration(seconds: float) -> str:
    """``0:07``, ``12:30`` or ``1:02:03``."""
    minutes, rest = divmod(max(0, round(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
