"""Shows how far the copy of a local input is, on standard error. Control plane."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

if TYPE_CHECKING:
    from sparkscore.control.assets.upload import UploadProgress

PLAIN_INTERVAL_SECONDS = 5.0


class UploadReport:
    """A bar on a terminal, elsewhere a line now and then; nothing for a copy that is quick."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False)
        self._bar: Progress | None = None
        self._said_at = time.monotonic()

    def __call__(self, progress: UploadProgress) -> None:
        if self._console.is_terminal and not self._console.is_dumb_terminal:
            self._draw(progress)
        elif time.monotonic() - self._said_at >= PLAIN_INTERVAL_SECONDS:
            self._said_at = time.monotonic()
            self._console.print(render_upload(progress), soft_wrap=True)

    def _draw(self, progress: UploadProgress) -> None:
        if self._bar is None:
            columns = (
                *(TextColumn("{task.description}"), BarColumn(), DownloadColumn()),
                TimeRemainingColumn(),
            )
            self._bar = Progress(*columns, console=self._console, transient=True)
            self._bar.add_task("", total=progress.byte_count)
            self._bar.start()
        text = f"uploading {progress.files_done:,}/{progress.file_count:,} files"
        task = self._bar.task_ids[0]
        self._bar.update(task, description=text, completed=progress.bytes_done)
        if progress.files_done == progress.file_count:
            self._bar.stop()
            self._bar = None


def render_upload(progress: UploadProgress) -> str:
    """One line: how many files and how much of them is there."""
    done = f"{progress.files_done:,}/{progress.file_count:,} files"
    return (
        f"uploading: {done}, {progress.bytes_done / 1e6:,.1f}/{progress.byte_count / 1e6:,.1f} MB"
    )
