"""Files that workers without a shared folder send in pieces: script files, logs. Spark driver.

They are written below the job folder, as workers with a shared folder do themselves. What stands
there already may be a script's doing where it runs on this machine: nothing is written through a
link.
"""

from __future__ import annotations

import os
import stat
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import pyarrow as pa
import pyarrow.compute as pc

from sparkscore.driver.staging import STAGED_SCHEMA
from sparkscore.errors import StorageError
from sparkscore.executor.log_file import open_plain
from sparkscore.executor.log_place import SPOOL
from sparkscore.executor.relay import SCRIPT_FILES

_PLACES = (SCRIPT_FILES, SPOOL)


class RelayedFiles:
    """What tasks of one job send beside their rows; all of its waves write through one of these."""

    def __init__(self, job_folder: Path) -> None:
        self._folder = job_folder
        self._logs: dict[Path, _Log] = {}
        self._lock = threading.Lock()

    def take(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Write the pieces of files in a batch of RELAYED_SCHEMA; returns its staged rows.

        Raises StorageError (RELAYED_NAME_REFUSED) or OSError.
        """
        files = batch.column("file")
        if files.null_count < batch.num_rows:
            pieces = batch.filter(pc.is_valid(files)).select(
                ["file", "part", "position", "payload"]
            )
            for piece in pieces.to_pylist():
                self._write(os.fsdecode(piece["file"]), *list(piece.values())[1:])
            batch = batch.filter(pc.is_null(files))
        return pa.RecordBatch.from_arrays(batch.columns[: len(STAGED_SCHEMA)], schema=STAGED_SCHEMA)

    def _write(self, name: str, order: int, position: int, payload: bytes | None) -> None:
        parts = _check_name(name)
        if payload is None:
            self._make_folders(parts)
            return
        path = self._make_folders(parts[:-1]) / parts[-1]
        with suppress(FileExistsError), open(path, "xb", opener=open_plain):
            pass
        if not name.startswith(f"{SPOOL}/"):
            _write_at(path, position, payload)
            return
        with self._lock:
            log = self._logs.setdefault(path, _Log(path, held=[(0, path.lstat().st_size)]))
            log.write(order, position, payload, spare=self._folder / "staging" / ".log.tmp")

    def _make_folders(self, parts: tuple[str, ...]) -> Path:
        path = self._folder
        for part in parts:
            path = path / part
            try:
                is_folder = stat.S_ISDIR(path.lstat().st_mode)
            except FileNotFoundError:
                with suppress(FileExistsError):
                    path.mkdir(parents=path.parent == self._folder)
                is_folder = not path.is_symlink()
            if not is_folder:
                raise _refused("/".join(parts), f"but {path} is no folder")
        return path


@dataclass
class _Log:
    """The copy of a worker's log, as far as it has come.

    ``held`` are the bytes of the worker's file that stand in the copy, in their order; what was
    lost on its way leaves no gap. ``order`` is that of the newest piece.
    """

    path: Path
    order: int = 0
    held: list[tuple[int, int]] = field(default_factory=list)

    def write(self, order: int, start: int, text: bytes, *, spare: Path) -> None:
        """Write a piece. The file ends with it, unless a newer one has come before: then it only
        fills what is missing before that one, with the help of the new file ``spare``."""
        if order > self.order:
            self.order = order
            kept = [(first, min(stop, start)) for first, stop in self.held if first < start]
            _write_at(self.path, _count(kept), text)
            self.held = _join([*kept, (start, start + len(text))])
            return
        missing = [
            (max(first, start), min(stop, start + len(text)))
            for first, stop in _gaps(self.held)
            if max(first, start) < min(stop, start + len(text))
        ]
        if missing:
            self._fill(missing, start, text, spare)

    def _fill(self, missing: list[tuple[int, int]], start: int, text: bytes, spare: Path) -> None:
        with open(self.path, "rb", opener=open_plain) as log:
            pieces = {first: log.read(stop - first) for first, stop in self.held}
        for first, stop in missing:
            pieces[first] = text[first - start : stop - start]
        spare.unlink(missing_ok=True)
        with open(spare, "xb", opener=open_plain) as log:
            log.writelines(pieces[first] for first in sorted(pieces))
        spare.replace(self.path)
        self.held = _join(sorted([*self.held, *missing]))


def _gaps(held: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """What is missing before and between ranges in order."""
    stops = [0, *(stop for _, stop in held)]
    return [(stop, first) for stop, (first, _) in zip(stops, held, strict=False) if stop < first]


def _join(ranges: list[tuple[int, int]]) -> list[tuple[int, int]]:
    joined: list[tuple[int, int]] = []
    for first, stop in ranges:
        if joined and joined[-1][1] == first:
            joined[-1] = (joined[-1][0], stop)
        elif first < stop:
            joined.append((first, stop))
    return joined


def _count(ranges: list[tuple[int, int]]) -> int:
    return sum(stop - first for first, stop in ranges)


def _write_at(path: Path, position: int, payload: bytes) -> None:
    """Write a piece, with which the file ends; one that was lost before it leaves no gap."""
    with open(path, "r+b", opener=open_plain) as file:
        file.seek(min(position, file.seek(0, os.SEEK_END)))
        file.write(payload)
        file.truncate()


def _check_name(name: str) -> tuple[str, ...]:
    """Scripts name files; none may lead elsewhere."""
    parts = PurePosixPath(name).parts
    if ".." in parts or not any(name.startswith(f"{place}/") for place in _PLACES):
        raise _refused(name, "which leads elsewhere")
    return parts


def _refused(name: str, reason: str) -> StorageError:
    return StorageError(
        f"a worker has sent a file named {name!r}, {reason}: it was not written",
        condition="RELAYED_NAME_REFUSED",
        path=name,
    )
