"""Staged results as a Delta table, in one transaction. Spark driver.

The transaction carries the job's ``txnAppId``, so that a repeat changes nothing, and
``userMetadata`` that names the job. Staging is checked to be whole before, the number of rows
committed after; a commit with another number is taken back.
"""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.pandas.types import from_arrow_schema

from sparkscore.driver.publish.delta_schema import delta_schema
from sparkscore.driver.publish.delta_target import (
    CatalogTarget,
    DeltaTarget,
    FolderTarget,
    find_published,
)
from sparkscore.driver.publish.gate import OPEN_GATE, PublishGate
from sparkscore.driver.publish.published import PublishedOutput
from sparkscore.driver.spark_features import OLD_TIMES_AS_THEY_ARE
from sparkscore.driver.spark_jobs import canceling_jobs
from sparkscore.driver.staging import STAGED_DDL, check_staging
from sparkscore.errors import PublishError
from sparkscore.executor.decode import decode_broadcasts, decode_payloads
from sparkscore.executor.result_schema import schema_to_bytes
from sparkscore.messages.launch import OutputMessage
from sparkscore.storage.uploads import raises

_FILE_BYTES = 128 * 1024 * 1024
_ARROW_BATCH_BYTES = 32 * 1024 * 1024
_MAX_ARROW_BATCH_ROWS = 10_000


def publish_delta(
    spark: SparkSession,
    *,
    staged_files: Sequence[Path],
    schema: Any,
    output: OutputMessage,
    job_name: str,
    user_metadata: Mapping[str, Any],
    expected_rows: int,
    gate: PublishGate = OPEN_GATE,
    is_relayed: bool = False,
) -> PublishedOutput:
    """Write the staged results to the folder ``output.path`` or the table ``output.table``.

    A folder must not exist or be empty; a table may exist if ``output.mode`` is append or
    overwrite and its columns can hold the results. A repeat after success changes nothing and
    returns the same again; files that a killed driver of this job left in a folder, without a
    commit, are removed first. ``is_relayed``: executors do not see the staged files.
    """
    target = _target(spark, output, gate)
    published = find_published(target, output, job_name=job_name)
    if published is not None:
        return published
    fitted = target.fitted_schema(delta_schema(schema))
    check_staging(staged_files)
    options = _commit_options(job_name, user_metadata)
    with (
        removing_failed_write(target, gate),
        _session_conf(spark, _write_conf(options, staged_files)),
        canceling_jobs(spark, f"sparkscore {job_name} publish", gate.check),
    ):
        target.announce()
        with _decoded(spark, staged_files, fitted, is_relayed=is_relayed) as rows:
            target.write(rows, options)
    published = find_published(target, output, job_name=job_name)
    return _check_rows(target, published, gate, expected_rows=expected_rows)


def _target(spark: SparkSession, output: OutputMessage, gate: PublishGate) -> DeltaTarget:
    if output.table is not None:
        return CatalogTarget(spark, output.table, output.mode, gate)
    return FolderTarget(spark, output.path, gate)


def _commit_options(job_name: str, user_metadata: Mapping[str, Any]) -> dict[str, str]:
    return {
        "txnAppId": f"sparkscore:{job_name}",
        "txnVersion": "1",
        "userMetadata": json.dumps({**user_metadata, "job": job_name}, ensure_ascii=False),
    }


def _write_conf(options: Mapping[str, str], staged_files: Sequence[Path]) -> dict[str, str]:
    """Arrow batches that fit in memory; metadata also where Delta does not look at the options."""
    return {
        "spark.sql.execution.arrow.maxRecordsPerBatch": str(_batch_rows(staged_files)),
        "spark.databricks.delta.commitInfo.userMetadata": options["userMetadata"],
        "spark.databricks.delta.snapshotPartitions": "2",
        **OLD_TIMES_AS_THEY_ARE,
    }


def _batch_rows(staged_files: Sequence[Path]) -> int:
    largest = 1
    for file in staged_files:
        metadata = pq.read_metadata(file)
        for index in range(metadata.num_row_groups):
            group = metadata.row_group(index)
            largest = max(largest, group.total_byte_size // max(1, group.num_rows))
    return max(1, min(_MAX_ARROW_BATCH_ROWS, _ARROW_BATCH_BYTES // largest))


@contextmanager
def _decoded(
    spark: SparkSession, staged_files: Sequence[Path], schema: Any, *, is_relayed: bool
) -> Iterator[DataFrame]:
    """The results as rows, in as many partitions as make files of a good size for readers."""
    columns = from_arrow_schema(schema)
    if not staged_files:
        yield spark.createDataFrame([], columns)
    elif is_relayed:
        with _broadcasting(spark, staged_files) as groups:
            decode = partial(decode_broadcasts, groups=groups, schema=schema_to_bytes(schema))
            yield spark.range(0, len(groups), 1, len(groups)).mapInArrow(decode, columns)
    else:
        yield _read_staged(spark, staged_files, schema, columns)


@contextmanager
def _broadcasting(spark: SparkSession, files: Sequence[Path]) -> Iterator[list[list[Any]]]:
    """Staged files given to executors, in groups of about one file of the table each."""
    groups: list[list[Any]] = []
    size_bytes = _FILE_BYTES
    try:
        for file in files:
            if size_bytes >= _FILE_BYTES:
                groups.append([])
                size_bytes = 0
            groups[-1].append(spark.sparkContext.broadcast(file.read_bytes()))
            size_bytes += file.stat().st_size
        yield groups
    finally:
        for content in itertools.chain.from_iterable(groups):
            with suppress(Exception):
                content.destroy()


def _read_staged(
    spark: SparkSession, staged_files: Sequence[Path], schema: Any, columns: Any
) -> DataFrame:
    staged = spark.read.schema(STAGED_DDL).parquet(*map(str, staged_files))
    size_bytes = sum(file.stat().st_size for file in staged_files)
    return (
        staged.select("payload")
        .where("payload IS NOT NULL")
        .coalesce(max(1, math.ceil(size_bytes / _FILE_BYTES)))
        .mapInArrow(partial(decode_payloads, schema=schema_to_bytes(schema)), columns)
    )


@contextmanager
def removing_failed_write(target: DeltaTarget, gate: PublishGate) -> Iterator[None]:
    """Around what waits until the last task has ended, or it would write again.

    A driver that was taken over removes nothing: what stands there may be its successor's.
    """
    try:
        yield
    except Exception:
        if not raises(gate.confirm) and target.find_table() is None:
            target.remove()
        raise


@contextmanager
def _session_conf(spark: SparkSession, values: Mapping[str, str]) -> Iterator[None]:
    """Settings for the body only: the session may be the user's."""
    before = {key: spark.conf.get(key, None) for key in values}
    for key, value in values.items():
        spark.conf.set(key, value)
    try:
        yield
    finally:
        for key, earlier in before.items():
            if earlier is None:
                spark.conf.unset(key)
            else:
                spark.conf.set(key, earlier)


def _check_rows(
    target: DeltaTarget,
    published: PublishedOutput | None,
    gate: PublishGate,
    *,
    expected_rows: int,
) -> PublishedOutput:
    """What was committed just now, if it is as large as it should be."""
    if published is not None and published.rows == expected_rows:
        return published
    done = "nothing was committed"
    if published is not None:
        is_back = _take_back(target, gate, version=published.version or 0)
        done = "it was taken back" if is_back else "it stands, because others have written since"
    rows = 0 if published is None else published.rows
    raise PublishError(
        f"the Delta commit holds {rows} rows, the outcomes say {expected_rows}: {done}; "
        "run the job again",
        condition="ROW_COUNT_MISMATCH",
        rows=rows,
        expected_rows=expected_rows,
    )


def _take_back(target: DeltaTarget, gate: PublishGate, *, version: int) -> bool:
    """Undo a commit that was made just now; not if others have been made upon it, nor if the job
    is another driver's by now."""
    table = target.find_table()
    is_newest = table is None or int(table.history(1).collect()[0].version) == version
    if not is_newest or raises(gate.confirm):
        return False
    if version == 0 or table is None:
        target.remove()
    else:
        table.restoreToVersion(version - 1)
    return True
