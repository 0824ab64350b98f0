"""The account of every input, fed with the outcomes of finished mini-batches. Spark driver.

Memory stays flat: outcomes go to the ledger (Parquet) and failures to CSV as they come in; only
counts and the first distinct reasons are kept.
"""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

from sparkscore.driver.counts import Counts
from sparkscore.driver.job_folder import JobFolder
from sparkscore.driver.live_ledger import LiveLedger
from sparkscore.messages.outcome import INIT_FAILED, FailedInput, MiniBatchOutcome

_MAX_REASONS = 1000
_ROW_GROUP_ROWS = 10_000

LEDGER_SCHEMA = pa.schema(
    [
        ("mini_batch_id", pa.int64()),
        ("status", pa.string()),
        ("inputs", pa.int64()),
        ("succeeded", pa.int64()),
        ("failed", pa.int64()),
        ("rows", pa.int64()),
        ("bad_rows", pa.int64()),
        ("attempts", pa.int32()),
        ("retries", pa.int32()),
        ("started_at", pa.float64()),
        ("seconds", pa.float64()),
        ("host", pa.string()),
        ("process", pa.int64()),
        ("condition", pa.string()),
        ("message", pa.string()),
        ("traceback", pa.string()),
        ("failures", pa.string()),
        ("peak_memory_bytes", pa.int64()),
        ("cpu_seconds", pa.float64()),
        ("script_line", pa.string()),
        ("script_traceback", pa.string()),
        ("error_attempt", pa.int32()),
        ("error_process", pa.int64()),
    ]
)


@dataclass
class Reason:
    """A distinct reason of failed inputs."""

    condition: str
    message: str
    count: int = 0
    path: str = ""

    def render(self) -> dict[str, Any]:
        """As it stands in the summary."""
        return {
            "condition": self.condition,
            "message": self.message,
            "count": self.count,
            "path": self.path,
        }


@dataclass
class JobAccount:
    """Takes outcomes once each and knows the totals; ``close`` completes the files."""

    folder: JobFolder
    counts: Counts = field(default_factory=Counts)
    script_folders: list[tuple[int, tuple[str, ...]]] = field(default_factory=list)

    def find_lost(self) -> set[int]:
        """The mini-batches whose scripts' own files are gone."""
        return {
            mini_batch_id
            for mini_batch_id, attempts in self.script_folders
            if not all(map(os.path.isdir, attempts))
        }

    def __post_init__(self) -> None:
        self._reasons: dict[tuple[str, str], Reason] = {}
        self.folder.ledger.unlink(missing_ok=True)  # it may be a link, which a script has put there
        self._ledger = pq.ParquetWriter(self.folder.ledger, LEDGER_SCHEMA, compression="zstd")
        self._live = LiveLedger(self.folder.live_ledger)
        self._failed_inputs = _CsvLines(
            self.folder.failed_inputs,
            (
                *("path", "mini_batch_id", "condition", "message", "count", "candidates"),
                *("attempts", "script_line", "host", "process"),
            ),
            always=True,
        )
        self._bad_rows = _CsvLines(self.folder.bad_rows, ("file", "row", "message"))

    def tell(self, outcomes: Sequence[MiniBatchOutcome]) -> None:
        """Let readers know of mini-batches that have just finished; ``add`` takes them later."""
        self._live.add(outcomes)

    def add(self, outcomes: Iterable[MiniBatchOutcome]) -> None:
        """Take the outcomes of mini-batches that were not taken before."""
        left = iter(outcomes)
        while taken := list(islice(left, _ROW_GROUP_ROWS)):
            self._add(taken)

    def _add(self, taken: Sequence[MiniBatchOutcome]) -> None:
        for outcome in taken:
            self.counts.add(outcome)
            if outcome.folders:
                places = tuple(map(self.folder.place_script_folder, outcome.folders))
                self.script_folders.append((outcome.mini_batch_id, places))
            for failure in outcome.failures:
                self._add_failure(outcome, failure)
            for bad in outcome.bad_rows:
                self._bad_rows.write((bad.file, bad.row, bad.message))
        self._failed_inputs.flush()
        finished = [outcome for outcome in taken if outcome.status != INIT_FAILED]
        if finished:
            rows = [_ledger_row(outcome) for outcome in finished]
            self._ledger.write_table(pa.Table.from_pylist(rows, LEDGER_SCHEMA))

    def abandon(self) -> None:
        """Let go of the files, which belong to another driver by now, without completing them."""
        self._ledger.is_open = False
        self._live.close()

    def reasons(self, most: int) -> list[Reason]:
        """The first distinct reasons of failed inputs, most frequent first."""
        ordered = sorted(self._reasons.values(), key=lambda reason: -reason.count)
        return ordered[:most]

    def close(self) -> None:
        """Complete ledger, ``failed_inputs.csv`` and ``bad_rows.csv``.

        All are closed also where one cannot be written; its OSError is raised then.
        """
        with ExitStack() as files:
            files.callback(self._live.remove)
            files.callback(self._bad_rows.close)
            files.callback(self._failed_inputs.close)
            files.callback(self._ledger.close)

    def _add_failure(self, outcome: MiniBatchOutcome, failure: FailedInput) -> None:
        candidates = json.dumps(failure.candidates) if failure.candidates else ""
        self._failed_inputs.write(
            (
                failure.path,
                outcome.mini_batch_id,
                failure.condition,
                failure.message,
                failure.count,
                candidates,
                failure.attempts,
                failure.script_line,
                outcome.host,
                failure.process,
            )
        )
        key = (failure.condition, failure.message)
        if key not in self._reasons and len(self._reasons) >= _MAX_REASONS:
            key = (failure.condition, "(other messages)")
        sample = failure.path or (failure.candidates[0] if failure.candidates else "")
        reason = self._reasons.setdefault(key, Reason(*key, path=sample))
        reason.count += failure.count


class _CsvLines:
    """A CSV file written line by line, made with its first line (or at once)."""

    def __init__(self, path: Path, header: tuple[str, ...], *, always: bool = False) -> None:
        self._path, self._header = path, header
        self._file: IO[str] | None = None
        if always:
            self._open()
        else:
            path.unlink(missing_ok=True)

    def _open(self) -> None:
        self._path.unlink(missing_ok=True)  # as with the ledger
        self._file = open(self._path, "x", encoding="utf-8", newline="")  # noqa: SIM115
        self._writer = csv.writer(self._file, lineterminator="\n")
        self._writer.writerow(self._header)

    def write(self, values: tuple[Any, ...]) -> None:
        """Add a line."""
        if self._file is None:
            self._open()
        self._writer.writerow(values)

    def flush(self) -> None:
        """Let readers see all lines so far."""
        if self._file is not None:
            self._file.flush()

    def close(self) -> None:
        """Complete the file, if it was made."""
        if self._file is not None:
            self._file.close()


def _ledger_row(outcome: MiniBatchOutcome) -> dict[str, Any]:
    error = outcome.error
    failures = [
        {"path": failure.path, "condition": failure.condition, "count": failure.count}
        for failure in outcome.failures
    ]
    return {
        "mini_batch_id": outcome.mini_batch_id,
        "status": outcome.status,
        "inputs": outcome.inputs,
        "succeeded": outcome.inputs - outcome.failed,
        "failed": outcome.failed,
        "rows": outcome.rows,
        "bad_rows": len(outcome.bad_rows),
        "attempts": outcome.attempts,
        "retries": outcome.retries,
        "started_at": outcome.started_at,
        "seconds": outcome.seconds,
        "host": outcome.host,
        "process": outcome.process,
        "condition": error.condition if error else None,
        "message": error.message if error else None,
        "traceback": error.traceback if error else None,
        "failures": json.dumps(failures) if failures else None,
        "peak_memory_bytes": outcome.peak_memory_bytes,
        "cpu_seconds": outcome.cpu_seconds,
        "script_line": error.script_line if error else None,
        "script_traceback": error.script_traceback if error else None,
        "error_attempt": error.attempt if error else None,
        "error_process": error.process if error else None,
    }
