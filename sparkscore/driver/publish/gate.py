"""What publishing asks and tells on its way. Spark driver process."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from sparkscore.driver.job_folder import replace_text
from sparkscore.driver.publish.published import PublishedOutput
from sparkscore.errors import MessageError
from sparkscore.messages.codec import from_dict, from_json, to_json
from sparkscore.messages.resume import PublishMessage


@dataclass(frozen=True)
class PublishGate:
    """Between an output that is written and its name.

    ``check`` raises if the job is to stop, ``confirm`` if another driver holds the job folder.
    ``file`` keeps the record of what is about to appear, None for no record; ``keep`` is called
    once it is written, and raises if the output must not appear after all. Names of temporary
    files hold ``token``: a driver that was taken over can never name a file of its successor's.
    """

    file: Path | None = None
    token: int = 1
    check: Callable[[], None] = lambda: None
    confirm: Callable[[], None] = lambda: None
    keep: Callable[[], None] = lambda: None

    def announce(self, message: PublishMessage) -> None:
        """Record an output just before it appears; raises what ``check`` and ``confirm`` do."""
        self.check()
        self.confirm()
        if self.file is not None:
            replace_text(self.file, to_json(message, indent=2) + "\n")
            self.keep()

    def find_announced(self, path: str) -> PublishMessage | None:
        """What this job announced for ``path`` in this run or an earlier one."""
        if self.file is None:
            return None
        try:
            message = from_json(PublishMessage, self.file.read_bytes(), where=str(self.file))
            if message.kind != "table":
                get_output(message)
        except (OSError, MessageError):
            return None
        return message if message.path == path else None


OPEN_GATE = PublishGate()
"""Lets everything pass and keeps no record."""


def temporary_name(name: str, token: int) -> str:
    """What ``name`` is called while the driver with ``token`` writes it."""
    return f".{name}.{token}.tmp"


def find_leftovers(folder: Path, name: str, token: int) -> list[Path]:
    """What killed drivers left in ``folder`` under temporary names of ``name``, up to the driver
    with ``token``: what has a higher one is its successor's, who is at work."""
    pattern = re.compile(rf"\.{re.escape(name)}\.(\d+)\.tmp")
    matches = [
        (entry, pattern.fullmatch(entry.name))
        for entry in (folder.iterdir() if folder.is_dir() else ())
    ]
    return [entry for entry, match in matches if match and int(match[1]) <= token]


def describe(
    output: PublishedOutput,
    *,
    kind: str,
    standing: Path | None = None,
    crc32: int = 0,
    names: tuple[str, ...] = (),
) -> PublishMessage:
    """The announcement of ``output``; ``standing`` is the file or folder that gets its name."""
    status = None if standing is None else standing.stat()
    return PublishMessage(
        path=output.path,
        kind=kind,
        inode=0 if status is None else status.st_ino,
        size_bytes=output.bytes,
        modified_ns=0 if status is None else status.st_mtime_ns,
        crc32=crc32,
        names=names,
        output=asdict(output),
    )


def get_output(message: PublishMessage) -> PublishedOutput:
    """The output that was announced; raises MessageError."""
    return from_dict(PublishedOutput, message.output, where=f"announcement of {message.path}")
