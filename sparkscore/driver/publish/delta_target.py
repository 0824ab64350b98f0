"""Where a Delta output goes: a new folder or a table of the catalog. Spark driver."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from typing import Any, Protocol

import fsspec
from delta.tables import DeltaTable
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.functions import lit

from sparkscore.driver.publish.delta_schema import fit_to_table
from sparkscore.driver.publish.gate import OPEN_GATE, PublishGate
from sparkscore.driver.publish.published import PublishedOutput
from sparkscore.errors import AlreadyExistsError
from sparkscore.messages.launch import OutputMessage
from sparkscore.messages.resume import PublishMessage

_HISTORY_COUNT = 100
_UNCOMMITTED = re.compile(
    r"\.?part-[^/]*\.parquet(\.crc)?|_delta_log/(\.[^/]*|[^/]*\.tmp|[^/]*\.crc|_commits/[^/]*)"
)
"""Data files, and of the log what is no commit: ``<version>.json`` alone makes a table."""


def is_uncommitted(name: str) -> bool:
    """Whether a file of this relative name may be left of a write that was not committed."""
    return _UNCOMMITTED.fullmatch(name) is not None


class DeltaTarget(Protocol):
    """A place for one transaction."""

    def find_table(self) -> DeltaTable | None:
        """The Delta table that stands there now."""

    def fitted_schema(self, schema: Any) -> Any:
        """The schema to write; raises if what stands there must not be written to."""

    def announce(self) -> None:
        """Record that this job is about to write there; raises if it must not any more."""

    def write(self, frame: DataFrame, options: dict[str, str]) -> None:
        """Commit the rows in one transaction."""

    def remove(self) -> None:
        """Remove what a failed first write left."""


def find_published(
    target: DeltaTarget, output: OutputMessage, *, job_name: str
) -> PublishedOutput | None:
    """What this job has committed there, read from the table's history."""
    table = target.find_table()
    if table is None:
        return None
    for commit in table.history(_HISTORY_COUNT).collect():
        if job_of(commit.userMetadata) == job_name:
            metrics = commit.operationMetrics or {}
            return PublishedOutput(
                path=output.path,
                format="delta",
                rows=int(metrics.get("numOutputRows", -1)),
                files=int(metrics.get("numFiles", -1)),
                bytes=int(metrics.get("numOutputBytes", -1)),
                table=output.table,
                version=int(commit.version),
            )
    return None


def job_of(user_metadata: str | None) -> Any:
    """The job that made the commit with this metadata, None for what somebody else wrote."""
    try:
        content = json.loads(user_metadata or "null")
    except ValueError:
        return None
    return content.get("job") if isinstance(content, dict) else None


class FolderTarget:
    """A folder that does not exist or is empty."""

    def __init__(self, spark: SparkSession, path: str, gate: PublishGate = OPEN_GATE) -> None:
        self._spark, self._path, self._gate = spark, path, gate
        self._files, self._root = fsspec.core.url_to_fs(path)
        self._is_there = self._files.isdir(self._root)

    def find_table(self) -> DeltaTable | None:
        if not self._files.isdir(f"{self._root}/_delta_log"):
            return None
        if not DeltaTable.isDeltaTable(self._spark, self._path):
            return None
        return DeltaTable.forPath(self._spark, self._path)

    def fitted_schema(self, schema: Any) -> Any:
        if self._gate.find_announced(self._path) is not None and self._is_uncommitted():
            self.remove()
        if self._files.exists(self._root) and (
            not self._files.isdir(self._root) or self._files.ls(self._root, detail=False)
        ):
            raise _exists(f"the output {self._path}", "choose another output path", self._path)
        return schema

    def announce(self) -> None:
        self._gate.announce(PublishMessage(self._path, kind="table"))

    def _is_uncommitted(self) -> bool:
        """Whether nothing stands there but what an unfinished write to a new table leaves."""
        if not self._files.isdir(self._root):
            return False
        root = f"{self._root.rstrip('/')}/"
        return all(is_uncommitted(name.removeprefix(root)) for name in self._files.find(self._root))

    def write(self, frame: DataFrame, options: dict[str, str]) -> None:
        frame.write.format("delta").options(**options).mode("errorifexists").save(self._path)

    def remove(self) -> None:
        with suppress(OSError):
            self._files.rm(self._root, recursive=True)
        if self._is_there:
            self._files.makedirs(self._root, exist_ok=True)


class CatalogTarget:
    """A table of the catalog; ``mode`` is needed for one that exists."""

    def __init__(
        self,
        spark: SparkSession,
        table: str,
        mode: str | None,
        gate: PublishGate = OPEN_GATE,
    ) -> None:
        self._spark, self._table, self._mode, self._gate = spark, table, mode, gate
        self._is_new = not spark.catalog.tableExists(table)

    def find_table(self) -> DeltaTable | None:
        if not self._spark.catalog.tableExists(self._table):
            return None
        return DeltaTable.forName(self._spark, self._table)

    def fitted_schema(self, schema: Any) -> Any:
        if self._is_new:
            return schema
        if self._mode is None:
            advice = "set output_mode to append or overwrite, or choose another output_table"
            raise _exists(f"table {self._table}", advice, self._table)
        fields = self._spark.table(self._table).schema.fields
        columns = {field.name: field.dataType.simpleString() for field in fields}
        return fit_to_table(schema, table=self._table, columns=columns)

    def announce(self) -> None:
        self._gate.announce(PublishMessage(self._table, kind="table"))

    def write(self, frame: DataFrame, options: dict[str, str]) -> None:
        if self._is_new:
            writer = frame.write.format("delta").options(**options)
            writer.mode("errorifexists").saveAsTable(self._table)
        elif self._mode == "overwrite":
            frame.writeTo(self._table).options(**options).overwrite(lit(True))
        else:
            frame.write.format("delta").options(**options).mode("append").saveAsTable(self._table)

    def remove(self) -> None:
        if self._is_new:
            self._spark.sql(f"DROP TABLE IF EXISTS {self._table}")


def _exists(what: str, advice: str, path: str) -> AlreadyExistsError:
    return AlreadyExistsError(
        f"{what} exists already and was not changed: remove it, or {advice}",
        condition="OUTPUT_EXISTS",
        path=path,
    )
