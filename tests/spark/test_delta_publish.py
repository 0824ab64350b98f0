"""Staged results become a Delta table in one transaction, on real Spark."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from delta.tables import DeltaTable
from pyspark.sql import SparkSession

from sparkscore.driver.publish.delta_folder import publish_delta_folder
from sparkscore.driver.publish.delta_table import publish_delta
from sparkscore.driver.publish.delta_target import CatalogTarget
from sparkscore.driver.publish.published import PublishedOutput
from sparkscore.driver.staging import STAGED_SCHEMA, payload_schemas
from sparkscore.errors import AlreadyExistsError, PublishError
from sparkscore.executor.result_schema import common_schema
from sparkscore.executor.results import iter_payloads, results_table
from sparkscore.messages.codec import to_json
from sparkscore.messages.launch import OutputMessage
from sparkscore.messages.outcome import SUCCEEDED, MiniBatchOutcome

pytestmark = pytest.mark.spark

Publish = Callable[..., PublishedOutput]

RESULTS = {0: [{"id": 1, "label": "a"}, {"id": 2**53 + 1, "label": None}], 1: [{"id": 3}]}
ROWS = [(1, "a"), (2**53 + 1, None), (3, None)]


def stage(path: Path, results: Mapping[int, Any]) -> Path:
    rows: list[tuple[Any, ...]] = []
    for number, value in results.items():
        table = results_table(value).table
        account = MiniBatchOutcome(
            number, SUCCEEDED, 1, 0, table.num_rows, 1, 0, 0.0, 0.1, host="host", process=1
        )
        payload = next(iter_payloads(table), None)
        rows.append((number, 0, to_json(account), payload))
    columns = [list(column) for column in zip(*rows, strict=True)]
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns, schema=STAGED_SCHEMA), path, compression="none")
    return path


EACH_WRITER = pytest.mark.parametrize("writer", ["spark", "driver"])


@pytest.fixture
def writer() -> str:
    """Who writes a table: Spark's executors, or the driver, which can write a new folder only."""
    return "spark"


@pytest.fixture
def publish(spark: SparkSession, tmp_path: Path, writer: str) -> Publish:
    """Stages results and publishes them; keyword arguments name fields of OutputMessage."""
    write = publish_delta_folder if writer == "driver" else partial(publish_delta, spark)

    def run(
        results: Mapping[int, Any] = RESULTS,
        *,
        job: str = "job",
        expected_rows: int = 3,
        schema: pa.Schema | None = None,
        **output: Any,
    ) -> PublishedOutput:
        files = [
            stage(tmp_path / f"{job}-staging" / f"part-{number:05d}.parquet", {number: value})
            for number, value in results.items()
        ]
        output = {"path": str(tmp_path / "out"), "action": "append_row", **output}
        return write(
            staged_files=files,
            schema=common_schema(payload_schemas(files)) if schema is None else schema,
            output=OutputMessage(format="delta", **output),
            job_name=job,
            user_metadata={"deployment": "digits", "model_version": 3},
            expected_rows=expected_rows,
        )

    return run


@pytest.fixture
def table(spark: SparkSession, request: pytest.FixtureRequest) -> Any:
    name = f"scores_{abs(hash(request.node.name))}"
    yield name
    spark.sql(f"DROP TABLE IF EXISTS {name}")


def rows_of(spark: SparkSession, path: Path) -> list[tuple[Any, ...]]:
    return sorted(map(tuple, spark.read.format("delta").load(str(path)).collect()), key=str)


@EACH_WRITER
def test_publish_delta__folder(spark: SparkSession, publish: Publish, tmp_path: Path) -> None:
    before = spark.conf.get("spark.sql.execution.arrow.maxRecordsPerBatch")
    found = publish()
    assert (found.rows, found.files, found.version) == (3, 1, 0)
    assert rows_of(spark, tmp_path / "out") == sorted(ROWS, key=str)
    assert spark.conf.get("spark.sql.execution.arrow.maxRecordsPerBatch") == before
    assert spark.conf.get("spark.databricks.delta.commitInfo.userMetadata", None) is None
    (commit,) = DeltaTable.forPath(spark, str(tmp_path / "out")).history().collect()
    assert json.loads(commit.userMetadata) == {
        "job": "job",
        "deployment": "digits",
        "model_version": 3,
    }
    log = (tmp_path / "out" / "_delta_log" / f"{0:020d}.json").read_text().splitlines()
    (transaction,) = [entry["txn"] for entry in map(json.loads, log) if "txn" in entry]
    assert (transaction["appId"], transaction["version"]) == ("sparkscore:job", 1)


@EACH_WRITER
def test_publish_delta__repeat_changes_nothing(
    spark: SparkSession, publish: Publish, tmp_path: Path
) -> None:
    first = publish()
    files = sorted((tmp_path / "out").rglob("*"))
    assert publish() == first
    assert sorted((tmp_path / "out").rglob("*")) == files
    assert len(rows_of(spark, tmp_path / "out")) == 3


@EACH_WRITER
def test_publish_delta__types(spark: SparkSession, publish: Publish, tmp_path: Path) -> None:
    schema = pa.schema(
        {
            "u8": pa.uint8(),
            "u64": pa.uint64(),
            "t": pa.timestamp("us"),
            "b": pa.binary(),
            "d": pa.decimal128(10, 2),
            "f": pa.float32(),
            "s": pa.string(),
        }
    )
    noon = datetime(2024, 1, 2, 12)  # noqa: DTZ001 - a time without zone counts as UTC
    value = {"u8": 200, "u64": 2**64 - 1, "t": noon, "b": b"x", "d": Decimal("1.5"), "f": 0.5}
    publish({0: [value]}, schema=schema, expected_rows=1)
    found = spark.read.format("delta").load(str(tmp_path / "out"))
    assert [field.dataType.simpleString() for field in found.schema] == [
        *("smallint", "decimal(20,0)", "timestamp", "binary", "decimal(10,2)", "float", "string"),
    ]
    (row,) = found.selectExpr("*", "unix_micros(t) AS micros").collect()
    assert (row.u8, row.u64, row.d, row.f, row.s) == (
        *(200, Decimal(2**64 - 1), Decimal("1.50"), 0.5, None),
    )
    assert row.micros == int(noon.replace(tzinfo=timezone.utc).timestamp() * 1e6)


def test_publish_delta__old_times(spark: SparkSession, publish: Publish, tmp_path: Path) -> None:
    schema = pa.schema({"day": pa.date32(), "time": pa.timestamp("us", "UTC")})
    old = datetime(1066, 10, 14, 9, tzinfo=timezone.utc)
    publish({0: [{"day": old.date(), "time": old}]}, schema=schema, expected_rows=1)
    found = spark.read.format("delta").load(str(tmp_path / "out"))
    (row,) = found.selectExpr("string(day) AS day", "unix_micros(time) AS micros").collect()
    assert (row.day, row.micros) == ("1066-10-14", int(old.timestamp() * 1e6))


@EACH_WRITER
def test_publish_delta__no_rows(spark: SparkSession, publish: Publish, tmp_path: Path) -> None:
    schema = pa.schema([("prediction", pa.int64())])
    publish({0: []}, schema=schema, expected_rows=0)
    assert spark.read.format("delta").load(str(tmp_path / "out")).columns == ["prediction"]


@EACH_WRITER
def test_publish_delta__folder_with_content(publish: Publish, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "x.txt").write_text("x")
    with pytest.raises(AlreadyExistsError) as caught:
        publish()
    assert caught.value.condition == "OUTPUT_EXISTS"
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["x.txt"]


@EACH_WRITER
def test_publish_delta__folder_of_another_job(
    spark: SparkSession, publish: Publish, tmp_path: Path
) -> None:
    publish()
    with pytest.raises(AlreadyExistsError):
        publish(job="other")
    assert len(rows_of(spark, tmp_path / "out")) == 3


@EACH_WRITER
def test_publish_delta__wrong_row_count_is_taken_back(publish: Publish, tmp_path: Path) -> None:
    with pytest.raises(PublishError) as caught:
        publish(expected_rows=4)
    assert caught.value.condition == "ROW_COUNT_MISMATCH"
    assert caught.value.attributes == {"rows": 3, "expected_rows": 4}
    assert not (tmp_path / "out").exists()


@EACH_WRITER
def test_publish_delta__failed_job_leaves_nothing(publish: Publish, tmp_path: Path) -> None:
    with pytest.raises(Exception, match="pinned to bigint"):
        publish({0: [1], 1: ["x"]}, schema=pa.schema([("prediction", pa.int64())]))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["a b", "p(x)", "x,y", "ID"])
def test_publish_delta__column_name(publish: Publish, tmp_path: Path, name: str) -> None:
    with pytest.raises(PublishError) as caught:
        publish({0: [{"id": 1, name: 2}]}, expected_rows=1)
    assert caught.value.condition == "INVALID_COLUMN_NAME"
    assert not (tmp_path / "out").exists()


def test_publish_delta__new_table(spark: SparkSession, publish: Publish, table: str) -> None:
    found = publish(table=table)
    assert (found.table, found.rows, found.version) == (table, 3, 0)
    assert publish(table=table) == found
    assert spark.table(table).count() == 3


def test_publish_delta__existing_table_needs_a_mode(
    spark: SparkSession, publish: Publish, table: str
) -> None:
    publish(table=table)
    with pytest.raises(AlreadyExistsError) as caught:
        publish(table=table, job="second")
    assert caught.value.condition == "OUTPUT_EXISTS"
    assert spark.table(table).count() == 3


def test_publish_delta__append_to_a_table(
    spark: SparkSession, publish: Publish, table: str
) -> None:
    spark.sql(f"CREATE TABLE {table} (ID bigint, label string, note string) USING delta")
    for mode in ("append", "append"):
        found = publish(table=table, mode=mode)
    assert (found.rows, found.version) == (3, 1)
    publish(table=table, mode="append", job="second")
    assert publish(table=table, mode="append", expected_rows=9) == found, "it was made before"
    assert spark.table(table).count() == 6
    assert spark.table(table).columns == ["ID", "label", "note"]


def test_publish_delta__overwrite_a_table(
    spark: SparkSession, publish: Publish, table: str
) -> None:
    spark.sql(f"CREATE TABLE {table} (id bigint, label string) USING delta")
    spark.sql(f"ALTER TABLE {table} SET TBLPROPERTIES ('team' = 'them')")
    spark.sql(f"INSERT INTO {table} VALUES (9, 'old')")
    found = publish(table=table, mode="overwrite")
    assert found.rows == 3
    assert publish(table=table, mode="overwrite") == found
    assert sorted(map(tuple, spark.table(table).collect()), key=str) == sorted(ROWS, key=str)
    (team,) = spark.sql(f"SHOW TBLPROPERTIES {table} ('team')").collect()
    assert team.value == "them"


@pytest.mark.parametrize(
    ("columns", "column", "expected"),
    [
        ("id bigint", "label", "no such column"),
        ("id int, label string", "id", "int"),
        ("id string, label array<string>", "label", "array<string>"),
    ],
)
def test_publish_delta__table_of_another_schema(
    spark: SparkSession, publish: Publish, table: str, columns: str, column: str, expected: str
) -> None:
    spark.sql(f"CREATE TABLE {table} ({columns}) USING delta")
    with pytest.raises(PublishError) as caught:
        publish(table=table, mode="append")
    assert caught.value.condition == "TABLE_SCHEMA_MISMATCH"
    assert caught.value.attributes["column"] == column
    assert caught.value.attributes["expected"] == expected
    assert spark.table(table).count() == 0


def test_publish_delta__wrong_row_count_restores_the_table(
    spark: SparkSession, publish: Publish, table: str
) -> None:
    spark.sql(f"CREATE TABLE {table} (id bigint, label string) USING delta")
    spark.sql(f"INSERT INTO {table} VALUES (9, 'old')")
    with pytest.raises(PublishError) as caught:
        publish(table=table, mode="overwrite", expected_rows=2)
    assert caught.value.condition == "ROW_COUNT_MISMATCH"
    assert list(map(tuple, spark.table(table).collect())) == [(9, "old")]


def test_publish_delta__what_others_wrote_since_is_not_taken_back(
    spark: SparkSession, publish: Publish, table: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = CatalogTarget.write

    def write_and_let_others(*given: Any) -> None:
        write(*given)
        spark.newSession().sql(f"INSERT INTO {table} VALUES (9, 'theirs')")

    monkeypatch.setattr(CatalogTarget, "write", write_and_let_others)
    with pytest.raises(PublishError) as caught:
        publish(table=table, expected_rows=2)
    assert caught.value.condition == "ROW_COUNT_MISMATCH"
    assert spark.table(table).where("label = 'theirs'").count() == 1
