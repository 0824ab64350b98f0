"""The files of a job folder that the driver writes. Spark driver process.

The control plane and people read them while the job runs, so what is replaced is replaced
atomically.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from pathlib import Path
from typing import Any

from sparkscore.errors import MessageError
from sparkscore.messages import codec
from sparkscore.messages.launch import LaunchMessage
from sparkscore.messages.status import EventMessage, StatusMessage, SummaryMessage


class JobFolder:
    """Paths and files below one job folder (a local path)."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.plan = self.path / "plan"
        self.staging = self.path / "staging"
        self.logs = self.path / "logs"
        self.ledger = self.path / "ledger" / "outcomes.parquet"
        self.failed_inputs = self.path / "failed_inputs.csv"
        self.bad_rows = self.path / "bad_rows.csv"
        self.summary = self.path / "summary.json"
        self.status = self.path / "status.json"
        self.events = self.path / "events.jsonl"
        self.result_schema = self.path / "plan" / "result_schema.arrow"

    def make(self) -> None:
        """Make the folders that the driver writes to; an earlier run's summary goes."""
        for folder in (self.plan, self.staging, self.logs, self.ledger.parent):
            folder.mkdir(parents=True, exist_ok=True)
        self.summary.unlink(missing_ok=True)

    def wave(self, number: int) -> Path:
        """The staging folder of a wave, counted from 0."""
        return self.staging / f"wave-{number:05d}"

    def write_status(self, status: StatusMessage) -> None:
        """Replace ``status.json``."""
        replace_text(self.status, codec.to_json(status))

    def write_event(self, event: EventMessage) -> None:
        """Add a line to ``events.jsonl``."""
        with open(self.events, "a", encoding="utf-8") as events:
            events.write(codec.to_json(event) + "\n")

    def write_summary(self, summary: SummaryMessage) -> None:
        """Write ``summary.json``."""
        replace_text(self.summary, codec.to_json(summary, indent=2) + "\n")

    def remove_scratch(self) -> None:
        """Remove Spark's local folder, once Spark has ended."""
        shutil.rmtree(self.path / "scratch", ignore_errors=True)

    def remove_staging(self) -> None:
        """Remove what was staged; what cannot be removed does no harm."""
        shutil.rmtree(self.staging, ignore_errors=True)


def read_launch(path: Path) -> LaunchMessage:
    """The launch message in ``path``; raises MessageError if it cannot be read."""
    try:
        text = path.read_bytes()
    except OSError as error:
        raise MessageError(f"{path} cannot be read: {error.strerror}", where=str(path)) from error
    return codec.from_json(LaunchMessage, text, where=str(path))


def replace_text(path: Path, text: str) -> None:
    """Write a file so that readers see the old or the new text, never a part."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_text(text, encoding="utf-8")
        os.replace(temporary, path)
    except OSError:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise


def read_json(path: Path) -> dict[str, Any]:
    """The JSON object in ``path``."""
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content
