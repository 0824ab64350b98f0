"""A wave of a job whose workers share no folder with the driver. Spark driver process.

Tasks give their results to Spark, which hands them over as tasks end, each task's once: they go to
the files that tasks with a shared folder write themselves. Nothing is kept in memory but the task
results on their way, about 64 MB each: see ``executor.relay``.
"""

from __future__ import annotations

import bisect
import threading
import uuid
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import DataFrame, SparkSession

from sparkscore.driver.relayed_files import RelayedFiles
from sparkscore.driver.spark_features import load_arrow_batches
from sparkscore.driver.staging import STAGED_DDL, STAGED_SCHEMA
from sparkscore.plan.waves import TaskRange

RELAYED_DDL = f"{STAGED_DDL}, file binary, position long"

_SUCCESS = "_SUCCESS"
_RESULT_SECONDS = 10.0
_ROW_GROUP_BYTES = 32 * 1024 * 1024
_ROWS_AT_ONCE = 4
"""pyarrow looks at a page's size after so many rows; a row may have 8 MB."""

_BATCH_ROWS = 8
"""Rows of a batch that the JVM makes of task results, which it makes by count alone."""


def open_relay_session(spark: SparkSession) -> SparkSession:
    """A session of the same application for relayed waves: its settings are nobody else's."""
    session = spark.newSession()
    session.conf.set("spark.sql.execution.arrow.maxRecordsPerBatch", str(_BATCH_ROWS))
    session.conf.set("spark.sql.execution.arrow.useLargeVarTypes", "false")
    return session


def collect_wave(
    frame: DataFrame, *, tasks: Sequence[TaskRange], wave_folder: Path, files: RelayedFiles
) -> None:
    """Run the job of ``frame`` (rows of RELAYED_DDL) and write what its tasks give.

    Raises what the job raises, StorageError and OSError.
    """
    with closing(iter_collected(frame)) as batches:
        write_wave(batches, tasks=tasks, wave_folder=wave_folder, files=files)


def write_wave(
    batches: Iterable[Any], *, tasks: Sequence[TaskRange], wave_folder: Path, files: RelayedFiles
) -> None:
    """Write record batches of RELAYED_DDL, those of one task together; then the wave is whole."""
    wave_folder.mkdir(parents=True, exist_ok=True)
    starts = sorted(task.start for task in tasks)
    file = None
    try:
        for batch in batches:
            if not batch.num_rows:
                continue
            task = bisect.bisect_right(starts, batch.column(0)[0].as_py()) - 1
            if file is None or file.task != task:
                file = _renewed(file, wave_folder, task)
            file.write(files.take(batch))
    finally:
        if file is not None:
            file.close()
    (wave_folder / _SUCCESS).touch()


def iter_collected(frame: DataFrame) -> Generator[Any, None, None]:
    """The frame's record batches as tasks end, those of one task together; the tasks in any order.

    Raises what the job raises, at the latest at the end. Closing it ends the job in time.
    """
    java_frame: Any = frame._jdf
    port, secret, server = java_frame.collectAsArrowToPython()
    with load_arrow_batches((port, secret)) as found:
        try:
            for item in found:
                if isinstance(item, pa.RecordBatch):
                    yield item
        except Exception:
            _raise_job_error(server)
            raise
    _raise_job_error(server)


def _raise_job_error(server: Any) -> None:
    """Raise the job's own error, if there is one.

    The thread in the JVM has ended by then, or it ends soon with its job; where it waits for a
    reader, who is gone, or was lost itself, there is nothing to wait for.
    """
    errors: list[BaseException] = []

    def ask() -> None:
        try:
            server.getResult()
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=ask, name="collected", daemon=True)
    thread.start()
    thread.join(_RESULT_SECONDS)
    if errors:
        raise errors[0]


class _TaskFile:
    """The staged file of one task."""

    def __init__(self, folder: Path, task: int) -> None:
        self.task = task
        self._path = folder / f"part-{task:05d}-{uuid.uuid4()}.parquet"
        self._writer = pq.ParquetWriter(
            str(self._path),
            STAGED_SCHEMA,
            compression="none",
            use_dictionary=False,
            write_statistics=False,
            write_batch_size=_ROWS_AT_ONCE,
        )
        self._pending: list[Any] = []
        self._bytes = 0

    def write(self, batch: Any) -> None:
        """Take staged rows; row groups are of a size that readers can hold."""
        for piece in _iter_small(batch):
            self._pending.append(piece)
            self._bytes += piece.nbytes
            if self._bytes >= _ROW_GROUP_BYTES:
                self._flush()

    def close(self) -> None:
        """Write the rest; what is not closed cannot be read."""
        try:
            self._flush()
        finally:
            self._writer.close()

    def _flush(self) -> None:
        if self._pending:
            table = pa.Table.from_batches(self._pending, STAGED_SCHEMA)
            self._pending, self._bytes = [], 0
            self._writer.write_table(table, row_group_size=max(1, table.num_rows))


def _renewed(file: _TaskFile | None, folder: Path, task: int) -> _TaskFile:
    if file is not None:
        file.close()
    return _TaskFile(folder, task)


def _iter_small(batch: Any) -> Iterator[Any]:
    """A large batch row by row."""
    if batch.nbytes < _ROW_GROUP_BYTES:
        if batch.num_rows:
            yield batch
        return
    for row in range(batch.num_rows):
        yield batch.slice(row, 1)
