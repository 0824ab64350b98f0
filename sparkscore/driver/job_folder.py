"""The files of a job folder that the driver writes. Spark driver process.

The control plane and people read them while the job runs, so what is replaced is replaced
atomically.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
import zlib
from pathlib import Path
from typing import Any

from sparkscore.errors import MessageError, StateError
from sparkscore.executor.attempt_folders import remove_tree
from sparkscore.executor.log_file import open_plain
from sparkscore.messages import codec
from sparkscore.messages.launch import LaunchMessage
from sparkscore.messages.live_ledger import LIVE_LEDGER
from sparkscore.messages.resume import JobIdentity, get_fixed_digest
from sparkscore.messages.status import COMPLETED, EventMessage, StatusMessage, SummaryMessage
from sparkscore.plan.scoring_plan import HEADER_NAME
from sparkscore.plan.spark_application import SCRATCH_NAME

_CHECKSUM_BYTES = 4
_SOCKET_PREFIX = "sparkscore-sockets-"
_MAX_SOCKET_FOLDER_BYTES = 60
"""A socket's whole path has at most 107 bytes on Linux, and Spark's names have 42."""


class JobFolder:
    """Paths and files below one job folder (a local path)."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.plan = self.path / "plan"
        self.scratch = self.path / SCRATCH_NAME
        self.staging = self.path / "staging"
        self.logs = self.path / "logs"
        self.ledger = self.path / "ledger" / "outcomes.parquet"
        self.live_ledger = self.path / LIVE_LEDGER
        self.failed_inputs = self.path / "failed_inputs.csv"
        self.bad_rows = self.path / "bad_rows.csv"
        self.summary = self.path / "summary.json"
        self.status = self.path / "status.json"
        self.events = self.path / "events.jsonl"
        self.result_schema = self.path / "plan" / "result_schema.arrow"
        self.identity = self.path / "plan" / "job.json"
        self.lease = self.path / "lease"
        self.publish = self.path / "publish.json"

    def make(self) -> None:
        """Make the folders that the driver writes to; an earlier run's summary goes, and what it
        left on Spark's local disk and in temporary files."""
        for folder in (self.plan, self.staging, self.logs, self.ledger.parent):
            folder.mkdir(parents=True, exist_ok=True)
        self.summary.unlink(missing_ok=True)
        self.remove_scratch()
        for folder in (self.path, self.plan, self.staging):
            for left in folder.glob(".*.tmp"):
                remove_tree(str(left))

    def find_completed(self) -> SummaryMessage | None:
        """The summary of a job that has completed here, with its plan; None if none has."""
        summary = self.find_ended()
        is_completed = summary is not None and summary.status == COMPLETED
        return summary if is_completed and self.has_plan() else None

    def find_ended(self) -> SummaryMessage | None:
        """The summary that an earlier driver left, however the job ended; None if it left none."""
        try:
            return codec.from_json(
                SummaryMessage, self.summary.read_bytes(), where=str(self.summary)
            )
        except (OSError, MessageError):
            return None

    def has_plan(self) -> bool:
        """Whether the job was planned: then it goes on from there."""
        return (self.path / HEADER_NAME).exists()

    def written_to(self) -> dict[str, str]:
        """The folders that a job writes to, by what they are for."""
        return {
            "scratch": str(self.scratch),
            "staging": str(self.staging),
            "job folder": str(self.path),
        }

    def check_identity(self, launch: LaunchMessage) -> None:
        """Raise StateError (RESUME_MISMATCH) if the plan here is that of a different job."""
        if not self.has_plan() or not self.identity.exists():
            return
        planned = _read_message(JobIdentity, self.identity)
        if planned.digest != get_fixed_digest(launch):
            raise StateError(
                f"{self.path} holds another job: its input, output or settings are not those of "
                "this launch message; run it in a new job folder",
                condition="RESUME_MISMATCH",
                job_folder=str(self.path),
            )

    def write_identity(self, launch: LaunchMessage) -> None:
        """Record which job is about to be planned."""
        replace_text(self.identity, codec.to_json(JobIdentity(get_fixed_digest(launch))))

    def find_result_schema(self) -> bytes | None:
        """The result schema that was pinned here, None if none was.

        Raises MessageError if the file is not as it was written.
        """
        try:
            found = self.result_schema.read_bytes()
        except FileNotFoundError:
            return None
        content = found[:-_CHECKSUM_BYTES]
        if found != _with_checksum(content):
            where = str(self.result_schema)
            raise MessageError(f"{where} is damaged; run the job anew", where=where)
        return content

    def write_result_schema(self, content: bytes) -> None:
        """Pin the result schema; a checksum follows it, which readers of Arrow pass over."""
        _replace(self.result_schema, _with_checksum(content))

    def remove_account(self) -> None:
        """Remove the account's files, which an earlier driver may still hold open."""
        for file in (self.ledger, self.live_ledger, self.failed_inputs, self.bad_rows):
            file.unlink(missing_ok=True)

    def find_sequence(self) -> int:
        """The sequence of the last status that was written here, 0 if none was."""
        try:
            text = self.status.read_bytes()
            return codec.from_json(StatusMessage, text, where=str(self.status)).sequence
        except (OSError, MessageError):
            return 0

    def write_status(self, status: StatusMessage) -> None:
        """Replace ``status.json``."""
        replace_text(self.status, codec.to_json(status))

    def write_event(self, event: EventMessage) -> None:
        """Add a line to ``events.jsonl``; one that a script has made a link begins anew."""
        if self.events.is_symlink():
            self.events.unlink()
        with open(self.events, "a", encoding="utf-8", opener=open_plain) as events:
            events.write(codec.to_json(event) + "\n")

    def write_summary(self, summary: SummaryMessage) -> None:
        """Write ``summary.json``."""
        replace_text(self.summary, codec.to_json(summary, indent=2) + "\n")

    def place_script_folder(self, told: str) -> str:
        """Where the files of an attempt stand here, whose folder an outcome names as ``told``."""
        return str(self.staging / "files" / name_script_folder(told))

    def make_temporary_folder(self) -> Path:
        """A folder for the JVM's temporary files, which goes with Spark's local folder."""
        folder = self.scratch / "tmp"
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def make_socket_folder(self) -> Path:
        """A folder for Spark's sockets, whose names must be short; it goes as well."""
        link = self.scratch / "sockets"
        if len(os.fsencode(link)) <= _MAX_SOCKET_FOLDER_BYTES:
            link.mkdir(parents=True, exist_ok=True)
            return link
        link.parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=_SOCKET_PREFIX, dir=_short_temporary_folder()))
        link.symlink_to(folder)
        return folder

    def remove_scratch(self) -> None:
        """Remove Spark's local folder, once Spark has ended."""
        link = self.scratch / "sockets"
        if link.is_symlink() and link.readlink().name.startswith(_SOCKET_PREFIX):
            shutil.rmtree(link.readlink(), ignore_errors=True)
        shutil.rmtree(self.scratch, ignore_errors=True)

    def remove_staging(self) -> None:
        """Remove what was staged; what cannot be removed does no harm."""
        shutil.rmtree(self.staging, ignore_errors=True)


def name_script_folder(told: str) -> str:
    """Worker and attempt of a folder as an outcome names it: a job that goes on elsewhere has
    another path before them."""
    return "/".join(Path(told).parts[-2:])


def _with_checksum(content: bytes) -> bytes:
    return content + zlib.crc32(content).to_bytes(_CHECKSUM_BYTES, "little")


def _short_temporary_folder() -> str:
    """The system's temporary folder, or /tmp where its name is too long for a socket below it."""
    named = tempfile.gettempdir()
    whole = os.path.join(named, f"{_SOCKET_PREFIX}12345678")
    return named if len(os.fsencode(whole)) <= _MAX_SOCKET_FOLDER_BYTES else "/tmp"  # noqa: S108


def read_launch(path: Path) -> LaunchMessage:
    """The launch message in ``path``; raises MessageError if it cannot be read."""
    return _read_message(LaunchMessage, path)


def _read_message(kind: type[codec.Message], path: Path) -> codec.Message:
    try:
        text = path.read_bytes()
    except OSError as error:
        raise MessageError(f"{path} cannot be read: {error.strerror}", where=str(path)) from error
    return codec.from_json(kind, text, where=str(path))


def replace_text(path: Path, text: str) -> None:
    """Write a file so that readers see the old or the new text, never a part."""
    _replace(path, text.encode("utf-8"))


def _replace(path: Path, content: bytes) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.unlink(missing_ok=True)
        with open(temporary, "xb", opener=open_plain) as file:
            file.write(content)
        os.replace(temporary, path)
    except OSError:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise


def read_json(path: Path) -> dict[str, Any]:
    """The JSON object in ``path``."""
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content
