"""Staged results as one CSV, JSON Lines or Parquet file. Spark driver, without Spark.

Streamed in mini-batch order in constant memory to a temporary name in the output's own folder,
which gets the final name only when every row is on the disk.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow.parquet as pq

from sparkscore.driver.publish.csv_format import csv_bytes, header_line
from sparkscore.driver.publish.gate import (
    OPEN_GATE,
    PublishGate,
    describe,
    find_leftovers,
    get_output,
    temporary_name,
)
from sparkscore.driver.publish.jsonl_format import jsonl_bytes
from sparkscore.driver.publish.published import PublishedOutput
from sparkscore.driver.publish.read_ahead import read_ahead
from sparkscore.driver.publish.storage import (
    move_without_overwriting,
    new_folders,
    output_exists,
    storage_errors,
    sync_folder,
)
from sparkscore.driver.staging import iter_payload_tables
from sparkscore.errors import PublishError
from sparkscore.executor.decode import gathered
from sparkscore.executor.result_schema import cast_table
from sparkscore.messages.launch import OutputMessage

_ROW_GROUP_ROWS, _ROW_GROUP_BYTES = 1_000_000, 128 * 1024 * 1024
_TINY_ROWS, _TINY_BYTES = 1_000, 1024 * 1024
_TEXT_ROWS, _TEXT_BYTES = 50_000, 16 * 1024 * 1024


def publish_file(
    *,
    staged_files: Iterable[Path],
    schema: Any,
    output: OutputMessage,
    target: Path,
    expected_rows: int,
    job_name: str,
    gate: PublishGate = OPEN_GATE,
) -> PublishedOutput:
    """Write the staged results to ``target``, which must not exist, or leave nothing behind.

    A file that this job has published there is told of again, known by its inode, size and time.
    Raises AlreadyExistsError (OUTPUT_EXISTS), PublishError (ROW_COUNT_MISMATCH, STAGING_DAMAGED),
    StorageError (NO_SPACE_LEFT) or OutputNotWritableError.
    """
    temporary = target.with_name(temporary_name(f"{target.name}.{job_name}", gate.token))
    with storage_errors(target):
        for left in find_leftovers(target.parent, f"{target.name}.{job_name}", gate.token):
            left.unlink(missing_ok=True)
        if target.exists() or target.is_symlink():
            published = _find_published(target, gate)
            if published is None:
                raise output_exists(target)
            return published
        with new_folders(target.parent), _removed_at_last(temporary):
            rows = _write_file(temporary, staged_files, schema, output, gate)
            check_rows(rows, expected_rows, target)
            published = PublishedOutput(
                path=str(target),
                format=output.format,
                rows=rows,
                files=1,
                bytes=temporary.stat().st_size,
            )
            gate.announce(describe(published, kind="file", standing=temporary))
            _give_name(temporary, target)
    return published


def _find_published(target: Path, gate: PublishGate) -> PublishedOutput | None:
    announced = gate.find_announced(str(target))
    if announced is None or announced.kind != "file":
        return None
    status = target.lstat()
    standing = (status.st_ino, status.st_size, status.st_mtime_ns)
    is_ours = standing == (announced.inode, announced.size_bytes, announced.modified_ns)
    return get_output(announced) if is_ours else None


def _write_file(
    path: Path,
    staged_files: Iterable[Path],
    schema: Any,
    output: OutputMessage,
    gate: PublishGate,
) -> int:
    tables = _iter_checked(_iter_cast(staged_files, schema), gate)
    path.unlink(missing_ok=True)
    with path.open("xb") as file:
        if output.format == "parquet":
            rows = _write_parquet(file, tables, schema)
        else:
            rows = _write_text(file, tables, schema, output)
        file.flush()
        os.fsync(file.fileno())
    return rows


def _iter_cast(staged_files: Iterable[Path], schema: Any) -> Iterator[Any]:
    """The staged tables of the pinned schema; those of tiny mini-batches put together."""
    tables = (cast_table(table, schema) for _, table in iter_payload_tables(staged_files))
    for table in gathered(tables, max_rows=_TINY_ROWS, max_bytes=_TINY_BYTES):
        yield table.combine_chunks() if table.num_rows < 2 * _TINY_ROWS else table


def _iter_checked(tables: Iterable[Any], gate: PublishGate) -> Iterator[Any]:
    for table in tables:
        gate.check()
        yield table


def _write_parquet(file: BinaryIO, tables: Iterable[Any], schema: Any) -> int:
    rows = 0
    with pq.ParquetWriter(file, schema, compression="zstd") as writer:
        for table in read_ahead(
            gathered(tables, max_rows=_ROW_GROUP_ROWS, max_bytes=_ROW_GROUP_BYTES)
        ):
            writer.write_table(table)
            rows += table.num_rows
    return rows


def _write_text(file: BinaryIO, tables: Iterable[Any], schema: Any, output: OutputMessage) -> int:
    rows = 0
    if output.format == "csv" and output.header and len(schema):
        file.write(header_line(schema, separator=output.separator))
    for table in read_ahead(gathered(tables, max_rows=_TEXT_ROWS, max_bytes=_TEXT_BYTES)):
        if output.format == "csv":
            file.write(csv_bytes(table, separator=output.separator))
        else:
            file.write(jsonl_bytes(table))
        rows += table.num_rows
    return rows


def check_rows(rows: int, expected_rows: int, target: Path) -> None:
    """Raise PublishError (ROW_COUNT_MISMATCH) unless what was written is what was accounted for."""
    if rows != expected_rows:
        raise PublishError(
            f"the staged results hold {rows} rows, the outcomes say {expected_rows}: {target} was "
            "not published; run the job again",
            condition="ROW_COUNT_MISMATCH",
            rows=rows,
            expected_rows=expected_rows,
        )


def _give_name(temporary: Path, target: Path) -> None:
    try:
        move_without_overwriting(temporary, target)
    except FileExistsError as error:
        raise output_exists(target) from error
    sync_folder(target.parent)


@contextmanager
def _removed_at_last(path: Path) -> Iterator[None]:
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
