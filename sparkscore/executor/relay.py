"""What a worker sends to a driver with which it shares no folder. Python worker process.

Beside staged rows these are the files that scripts wrote and what was added to the worker's logs:
pieces of files, in the same task result as the outcomes, so that Spark takes all of it or nothing.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

import pyarrow as pa

from sparkscore.executor.attempt_folders import AttemptFolders, remove_tree
from sparkscore.executor.log_file import open_plain
from sparkscore.executor.log_place import SPOOL
from sparkscore.executor.staged_rows import STAGED_SCHEMA, StagedRows
from sparkscore.executor.written_files import ENTRY_BYTES, iter_written, raise_unreadable

if TYPE_CHECKING:
    from sparkscore.executor.runner import ScoredMiniBatch

RELAYED_SCHEMA = pa.schema([*STAGED_SCHEMA, ("file", pa.binary()), ("position", pa.int64())])
"""A row with ``file`` is a piece of that file, a path in the job folder, from ``position`` on; the
file ends with it for now. Without payload it is a folder. ``part`` of a log's piece counts the
pieces that its worker has sent: tasks of two waves may end in another order."""

SCRIPT_FILES = "staging/files"
"""Where the driver keeps what scripts wrote, in the job folder."""

MAX_MINI_BATCH_BYTES = 256 * 1024 * 1024
"""What a mini-batch may give in all: the whole result of a task stands in an executor's memory."""

MAX_TASK_BYTES = 64 * 1024 * 1024
"""A task ends with the mini-batch that passes this; what is left of it goes to another task."""

_PIECE_BYTES = 4 * 1024 * 1024
_NOTE_PLACE_BYTES = 4096


@dataclass(frozen=True)
class _Piece:
    mini_batch_id: int
    file: str
    position: int
    payload: bytes | None
    order: int = 0

    def to_batch(self) -> Any:
        columns = [
            pa.array([self.mini_batch_id], pa.int64()),
            pa.array([self.order], pa.int32()),
            pa.array([None], pa.string()),
            pa.array([self.payload], pa.binary()),
            pa.array([os.fsencode(self.file)], pa.binary()),
            pa.array([self.position], pa.int64()),
        ]
        return pa.RecordBatch.from_arrays(columns, schema=RELAYED_SCHEMA)


class RelayedRows:
    """Staged rows of one task with what else is to reach the driver; used like ``StagedRows``."""

    def __init__(self, folders: AttemptFolders, logs: RelayedLogs) -> None:
        self._rows, self._folders, self._logs = StagedRows(), folders, logs
        self._last_id = 0
        self._bytes = 0

    @property
    def is_full(self) -> bool:
        """Whether the task has given enough."""
        return self._bytes > MAX_TASK_BYTES

    def add(self, scored: ScoredMiniBatch, outcome: str) -> Iterator[Any]:
        """Take the rows of one mini-batch; yields batches that are due, and its files."""
        self._last_id = scored.outcome.mini_batch_id
        self._bytes += len(outcome) + sum(map(len, scored.payloads))
        yield from map(_widen, self._rows.add(scored, outcome))
        for told in scored.outcome.folders:
            yield from self._send_folder(told)

    def flush(self) -> Iterator[Any]:
        """Yield the rows that are left, and what has been logged."""
        yield from map(_widen, self._rows.flush())
        for file, order, position, payload in self._logs.take():
            yield _Piece(self._last_id, file, position, payload, order).to_batch()

    def _send_folder(self, told: str) -> Iterator[Any]:
        """The files of a successful attempt, which go from here as they are sent."""
        name = self._folders.get_name(told)
        local = self._folders.get_local(told)
        yield _Piece(self._last_id, f"{SCRIPT_FILES}/{name}", 0, None).to_batch()
        for relative, content in iter_written(local):
            file = f"{SCRIPT_FILES}/{name}/{relative}"
            for position, payload in _iter_pieces(relative, content):
                self._bytes += len(payload) + ENTRY_BYTES
                yield _Piece(self._last_id, file, position, payload).to_batch()
        remove_tree(local)


class RelayedLogs:
    """How much of a worker's log files has been sent; ``files`` stand below ``root``."""

    def __init__(self, files: Iterable[str], root: str) -> None:
        self._files = {
            path: f"{SPOOL}/{os.path.relpath(path, root)}".replace(os.sep, "/") for path in files
        }
        self._sent: dict[str, tuple[int, int]] = {}
        self._count = 0

    def take(self) -> Iterator[tuple[str, int, int, bytes]]:
        """File, order, position and text of what was written since; the end again of one that was
        cut."""
        for path, name in self._files.items():
            try:
                status = os.stat(path)
                seen = (status.st_size, status.st_mtime_ns)
                if seen == self._sent.get(path, (0, 0)) or not status.st_size:
                    continue
                sent = min(self._sent.get(path, (0, 0))[0], status.st_size)
                start = max(0, sent - _NOTE_PLACE_BYTES)
                with open(path, "rb", opener=open_plain) as log:
                    log.seek(start)
                    text = log.read(status.st_size - start)
            except OSError:
                continue
            self._sent[path] = seen
            self._count += 1
            yield name, self._count, start, text


def _widen(batch: Any) -> Any:
    empty = [pa.nulls(batch.num_rows, field.type) for field in list(RELAYED_SCHEMA)[-2:]]
    return pa.RecordBatch.from_arrays([*batch.columns, *empty], schema=RELAYED_SCHEMA)


def _iter_pieces(name: str, content: IO[bytes]) -> Iterator[tuple[int, bytes]]:
    """What the file holds now; what a thread still adds is left out."""
    size, position = os.fstat(content.fileno()).st_size, 0
    while True:
        try:
            payload = content.read(min(_PIECE_BYTES, size - position))
        except OSError as error:
            raise_unreadable(name, error)
        if payload or not position:
            yield position, payload
        position += len(payload)
        if not payload or position >= size:
            return
