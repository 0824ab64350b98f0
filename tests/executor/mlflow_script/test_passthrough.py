"""Columns of the input that stand beside the predictions."""

from __future__ import annotations

import pandas as pd
import pyarrow as pa
import pytest

from sparkscore.executor.mlflow_files import UnusableInputError
from tests.executor.mlflow_script.models import BIG, SEEN, Save, Start, counts, rows


def test_passthrough__is_exact(start: Start, save: Save) -> None:
    score = start(save(counts, {"k": "long?"}), passthrough=["id", "k", "code"])
    table = score(a__csv=f"code,k,id,z\n007,{BIG},1.10,1\n,,{BIG}{BIG},2\n")
    assert table.column_names == ["file", "row", "id", "k", "code", "prediction"]
    assert [row[2:5] for row in rows(table)] == [("1.10", BIG, "007"), (f"{BIG}{BIG}", None, None)]


def test_passthrough__of_parquet_keeps_its_types(start: Start, save: Save) -> None:
    columns = {
        "k": [1],
        "id": pa.array([2**64 - 1], pa.uint64()),
        "n": pa.array([None], pa.int64()),
    }
    table = start(save(counts, {"k": "long"}), passthrough="all")(a__parquet=pa.table(columns))
    assert table.column_names == ["file", "row", "k", "id", "n", "prediction"]
    assert (table["id"].type, table["id"].to_pylist()) == (pa.uint64(), [2**64 - 1])
    assert table["n"].type == pa.int64()


def test_passthrough__of_csv_without_a_signature_is_text(start: Start, save: Save) -> None:
    score = start(save(counts), on_bad_row="skip", passthrough=["code"])
    table = score(a__csv="code,x\n007,1\n8\n009,2\n")
    assert rows(table) == [("a.csv", 0, "007", 0), ("a.csv", 2, "009", 1)]
    assert SEEN[0]["code"].tolist() == [7, 9]


def test_passthrough__clashes_get_a_suffix(start: Start, save: Save) -> None:
    answer = lambda d: pd.DataFrame({"row": [1], "id": [2], "x": [3]})  # noqa: E731
    table = start(save(answer, {"k": "long"}), passthrough="all")(a__csv="row,k,id\n7,8,9\n")
    assert table.column_names == ["file", "row", "row_1", "k", "id", "row_2", "id_1", "x"]
    assert rows(table) == [("a.csv", 0, "7", 8, "9", 1, 2, 3)]


def test_passthrough__of_a_missing_column(start: Start, save: Save) -> None:
    score = start(save(counts, {"k": "long"}), passthrough=["id"])
    with pytest.raises(UnusableInputError, match=r"a\.csv: column 'id' is missing; .* are: k"):
        score(a__csv="k\n1\n")


def test_passthrough__differs_between_files(start: Start, save: Save) -> None:
    score = start(save(counts, {"k": "long"}), passthrough=["id"])
    one = pa.table({"k": [1], "id": [BIG]})
    table = score(a__parquet=one, b__parquet=pa.table({"k": [1], "id": ["x"]}))
    assert table["id"].to_pylist() == [str(BIG), "x"]
    table = score(a__parquet=one, b__parquet=pa.table({"k": [1], "id": [0.5]}))
    assert table["id"].to_pylist() == [str(BIG), "0.5"]
