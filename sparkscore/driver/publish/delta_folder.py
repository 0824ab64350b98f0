"""Staged results as a new Delta table on the driver's own disk, without Spark. Spark driver.

For jobs whose executors see no folder of the driver's: they could not write there. The table
appears with its one commit, which carries the same as one that Spark writes: ``txnAppId`` of the
job, ``userMetadata`` and the numbers of rows, files and bytes.
"""

from __future__ import annotations

import itertools
import json
import os
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql.pandas.types import from_arrow_schema

import sparkscore
from sparkscore.driver.publish.delta_schema import delta_schema
from sparkscore.driver.publish.delta_target import is_uncommitted
from sparkscore.driver.publish.gate import OPEN_GATE, PublishGate
from sparkscore.driver.publish.in_store import FIRST_COMMIT, find_committed
from sparkscore.driver.publish.published import PublishedOutput
from sparkscore.driver.publish.read_ahead import read_ahead
from sparkscore.driver.publish.single_file import check_rows
from sparkscore.driver.publish.storage import (
    move_without_overwriting,
    new_folders,
    output_exists,
    storage_errors,
)
from sparkscore.driver.staging import check_staging, iter_payload_tables
from sparkscore.executor.decode import gathered
from sparkscore.executor.result_schema import cast_table
from sparkscore.messages.launch import OutputMessage
from sparkscore.messages.resume import PublishMessage
from sparkscore.storage.uploads import raises

_LOG = "_delta_log"
_FILE_BYTES = 128 * 1024 * 1024
_ROW_GROUP_ROWS, _ROW_GROUP_BYTES = 1_000_000, 64 * 1024 * 1024


def publish_delta_folder(
    *,
    staged_files: Sequence[Path],
    schema: Any,
    output: OutputMessage,
    job_name: str,
    user_metadata: Mapping[str, Any],
    expected_rows: int,
    gate: PublishGate = OPEN_GATE,
) -> PublishedOutput:
    """Write the staged results to the folder ``output.path``, which must not exist or be empty.

    A repeat after success changes nothing and returns the same again. What a killed driver of this
    job left there, without a commit, is removed first. Raises what ``publish_delta`` raises.
    """
    target = Path(output.path)
    published = find_committed(output.path, output, job_name=job_name)
    if published is not None:
        return published
    fitted = delta_schema(schema)
    check_staging(staged_files)
    with storage_errors(target):
        _clear(target, gate)
        with new_folders(target):
            gate.announce(PublishMessage(output.path, kind="table"))
            try:
                files = list(_write_files(target, staged_files, fitted, gate))
                check_rows(sum(file["rows"] for file in files), expected_rows, target)
                gate.check()
                gate.confirm()
                _commit(target, _render_actions(files, fitted, job_name, user_metadata))
            except BaseException:
                if not raises(gate.confirm) and not any((target / _LOG).glob("*.json")):
                    _remove_uncommitted(target)
                raise
    committed = find_committed(output.path, output, job_name=job_name)
    assert committed is not None, "it was written just now"
    return committed


def _clear(target: Path, gate: PublishGate) -> None:
    if gate.find_announced(str(target)) is not None and target.is_dir():
        names = (file.relative_to(target).as_posix() for file in target.rglob("*"))
        if all(is_uncommitted(name) or name == _LOG for name in names):
            _remove_uncommitted(target)
    is_empty_folder = target.is_dir() and not any(target.iterdir())
    if (target.exists() or target.is_symlink()) and not is_empty_folder:
        raise output_exists(target)


def _remove_uncommitted(target: Path) -> None:
    for file in target.rglob("*"):
        if is_uncommitted(file.relative_to(target).as_posix()):
            file.unlink(missing_ok=True)
    with suppress(OSError):
        (target / _LOG).rmdir()


def _write_files(
    target: Path, staged_files: Sequence[Path], schema: Any, gate: PublishGate
) -> Iterator[dict[str, Any]]:
    """Data files of a good size for readers; name, rows and bytes of each."""
    stored = pa.schema([field for field in schema if not pa.types.is_null(field.type)])
    tables = (cast_table(table, schema) for _, table in iter_payload_tables(staged_files))
    gathered_tables = gathered(tables, max_rows=_ROW_GROUP_ROWS, max_bytes=_ROW_GROUP_BYTES)
    groups = read_ahead(gathered_tables)
    for table in groups:
        path = target / f"part-{uuid.uuid4()}.snappy.parquet"
        rows = _write_file(path, stored, itertools.chain([table], groups), gate)
        yield {"name": path.name, "rows": rows, "bytes": path.stat().st_size}


def _write_file(path: Path, schema: Any, groups: Iterator[Any], gate: PublishGate) -> int:
    """One data file of the next row groups; returns its number of rows."""
    rows = 0
    with path.open("xb") as file:
        with pq.ParquetWriter(file, schema, compression="snappy") as writer:
            for table in groups:
                gate.check()
                writer.write_table(table.select(schema.names), row_group_size=table.num_rows or 1)
                rows += table.num_rows
                if file.tell() >= _FILE_BYTES:
                    break
        file.flush()
        os.fsync(file.fileno())
    return rows


def _render_actions(
    files: Sequence[Mapping[str, Any]],
    schema: Any,
    job_name: str,
    user_metadata: Mapping[str, Any],
) -> list[dict[str, Any]]:
    now = int(time.time() * 1000)
    metrics = {
        "numFiles": str(len(files)),
        "numOutputRows": str(sum(file["rows"] for file in files)),
        "numOutputBytes": str(sum(file["bytes"] for file in files)),
    }
    info = {
        "timestamp": now,
        "operation": "WRITE",
        "operationParameters": {"mode": "ErrorIfExists", "partitionBy": "[]"},
        "isolationLevel": "Serializable",
        "isBlindAppend": True,
        "operationMetrics": metrics,
        "userMetadata": json.dumps({**user_metadata, "job": job_name}, ensure_ascii=False),
        "engineInfo": f"sparkscore/{sparkscore.__version__}",
        "txnId": str(uuid.uuid4()),
    }
    table = {
        "id": str(uuid.uuid4()),
        "format": {"provider": "parquet", "options": {}},
        "schemaString": from_arrow_schema(schema).json(),
        "partitionColumns": [],
        "configuration": {},
        "createdTime": now,
    }
    return [
        {"commitInfo": info},
        {"metaData": table},
        {"protocol": {"minReaderVersion": 1, "minWriterVersion": 2}},
        {"txn": {"appId": f"sparkscore:{job_name}", "version": 1, "lastUpdated": now}},
        *({"add": _render_file(file, now)} for file in files),
    ]


def _render_file(file: Mapping[str, Any], now: int) -> dict[str, Any]:
    return {
        "path": file["name"],
        "partitionValues": {},
        "size": file["bytes"],
        "modificationTime": now,
        "dataChange": True,
        "stats": json.dumps({"numRecords": file["rows"]}),
    }


def _commit(target: Path, actions: Sequence[Mapping[str, Any]]) -> None:
    """Writing the first commit makes the table; it appears whole, and over no other.

    A driver that was only paused before this step must not take its successor's place.
    """
    commit = target / FIRST_COMMIT
    commit.parent.mkdir()
    temporary = commit.with_name(f".{uuid.uuid4()}.tmp")
    text = "".join(json.dumps(action, ensure_ascii=False) + "\n" for action in actions)
    temporary.write_text(text, encoding="utf-8")
    try:
        move_without_overwriting(temporary, commit)
    finally:
        temporary.unlink(missing_ok=True)
