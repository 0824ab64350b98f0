"""The columns of tables as a model's signature wants them: exact, or refused."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from mlflow.types import ColSpec
from mlflow.types.schema import Array, DataType

from sparkscore.executor.mlflow_files import UnusableInputError
from sparkscore.executor.mlflow_script import FailedPredictionError
from tests.executor.mlflow_script.models import BIG, SEEN, Save, Start, account, counts, rows


def test_csv__columns_get_their_types(start: Start, save: Save) -> None:
    kinds = {
        "s": "string", "l": "long", "i": "integer", "d": "double", "f": "float", "b": "boolean",
        "t": "datetime", "x": "binary",
    }  # fmt: skip
    text = "x,s,l,i,d,f,b,t\nab,007,9007199254740993,-5,1e3,0.1,TRUE,2013-01-01T05:00:00\n"
    start(save(counts, kinds))(a__csv=text)
    (frame,) = SEEN
    assert [str(kind) for kind in frame.dtypes] == [
        "object", "int64", "int32", "float64", "float32", "bool", "datetime64[ns]", "object"
    ]  # fmt: skip
    assert frame.iloc[0].to_dict() == {
        "s": "007", "l": BIG, "i": -5, "d": 1000.0, "f": np.float32(0.1), "b": True,
        "t": pd.Timestamp("2013-01-01 05:00"), "x": b"ab",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "cell", "value"),
    [
        ("long", " 12 ", 12),
        ("long", "+12", 12),
        ("long", "-12.00", -12),
        ("long", "9223372036854775807", 2**63 - 1),
        ("boolean", "1", True),
        ("boolean", "0", False),
        ("boolean", "False", False),
        ("double", " 1.5", 1.5),
        ("double", "inf", float("inf")),
        ("datetime", "2013-01-01", pd.Timestamp("2013-01-01")),
        ("datetime", "2013-01-01T05:00:00+02:00", pd.Timestamp("2013-01-01 03:00")),
        ("string", '""', ""),
        ("string", "NA", "NA"),
        ("string", " x ", " x "),
        ("string", '"a\nb"', "a\nb"),
        ("string", '"say ""hi"""', 'say "hi"'),
    ],
)
def test_csv__cell_fits(start: Start, save: Save, kind: str, cell: str, value: Any) -> None:
    start(save(counts, {"k": kind, "o": "long"}))(a__csv=f"k,o\n{cell},1\n")
    assert SEEN[0]["k"].iloc[0] == value


@pytest.mark.parametrize(
    ("kind", "cell", "message"),
    [
        ("long", "abc", "'abc' is not a long"),
        ("long", "1.5", "'1.5' is not a long"),
        ("long", "9223372036854775808", "'9223372036854775808' is not a long"),
        ("long", "0x1A", "'0x1A' is not a long"),
        ("integer", "2147483648", "'2147483648' is not an integer"),
        ("long", "", "no value, it must be a long"),
        ("long", "NA", "'NA' is not a long"),
        ("boolean", "", "no value, it must be a boolean"),
        ("boolean", "yes", "'yes' is not a boolean"),
        ("double", "1,5", "'1,5' is not a double"),
        ("datetime", "01/02/2013", "'01/02/2013' is not a datetime"),
        ("datetime", "1500-01-01", "'1500-01-01' is not a datetime"),
        ("datetime", "9999-01-01T00:00Z", "'9999-01-01T00:00Z' is not a datetime"),
    ],
)
def test_csv__cell_does_not_fit(
    start: Start, save: Save, kind: str, cell: str, message: str
) -> None:
    score = start(save(counts, {"k": kind, "o": "long"}))
    text = f'k,o\n"{cell}",1\n' if "," in cell else f"k,o\n{cell},1\n"
    with pytest.raises(UnusableInputError) as caught:
        score(in___f__csv=text)
    assert str(caught.value) == f"in/f.csv, row 0, column 'k': {message} (bad rows in this file: 1)"


@pytest.mark.parametrize(
    ("kind", "cells", "values"),
    [
        ("double", ["1", "", "NA", "nan"], [1.0, None, None, None]),
        ("string", ["x", ""], ["x", None]),
        ("datetime", ["2013-01-01", "", "null"], [pd.Timestamp("2013-01-01"), None, None]),
        ("long?", [str(BIG), "", "None"], [BIG, None, None]),
        ("integer?", ["7", "N/A"], [7, None]),
        ("boolean?", ["true", "", "0"], [True, None, False]),
    ],
)
def test_csv__null_reaches_the_model(
    start: Start, save: Save, kind: str, cells: list[str], values: list[Any]
) -> None:
    model = save(counts, {"k": kind, "o": "long"})
    table = start(model, passthrough=["k"])(
        a__csv="k,o\n" + "".join(f"{cell},1\n" for cell in cells)
    )
    given = [None if pd.isna(value) else value for value in SEEN[0]["k"]]
    assert given == values
    assert table["k"].to_pylist() == values


def test_optional_integer__is_nullable_only_where_null(start: Start, save: Save) -> None:
    score = start(save(counts, {"k": "long?", "i": "integer?", "s": "string"}))
    score(a__csv="k,i,s\n1,2,x\n", b__csv="k,i,s\n1,,x\n,2,x\n")
    assert [str(kind) for kind in SEEN[0].dtypes] == ["int64", "int32", "object"]
    assert [str(kind) for kind in SEEN[1].dtypes] == ["Int64", "Int32", "object"]


def test_optional_column__may_be_missing(start: Start, save: Save) -> None:
    kinds = {"k": "long", "i": "long?", "d": "double?", "s": "string?", "b": "boolean?"}
    score = start(save(counts, kinds))
    score(a__csv="k\n1\n", b__jsonl='{"k": 1}\n', c__parquet=pa.table({"k": [1]}))
    for frame in SEEN:
        assert list(frame.columns) == list(kinds)
        assert frame.iloc[0].isna().tolist() == [False, True, True, True, True]


@pytest.mark.parametrize(
    "files", [{"a__csv": "x,y\n1,2\n"}, {"a__jsonl": '{"x": 1, "y": 2}\n'},
              {"a__parquet": pa.table({"x": [1], "y": [2]})}]
)  # fmt: skip
def test_required_column__is_missing(start: Start, save: Save, files: dict[str, Any]) -> None:
    with pytest.raises(UnusableInputError) as caught:
        start(save(counts, {"x": "long", "k": "double"}))(**files)
    name = next(iter(files)).replace("__", ".")
    assert str(caught.value) == f"{name}: column 'k' is missing; its columns are: x, y"


def test_column__stands_twice(start: Start, save: Save) -> None:
    score = start(save(counts, {"k": "long"}))
    with pytest.raises(UnusableInputError, match=r"a\.csv: column 'k' stands more than once"):
        score(a__csv="k,k\n1,2\n")


def test_extra_columns__are_not_passed(start: Start, save: Save) -> None:
    start(save(counts, {"k": "long"}))(
        a__csv="z,k,y\n1,2,3\n", b__parquet=pa.table({"z": [1], "k": [2]})
    )
    assert [list(frame.columns) for frame in SEEN] == [["k"], ["k"]]


def test_unnamed_signature__is_matched_by_position(start: Start, save: Save) -> None:
    score = start(save(counts, tensors=[ColSpec("string"), ColSpec("long")]))
    score(a__csv="a,b,c\n007,5,6\n")
    assert SEEN[0].to_dict("list") == {"a": ["007"], "b": [5]}
    with pytest.raises(UnusableInputError, match=r"a\.csv: 1 columns, but the model takes 2"):
        score(a__csv="a\n1\n")


def test_nested_signature__is_enforced_by_mlflow(start: Start, save: Save) -> None:
    inputs = [ColSpec("long", "k"), ColSpec(Array(DataType.long), "v")]
    score = start(save(lambda d: [sum(v) for v in d["v"]], tensors=inputs))
    assert score(a__jsonl='{"k": 1, "v": [1, 2]}\n')["prediction"].to_pylist() == [3]
    with pytest.raises(FailedPredictionError, match=r"^a\.jsonl: predict failed: MlflowException"):
        score(a__jsonl='{"k": 1, "v": ["x"]}\n')


@pytest.mark.parametrize(
    ("kind", "column", "values"),
    [
        ("long", pa.array([1], pa.int16()), [1]),
        ("long", pa.array([3.0]), [3]),
        ("long?", pa.array([3.0, float("nan")]), [3, None]),
        ("long", pa.array(["007"]), [7]),
        ("double", pa.array([2**53]), [2.0**53]),
        ("double", pa.array([1.5, None]), [1.5, None]),
        ("double", pa.array([True]), [1.0]),
        ("double", pa.array([1], pa.decimal128(10, 2)), [1.0]),
        ("float", pa.array([0.5, float("nan")]), [0.5, None]),
        ("string", pa.array(["a", "b", "a"]).dictionary_encode(), ["a", "b", "a"]),
        ("string", pa.array(["a"], pa.large_string()), ["a"]),
        ("binary", pa.array([b"\xff"]), [b"\xff"]),
        ("double", pa.nulls(1), [None]),
        ("datetime", pa.array([0], pa.date32()), [pd.Timestamp(0)]),
        ("datetime", pa.array([1], pa.timestamp("us", "UTC")), [pd.Timestamp(1000)]),
    ],
)
def test_parquet__lossless_cast(
    start: Start, save: Save, kind: str, column: Any, values: list[Any]
) -> None:
    start(save(counts, {"k": kind}))(a__parquet=pa.table({"k": column}))
    assert [None if pd.isna(value) else value for value in SEEN[0]["k"]] == values


@pytest.mark.parametrize(
    ("kind", "column", "message"),
    [
        (
            "integer",
            pa.array([1, 2**31]),
            "a.parquet, row 1, column 'k': 2147483648 does not fit an integer",
        ),
        ("long", pa.array([1.0, 1.5]), "a.parquet, row 1, column 'k': 1.5 does not fit a long"),
        ("long", pa.array([1, None]), "a.parquet, row 1, column 'k': no value, it must be a long"),
        (
            "double",
            pa.array([1, BIG]),
            f"a.parquet, row 1, column 'k': {BIG} does not fit",
        ),
        ("float", pa.array([0.5, 0.1]), "a.parquet, row 1, column 'k': 0.1 does not fit a float"),
        ("boolean", pa.array([1, 2]), "a.parquet, row 1, column 'k': 2 does not fit a boolean"),
        ("string", pa.array([7]), "a.parquet: column 'k' has type int64, not string"),
        ("datetime", pa.array([7]), "a.parquet: column 'k' has type int64, not datetime"),
        ("long", pa.array([[7]]), "a.parquet: column 'k' has type list<"),
    ],
)
def test_parquet__cast_that_would_lose(
    start: Start, save: Save, kind: str, column: Any, message: str
) -> None:
    with pytest.raises(UnusableInputError) as caught:
        start(save(counts, {"k": kind}))(a__parquet=pa.table({"k": column}))
    assert str(caught.value).startswith(message)


def test_parquet__of_pandas_has_no_index_column(start: Start, save: Save) -> None:
    frame = pd.DataFrame({"k": [1, 2]}, index=[5, 6])
    table = start(save(counts), passthrough="all")(a__pqt=pa.Table.from_pandas(frame))
    assert table.column_names == ["file", "row", "k", "prediction"]
    assert SEEN[0].index.tolist() == [0, 1]


def test_jsonl__has_exact_values(start: Start, save: Save) -> None:
    kinds = {"k": "long", "o": "long?", "f": "float", "t": "datetime", "s": "string"}
    lines = [
        {"k": BIG, "o": None, "f": 0.1, "t": "2013-01-01T00:00:00Z", "s": "2013-01-01"},
        {"k": 1, "o": BIG, "f": 1, "t": "2014-01-01", "s": None},
    ]
    start(save(counts, kinds))(a__jsonl="\n\n".join(map(json.dumps, lines)))
    frame = SEEN[0]
    assert frame["k"].tolist() == [BIG, 1]
    assert frame["o"].tolist() == [pd.NA, BIG]
    assert frame["f"].tolist() == [np.float32(0.1), 1.0]
    assert frame["t"].tolist() == [pd.Timestamp("2013-01-01"), pd.Timestamp("2014-01-01")]
    assert frame["s"].tolist() == ["2013-01-01", None]


def test_jsonl__bad_cells_and_lines(start: Start, save: Save) -> None:
    score = start(save(counts, {"k": "long", "s": "string"}), on_bad_row="skip")
    lines = ['{"k": 1, "s": "x"}', '{"k": "abc", "s": "x"}', '{"k": 1.5, "s": "x"}', "[1]", '{"k"',
             '{"k": 9007199254740993, "s": "x"}', '{"k": 2, "s": 7}']  # fmt: skip
    table = score(a__jsonl="\n".join(lines))
    assert rows(table) == [("a.jsonl", 0, 0), ("a.jsonl", 5, 1)]
    assert SEEN[0]["k"].tolist() == [1, BIG]
    assert {bad["row"]: bad["message"] for bad in account(table)["bad_rows"]} == {
        1: "column 'k': 'abc' is not a long",
        2: "column 'k': '1.5' is not a long",
        3: "'[1]' is not a JSON object",
        4: "'{\"k\"' is not a JSON object",
        6: "column 's': 7 is not a string",
    }
