"""Results come back as the script returned them, from each format, without Spark."""

from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sparkscore.control.jobs import Job
from sparkscore.control.workspace import Workspace
from sparkscore.driver.publish.csv_format import csv_bytes, header_line
from sparkscore.driver.publish.jsonl_format import jsonl_bytes
from sparkscore.errors import StateError, StorageError
from tests.control.jobs.conftest import make_record

UTC = dt.timezone.utc
TABLE = pa.table(
    {
        "text": ['a,"b"\nc', "", None],
        "yes": [True, False, None],
        "count": pa.array([2**60 + 1, -1, None], pa.int64()),
        "small": pa.array([1, 2, 3], pa.int8()),
        "ratio": [0.1, float("inf"), None],
        "single": pa.array([0.5, -2.25, None], pa.float32()),
        "money": pa.array([Decimal("12.50"), Decimal("-0.01"), None], pa.decimal128(10, 2)),
        "day": pa.array([dt.date(2013, 1, 31), None, dt.date(1, 1, 1)], pa.date32()),
        "moment": pa.array(
            [dt.datetime(2013, 1, 31, 5, 0, 0, 123, UTC), None, None],
            pa.timestamp("us", tz="UTC"),
        ),
        "local": pa.array(
            [dt.datetime.fromisoformat("2013-01-31T05:00"), None, None], pa.timestamp("us")
        ),
        "bytes": pa.array([b"\0\xff", b"", None], pa.binary()),
    }
)
"""A column of each type that results can have."""


def make_job(
    workspace: Workspace, folder: Path, output: dict[str, Any], *, schema: Any = None, **more: Any
) -> Job:
    if schema is not None:
        (folder / "plan").mkdir(parents=True, exist_ok=True)
        (folder / "plan" / "result_schema.arrow").write_bytes(schema.serialize().to_pybytes())
    fields = {"status": "Completed", "summary": {"output": output}, **more}
    return Job(make_record(folder=str(folder), **fields), workspace)


def check(frame: pd.DataFrame, table: Any = TABLE) -> None:
    assert list(frame.columns) == table.column_names
    for name in table.column_names:
        expected = table.column(name).to_pylist()
        found = [None if pd.isna(value) else value for value in frame[name]]
        assert found == expected, name


@pytest.mark.parametrize(
    ("header", "separator"), [(True, ","), (False, ","), (True, " "), (False, "\t")]
)
def test_results__csv(workspace: Workspace, tmp_path: Path, header: bool, separator: str) -> None:
    file = tmp_path / "out.csv"
    first = header_line(TABLE.schema, separator=separator) if header else b""
    file.write_bytes(first + csv_bytes(TABLE, separator=separator))
    settings = {"output_header": header, "output_separator": separator}
    job = make_job(
        workspace,
        tmp_path,
        {"path": str(file), "format": "csv"},
        schema=TABLE.schema,
        deployment={"settings": settings},
    )
    frame = job.results()
    check(frame)
    assert str(frame["count"].dtype) == "Int64"
    assert str(frame["small"].dtype) == "int8"


@pytest.mark.parametrize("name", TABLE.column_names)
def test_results__csv_with_one_column(workspace: Workspace, tmp_path: Path, name: str) -> None:
    table = TABLE.select([name])
    file = tmp_path / "out.csv"
    content = header_line(table.schema, separator=",") + csv_bytes(table, separator=",")
    file.write_bytes(content)
    output = {"path": str(file), "format": "csv"}
    found = make_job(workspace, tmp_path, output, schema=table.schema).results()[name]
    expected = [None if value in ("", b"") else value for value in table[name].to_pylist()]
    assert [None if pd.isna(value) or value in ("", b"") else value for value in found] == expected


def test_results__csv_of_a_pruned_job(workspace: Workspace, tmp_path: Path) -> None:
    file = tmp_path / "out.csv"
    file.write_text("name,score\na,0.5\nb,1.5\n")
    frame = make_job(workspace, tmp_path / "gone", {"path": str(file), "format": "csv"}).results()
    assert frame.to_dict("list") == {"name": ["a", "b"], "score": [0.5, 1.5]}


def test_results__jsonl(workspace: Workspace, tmp_path: Path) -> None:
    file = tmp_path / "out.jsonl"
    file.write_bytes(jsonl_bytes(TABLE))
    output = {"path": str(file), "format": "jsonl"}
    frame = make_job(workspace, tmp_path, output, schema=TABLE.schema).results()
    finite = [None if value == float("inf") else value for value in TABLE["ratio"].to_pylist()]
    position = TABLE.column_names.index("ratio")
    check(frame, TABLE.set_column(position, "ratio", pa.array(finite)))


def test_results__jsonl_of_a_pruned_job(workspace: Workspace, tmp_path: Path) -> None:
    file = tmp_path / "out.jsonl"
    lines = ['{"n": 1, "t": "a", "at": "2013-01-31 05:00:00"}', "", '{"n": 2.5, "more": true}']
    file.write_text("\n".join(lines))
    frame = make_job(workspace, tmp_path / "gone", {"path": str(file), "format": "jsonl"}).results()
    assert frame["n"].tolist() == [1.0, 2.5]
    assert frame["at"][0] == pd.Timestamp("2013-01-31 05:00")
    assert (frame["t"][0], frame["more"][1]) == ("a", True)


@pytest.mark.parametrize("has_schema", [True, False])
@pytest.mark.parametrize(
    "content",
    [
        *(b"null\n", b"1\n", b"[1]\n", b'"a"\n', b'{"a": 1}\nnull\n', b"\xff\n", b"{\n", b"NaN"),
        b"[" * 100_000,
        b'{"a": "\\ud800"}\n',
        b'{"a": ' + b"1" * 5000 + b"}",
    ],
)
def test_results__jsonl_that_was_changed(
    workspace: Workspace, tmp_path: Path, content: bytes, has_schema: bool
) -> None:
    file = tmp_path / "out.jsonl"
    file.write_bytes(content)
    schema = pa.schema([("a", pa.int64())]) if has_schema else None
    job = make_job(workspace, tmp_path, {"path": str(file), "format": "jsonl"}, schema=schema)
    with pytest.raises(StorageError) as caught:
        job.results()
    assert caught.value.condition == "OUTPUT_NOT_READABLE"


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (pa.int8(), 300),
        (pa.int64(), "1"),
        (pa.float64(), True),
        (pa.bool_(), 1),
        (pa.string(), {"a": 1}),
        (pa.decimal128(4, 2), 1.234),
        (pa.binary(), "\u20ac"),
        (pa.timestamp("us"), "yesterday"),
    ],
)
def test_results__jsonl_with_other_types(
    workspace: Workspace, tmp_path: Path, kind: Any, value: Any
) -> None:
    file = tmp_path / "out.jsonl"
    file.write_text(json.dumps({"a": value}))
    output = {"path": str(file), "format": "jsonl"}
    job = make_job(workspace, tmp_path, output, schema=pa.schema([("a", kind)]))
    with pytest.raises(StorageError) as caught:
        job.results()
    assert caught.value.condition == "OUTPUT_NOT_READABLE"


def test_results__parquet(workspace: Workspace, tmp_path: Path) -> None:
    pq.write_table(TABLE, tmp_path / "out.parquet")
    output = {"path": str(tmp_path / "out.parquet"), "format": "parquet"}
    check(make_job(workspace, tmp_path, output).results())


def test_results__first_version_of_a_delta_table(workspace: Workspace, tmp_path: Path) -> None:
    folder = tmp_path / "table"
    (folder / "_delta_log").mkdir(parents=True)
    actions: list[dict[str, Any]] = [{"commitInfo": {}}]
    for name, rows in (("part 0.parquet", TABLE.slice(0, 2)), ("part-1.parquet", TABLE.slice(2))):
        pq.write_table(rows, folder / name)
        actions.append({"add": {"path": name.replace(" ", "%20")}})
    pq.write_table(TABLE, folder / "removed.parquet")
    log = folder / "_delta_log" / "00000000000000000000.json"
    log.write_text("".join(json.dumps(action) + "\n" for action in actions))
    output = {"path": str(folder), "format": "delta", "version": 0}
    check(make_job(workspace, tmp_path, output).results())


def test_results__empty(workspace: Workspace, tmp_path: Path) -> None:
    file = tmp_path / "out.csv"
    file.write_text("a,b\n")
    schema = pa.schema([("a", pa.int64()), ("b", pa.string())])
    output = {"path": str(file), "format": "csv"}
    frame = make_job(workspace, tmp_path, output, schema=schema).results()
    assert (len(frame), list(frame.columns)) == (0, ["a", "b"])


@pytest.mark.parametrize(
    ("output", "fields", "condition"),
    [
        ({"path": "x", "format": "delta", "version": 3}, {}, "SESSION_NEEDED"),
        (
            {"path": "x", "format": "delta", "version": 0, "table": "c.s.t"},
            {},
            "SESSION_NEEDED",
        ),
        ({"path": "x", "format": "files"}, {}, "NO_RESULTS"),
        ({"path": "/no/such.csv", "format": "csv"}, {}, "OUTPUT_NOT_FOUND"),
        ({}, {"status": "Failed"}, "JOB_NOT_COMPLETED"),
        ({}, {"status": "Canceled"}, "JOB_NOT_COMPLETED"),
        ({}, {"status": "Running"}, "JOB_NOT_ENDED"),
    ],
)
def test_results__refuses(
    workspace: Workspace,
    tmp_path: Path,
    output: dict[str, Any],
    fields: dict[str, Any],
    condition: str,
) -> None:
    with pytest.raises(StateError) as caught:
        make_job(workspace, tmp_path, output, **fields).results()
    assert caught.value.condition == condition
