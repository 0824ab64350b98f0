"""Staged rows: what waves leave in the job folder, read back. Spark driver, without Spark.

A wave is a folder of Parquet files; see ``staged_waves`` for which waves count. A row is one part
of a mini-batch: rows of one mini-batch are adjacent, parts ascend, the last has the outcome. Files
are given in the order of their mini-batches: a large job has too many to open them twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from sparkscore.errors import PublishError
from sparkscore.executor.result_schema import schema_to_bytes
from sparkscore.executor.results import PART_BYTES, read_payload
from sparkscore.executor.staged_rows import StagedRows
from sparkscore.messages.codec import from_json
from sparkscore.messages.outcome import MiniBatchOutcome

STAGED_DDL = "mini_batch_id long, part int, outcome string, payload binary"

STAGED_WRITER_OPTIONS = {
    "compression": "none",
    "parquet.column.statistics.enabled": "false",
    "parquet.size.statistics.enabled": "false",
    "parquet.enable.dictionary": "false",
    "parquet.page.size.row.check.min": "1",
    "parquet.page.size.row.check.max": "1",
    "parquet.block.size": "33554432",
}
"""With Spark's defaults a few large payloads fill the JVM's heap: see docs on staged rows."""

STAGED_SCHEMA = StagedRows.schema

_READ_BYTES = 1024 * 1024


def wave_files(folder: Path) -> tuple[Path, ...]:
    """The staged files of one wave."""
    return tuple(sorted(folder.glob("part-*.parquet")))


def read_outcomes(files: Iterable[Path]) -> list[MiniBatchOutcome]:
    """The outcomes in these staged files, by mini-batch id; payloads are not read."""
    outcomes: list[MiniBatchOutcome] = []
    for file in files:
        for row in _iter_rows(file, ["outcome"]):
            if row["outcome"] is not None:
                outcomes.append(from_json(MiniBatchOutcome, row["outcome"], where=str(file)))
    return sorted(outcomes, key=lambda outcome: outcome.mini_batch_id)


def check_staging(files: Iterable[Path]) -> None:
    """Checks, without reading payloads, that every mini-batch stands there once and whole.

    Raises PublishError (STAGING_DAMAGED), naming the file.
    """
    order = _RowOrder()
    for file in files:
        for row in _iter_rows(file, ["mini_batch_id", "part", "outcome"]):
            order.check(row["mini_batch_id"], row["part"], file=file)
            order.is_open = row["outcome"] is None
        order.end(file)


def check_whole(damaged: Sequence[Path]) -> None:
    """Raises PublishError (STAGING_DAMAGED) if there are damaged files."""
    if damaged:
        raise _damaged(damaged[0], "it is not as it was written")


def payload_schemas(
    files: Iterable[Path], *, check: Callable[[], None] = lambda: None
) -> list[Any]:
    """The distinct schemas of the results in these staged files, in their order.

    Raises what ``check`` raises, which is asked before each read of a few parts.
    """
    schemas: dict[bytes, Any] = {}
    for file in files:
        for batch in _iter_batches(file, ["payload"]):
            check()
            for payload in batch.column(0).drop_null():
                schema = _read_schema(payload.as_buffer(), file)
                schemas.setdefault(schema_to_bytes(schema), schema)
    return list(schemas.values())


def iter_payload_tables(files: Iterable[Path]) -> Iterator[tuple[int, Any]]:
    """The tables in these staged files with their mini-batch ids, in their order.

    A mini-batch with several parts comes as several tables. Memory stays at a few parts however
    large the files are. Raises PublishError (STAGING_DAMAGED) if an id or a part is out of order.
    """
    order = _RowOrder()
    for file in files:
        for batch in _iter_batches(file, ["mini_batch_id", "part", "payload"]):
            ids, parts = batch.column(0).to_pylist(), batch.column(1).to_pylist()
            payloads = batch.column(2)
            for index, mini_batch_id in enumerate(ids):
                order.check(mini_batch_id, parts[index], file=file)
                payload = payloads[index]
                if payload.is_valid:
                    yield mini_batch_id, _read_payload(payload.as_buffer(), file)


def _read_payload(content: Any, file: Path) -> Any:
    try:
        return read_payload(content)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise _damaged(file, error) from error


def _read_schema(content: Any, file: Path) -> Any:
    try:
        return pa.ipc.open_stream(content).schema.remove_metadata()
    except (pa.ArrowException, OSError, ValueError) as error:
        raise _damaged(file, error) from error


class _RowOrder:
    """Sees that ids increase and that the parts of each mini-batch count from 0."""

    def __init__(self) -> None:
        self.mini_batch_id = -1
        self.part = 0
        self.is_open = False

    def check(self, mini_batch_id: int, part: int, *, file: Path) -> None:
        is_next_part = mini_batch_id == self.mini_batch_id and part == self.part + 1
        is_next = mini_batch_id > self.mini_batch_id and part == 0 and not self.is_open
        if not (is_next_part or is_next):
            raise _damaged(
                file,
                f"part {part} of mini-batch {mini_batch_id} follows part {self.part} of "
                f"mini-batch {self.mini_batch_id}",
            )
        self.mini_batch_id, self.part = mini_batch_id, part

    def end(self, file: Path) -> None:
        if self.is_open:
            raise _damaged(file, f"mini-batch {self.mini_batch_id} has no outcome")


def _damaged(file: Path, reason: object) -> PublishError:
    return PublishError(
        f"staged file {file} is damaged: {reason}; run the job again",
        condition="STAGING_DAMAGED",
        file=str(file),
    )


def _iter_rows(file: Path, columns: list[str]) -> Iterator[dict[str, Any]]:
    for batch in _iter_batches(file, columns):
        try:
            rows = batch.to_pylist()
        except UnicodeDecodeError as error:
            raise _damaged(file, error) from error
        yield from rows


def _iter_batches(file: Path, columns: list[str]) -> Iterator[Any]:
    """Record batches of at most a few parts; ``pre_buffer`` would hold the whole file."""
    try:
        with pq.ParquetFile(file, pre_buffer=False, buffer_size=_READ_BYTES) as parquet:
            for group in range(parquet.num_row_groups):
                yield from parquet.iter_batches(
                    batch_size=_batch_rows(parquet.metadata.row_group(group)),
                    row_groups=[group],
                    columns=columns,
                    use_threads=False,
                )
    except (pa.ArrowException, OSError) as error:
        raise _damaged(file, error) from error


def _batch_rows(row_group: Any) -> int:
    """As many rows as take about one part, so that tiny payloads are not read one by one."""
    part_count = max(1, int(row_group.total_byte_size) // PART_BYTES)
    return max(1, min(int(row_group.num_rows) // part_count, 4096))
