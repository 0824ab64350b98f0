"""What a job folder keeps so that another driver can go on. Written and read by drivers.

``lease/<token>.json`` names the driver with that token, ``staging/wave-*/_committed.json`` the
files of a wave that counts, ``staging/inherited.<token>.json`` the waves that a driver took over,
``plan/job.json`` the job that the plan belongs to, and ``publish.json`` what is about to appear.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import Any

from sparkscore.messages.codec import to_dict
from sparkscore.messages.launch import LaunchMessage

_FIXED_OF_INPUT = ("uri", "limit", "include", "exclude")
_FIXED_OF_OUTPUT = (
    *("path", "action", "format", "file_name", "table", "mode", "schema", "header", "separator"),
)
_FIXED_OF_SCORING = (
    *("model_name", "scoring_script", "mini_batch_size", "isolate_failures", "on_bad_row"),
    *("passthrough_columns", "output_action", "environment_variables"),
)


def get_fixed_digest(launch: LaunchMessage) -> str:
    """A digest of what no resumed run of a job may change, but for model and code themselves."""
    fixed: list[Any] = [launch.job_name]
    for message, names in (
        (launch.input, _FIXED_OF_INPUT),
        (launch.output, _FIXED_OF_OUTPUT),
        (launch.scoring, _FIXED_OF_SCORING),
    ):
        content = to_dict(message)
        fixed.append({name: content[name] for name in names})
    if launch.input.list_file is not None:
        fixed.append(launch.input.list_file)
    return hashlib.sha256(json.dumps(fixed, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class LeaseMessage:
    """A driver that holds a job folder, or held it.

    ``machine`` tells a running system and process namespace from others of the same host name,
    ``started`` the process from later ones with the same id; both are empty where unknown.
    ``mark`` is of this lease alone.
    """

    token: int
    host: str
    machine: str
    process: int
    started: str
    mark: str = ""


@dataclass(frozen=True)
class StagedFile:
    """A staged file as it was when its wave was committed.

    It holds the mini-batches from ``first`` up to, not including, ``stop``.
    """

    name: str
    size_bytes: int
    crc32: int
    first: int
    stop: int

    def find_problem(self) -> str | None:
        """What a driver cannot have written; a name must not lead out of its wave's folder."""
        is_plain = self.name.isprintable() and not {"/", "\\"} & {*self.name}
        if not is_plain or self.name in ("", ".", ".."):
            return f"names {self.name!r}, which is no file of a wave"
        return None if 0 <= self.first < self.stop else f"of {self.name} holds no mini-batch"


@dataclass(frozen=True)
class WaveCommit:
    """A wave that counts, and its files."""

    token: int
    files: tuple[StagedFile, ...] = field(default=(), metadata={"items": StagedFile})


@dataclass(frozen=True)
class InheritedWaves:
    """The folders of all waves of earlier drivers that count, as the driver ``token`` saw them."""

    token: int
    waves: tuple[str, ...] = ()


@dataclass(frozen=True)
class JobIdentity:
    """Digest of what a resumed job must share with the one that was planned."""

    digest: str


@dataclass(frozen=True)
class PublishMessage:
    """An output that is complete and about to get its name; written before that step.

    ``kind`` is file, folder, table or upload. ``inode`` and ``modified_ns`` are those of the file
    or folder on a local file system, ``crc32`` is of an uploaded file's content. ``names`` are
    the entries of a folder, or of an upload. ``output`` holds the fields of ``PublishedOutput``.
    """

    path: str
    kind: str
    inode: int = 0
    size_bytes: int = 0
    modified_ns: int = 0
    crc32: int = 0
    names: tuple[str, ...] = ()
    output: dict[str, Any] = field(default_factory=dict)
