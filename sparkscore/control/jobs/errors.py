"""Why inputs of a job failed, and the job itself: grouped, with samples. Control plane."""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sparkscore.control.jobs.failed_inputs import FAILED_INPUTS_FILE, iter_failed_inputs
from sparkscore.control.jobs.job import Job
from sparkscore.control.resume import read_job_launch
from sparkscore.control.watch import WatchedFiles, find_status, find_summary
from sparkscore.errors import MessageError, NotFoundError
from sparkscore.messages.failure_groups import FailureGroup as FailureGroup
from sparkscore.messages.failure_groups import group_failures, normalise_message
from sparkscore.messages.status import StatusMessage, SummaryMessage

LEDGER = Path("ledger") / "outcomes.parquet"

_PARQUET_END = b"PAR1"
_LEAST_PARQUET_BYTES = 12
"""A file that has just been begun holds the same four bytes."""


_LEDGER_COLUMNS = ["failed", "condition", "message", "script_line", "script_traceback"]


@dataclass(frozen=True)
class JobErrors:
    """The failures of a job as far as they are known.

    ``error`` is what ended the job, None if nothing did: condition, message, and a traceback if
    ``init()`` failed. ``input_counts`` are total, succeeded, failed and unprocessed inputs, None
    while unknown. ``groups`` are failed inputs of one kind each, the largest first.
    """

    name: str
    status: str
    error: dict[str, Any] | None
    input_counts: dict[str, int] | None
    groups: tuple[FailureGroup, ...]
    job_folder: str

    def to_dict(self) -> dict[str, Any]:
        """What ``job errors -o json`` prints."""
        return {
            "name": self.name,
            "status": self.status,
            "error": self.error,
            "input_counts": self.input_counts,
            "groups": [dataclasses.asdict(group) for group in self.groups],
            "job_folder": self.job_folder,
        }


def find_job_errors(job: Job) -> JobErrors:
    """The failures of a job of a workspace.

    Without its folder they are the first reasons that its summary has. Raises MessageError.
    """
    record = job.record
    counts = job.input_counts
    if counts is None and job.progress is not None:
        counts = _count_live(job.progress)
    return JobErrors(
        name=job.name,
        status=job.status,
        error=record.error,
        input_counts=counts,
        groups=_find_groups(Path(record.folder), (record.summary or {}).get("errors", ())),
        job_folder=record.folder,
    )


def read_errors(folder: Path) -> JobErrors:
    """The failures of the job in ``folder``, for example a one-shot run's.

    Raises NotFoundError (JOB_FOLDER_NOT_FOUND) or MessageError.
    """
    folder = Path(os.path.abspath(folder))
    launch, files = read_job_launch(folder), WatchedFiles.of(folder)
    summary, status = find_summary(files.summary), find_status(files.status)
    if summary is not None:
        state, error, counts = summary.status, summary.error, _count(summary)
    elif status is not None:
        state, error, counts = status.status, None, _count_live(status)
    else:
        state, error, counts = "NotStarted", None, None
    return JobErrors(
        name=launch.job_name,
        status=state,
        error=error,
        input_counts=counts,
        groups=_find_groups(folder, () if summary is None else summary.errors),
        job_folder=str(folder),
    )


def _count(summary: SummaryMessage) -> dict[str, int]:
    inputs = dataclasses.asdict(summary.inputs)
    return {**inputs, "unprocessed": summary.unprocessed_inputs}


def _count_live(status: StatusMessage) -> dict[str, int]:
    done = status.inputs_succeeded + status.inputs_failed
    return {
        "total": status.inputs,
        "succeeded": status.inputs_succeeded,
        "failed": status.inputs_failed,
        "unprocessed": max(0, status.inputs - done),
    }


def _find_groups(folder: Path, reasons: Iterable[Mapping[str, Any]]) -> tuple[FailureGroup, ...]:
    files = (folder / FAILED_INPUTS_FILE, folder / LEDGER)
    try:
        return _group_files(folder, tuple(map(_sign, files)))
    except NotFoundError:
        return tuple(group_failures(reasons))


@functools.lru_cache(maxsize=16)
def _group_files(
    folder: Path,
    signatures: tuple[object, ...],  # noqa: ARG001 - for the cache
) -> tuple[FailureGroup, ...]:
    """Pages ask again and again for files that are as they were; raises NotFoundError."""
    groups = group_failures(iter_failed_inputs(folder, decoding="replace"))
    return tuple(_with_tracebacks(groups, folder / LEDGER)) if groups else ()


def _sign(file: Path) -> object:
    """What differs once a file has changed."""
    try:
        stat = file.stat()
    except OSError:
        return None
    return stat.st_ino, stat.st_size, stat.st_mtime_ns


def _with_tracebacks(groups: list[FailureGroup], ledger: Path) -> Iterator[FailureGroup]:
    """The groups with the tracebacks that the ledger has of mini-batches that failed so."""
    by_message: dict[tuple[str, str], Mapping[str, Any]] = {}
    by_line: dict[tuple[str, str], Mapping[str, Any]] = {}
    wanted = {(group.condition, group.message) for group in groups}
    for failed in _iter_failed_rows(ledger):
        key = (failed["condition"], normalise_message(failed["message"] or ""))
        if key in wanted:
            by_message.setdefault(key, failed)
        if len(by_line) < len(wanted):
            by_line.setdefault((failed["condition"], failed["script_line"]), failed)
    for group in groups:
        found = by_message.get((group.condition, group.message))
        row = found or by_line.get((group.condition, group.script_line), {})
        yield dataclasses.replace(
            group,
            script_line=group.script_line or row.get("script_line") or "",
            script_traceback=row.get("script_traceback") or "",
        )


def _iter_failed_rows(ledger: Path) -> Iterator[dict[str, Any]]:
    """Rows with a traceback; none while the ledger is being written, it is read at its end."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(ledger) as file:
            known = [name for name in _LEDGER_COLUMNS if name in file.schema_arrow.names]
            if len(known) < len(_LEDGER_COLUMNS):
                return
            for batch in file.iter_batches(columns=known):
                has_failed = pc.and_kleene(
                    pc.greater(batch["failed"], 0), pc.is_valid(batch["script_traceback"])
                )
                yield from batch.filter(has_failed).to_pylist()
    except FileNotFoundError:
        return
    except (pa.ArrowException, OSError) as error:
        if not is_complete(ledger):
            return
        raise MessageError(f"{ledger} cannot be read: {error}", where=str(ledger)) from error


def is_complete(ledger: Path) -> bool:
    """Whether the driver has written the ledger's end."""
    try:
        with ledger.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - len(_PARQUET_END)))
            return size >= _LEAST_PARQUET_BYTES and file.read() == _PARQUET_END
    except OSError:
        return False
