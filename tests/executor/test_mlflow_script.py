"""The MLflow script on real models: what they get, what comes back, and what is refused."""

from __future__ import annotations

import json
import logging
import os
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from sparkscore.executor import mlflow_script
from sparkscore.executor.mlflow_files import UnusableInputError
from sparkscore.executor.mlflow_script import FailedPredictionError, UnusableModelError

BIG = 2**53 + 1
XY = {"x": "double", "y": "double"}
TWO_PREDICTIONS = {"prediction_0": [1, 3], "prediction_1": [2, 4]}

Score = Callable[..., Any]
Start = Callable[..., Score]
Save = Callable[..., str]

SEEN: list[Any] = []


def probe_predict(answer: Callable[[Any], Any], data: Any) -> Any:
    SEEN.append(data)
    return answer(data)


def counts(data: Any) -> Any:
    return np.arange(len(data))


def texts_of_k(data: Any) -> Any:
    return data["k"].map(repr).to_numpy()


def change_input(data: Any) -> Any:
    data.loc[:, "x"] = 0.0
    data["y"] += 1.0
    return data["x"] + data["y"]


def two_columns(data: Any) -> Any:
    return pd.DataFrame({"label": ["a"] * len(data), "score": [0.5] * len(data)})


with warnings.catch_warnings(record=True):
    warnings.simplefilter("always")
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    import mlflow.pyfunc
    import mlflow.sklearn
    from mlflow.models import ModelSignature, infer_signature
    from mlflow.pyfunc.model import PythonModel
    from mlflow.types import ColSpec, ParamSchema, ParamSpec, Schema, TensorSpec
    from mlflow.types.schema import Array, DataType

    class Probe(PythonModel):
        def __init__(self, answer: Callable[[Any], Any]) -> None:
            self.answer = answer

        def predict(self, context, model_input, params=None):
            return probe_predict(self.answer, model_input)

    class Adds(PythonModel):
        def predict(self, context, model_input, params=None):
            return model_input["k"].to_numpy() + params["add"]


def save_quietly(flavor: Any, path: Path, **content: Any) -> None:
    """MLflow warns of all that it misses in a model when it saves one."""
    with warnings.catch_warnings(record=True):
        warnings.simplefilter("always")
        flavor.save_model(path=str(path), **content)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="module")
def save(models: Path) -> Save:
    """Saves a model that gives ``answer(input)``; a column's type with ``?`` is optional."""
    saved: dict[str, str] = {}

    def column(kind: str, name: str) -> Any:
        return ColSpec(kind.rstrip("?"), name, required=not kind.endswith("?"))

    def write(
        answer: Callable[[Any], Any],
        columns: Mapping[str, str] | None = None,
        *,
        tensors: Any = None,
        outputs: Any = None,
    ) -> str:
        inputs = Schema(tensors) if tensors else None
        if columns:
            inputs = Schema([column(kind, name) for name, kind in columns.items()])
        key = repr((answer, inputs, outputs))
        if key not in saved:
            saved[key] = f"model{len(saved)}"
            save_quietly(
                mlflow.pyfunc,
                models / saved[key],
                python_model=Probe(answer),
                signature=ModelSignature(inputs=inputs, outputs=outputs) if inputs else None,
                pip_requirements=[],
            )
        return saved[key]

    return write


@pytest.fixture(scope="module")
def flights_model(models: Path) -> str:
    """A scikit-learn pipeline with strings, integers, doubles and booleans in its signature."""
    from sklearn.compose import make_column_transformer
    from sklearn.linear_model import LinearRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder

    data = pd.DataFrame(
        {
            "carrier": ["UA", "007", "B6", "UA"],
            "distance": [100, 200, 300, 400],
            "speed": [1.0, 2.0, 3.5, 4.0],
            "late": [True, False, True, False],
        }
    )
    encode = make_column_transformer((OneHotEncoder(), ["carrier"]), remainder="passthrough")
    model = make_pipeline(encode, LinearRegression()).fit(data, data["distance"] * 2)
    with warnings.catch_warnings(record=True):
        warnings.simplefilter("always")
        signature = infer_signature(data, model.predict(data))
    save_quietly(
        mlflow.sklearn,
        models / "flights",
        sk_model=model,
        signature=signature,
        pip_requirements=["scikit-learn"],
    )
    return "flights"


@pytest.fixture
def start(models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    """Calls ``init`` with settings; gives a function that writes files and scores them."""

    def begin(model: str, *, on_bad_row: str = "fail", passthrough: Any = ()) -> Score:
        copied = passthrough if isinstance(passthrough, str) else list(passthrough)
        monkeypatch.setenv("AZUREML_MODEL_DIR", str(models))
        monkeypatch.setenv("SPARKSCORE_MODEL_NAME", model)
        monkeypatch.setenv("SPARKSCORE_INPUT_ROOT", str(tmp_path / "in"))
        monkeypatch.setenv("SPARKSCORE_ON_BAD_ROW", on_bad_row)
        monkeypatch.setenv("SPARKSCORE_PASSTHROUGH_COLUMNS", json.dumps(copied))
        mlflow_script.init()
        return score

    def score(**files: Any) -> Any:
        paths = [write_file(tmp_path / "in", name, content) for name, content in files.items()]
        return mlflow_script.run(paths)

    yield begin
    SEEN.clear()


def write_file(folder: Path, name: str, content: Any) -> str:
    """Write ``content``; in ``name`` two underscores stand for a dot, three for a slash."""
    path = folder / name.replace("___", "/").replace("__", ".")
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, pa.Table):
        pq.write_table(content, path)
    elif isinstance(content, Image.Image):
        content.save(path)
    else:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return str(path)


def account(table: Any) -> Any:
    return json.loads(table.schema.metadata[b"sparkscore"])


def rows(table: Any) -> list[tuple[Any, ...]]:
    return [tuple(row.values()) for row in table.to_pylist()]


# What comes back


def test_run__scores_a_csv_with_a_mixed_signature(start: Start, flights_model: str) -> None:
    text = "late,carrier,distance,speed,other\ntrue,UA,150,1.5,x\nFALSE,007,250,2,y\n"
    table = start(flights_model)(a___b__csv=text)
    assert table.column_names == ["file", "row", "prediction"]
    assert table["file"].to_pylist() == ["a/b.csv"] * 2
    assert table["row"].type == pa.int64()
    assert table["row"].to_pylist() == [0, 1]
    assert table["prediction"].to_pylist() == pytest.approx([300, 500], abs=0.1)
    assert account(table) == {"inputs": 1, "bad_rows": []}


def test_run__keeps_files_apart_and_in_order(start: Start, save: Save) -> None:
    score = start(save(counts, {"k": "long"}))
    table = score(b__csv="k\n5\n6\n", a__CSV="k\n7\n", c__jsonl='{"k": 8}\n')
    assert rows(table) == [("b.csv", 0, 0), ("b.csv", 1, 1), ("a.CSV", 0, 0), ("c.jsonl", 0, 0)]
    assert [len(data) for data in SEEN] == [2, 1, 1]
    assert account(table)["inputs"] == 3


def test_run__does_not_repeat_the_file_name_in_memory(start: Start, save: Save) -> None:
    table = start(save(counts, {"k": "long"}))(a__csv="k\n" + "1\n" * 1000, b__csv="k\n1\n")
    assert pa.types.is_dictionary(table["file"].type)
    assert table["file"].chunk(0).dictionary.to_pylist() == ["a.csv", "b.csv"]


def test_run__names_a_file_that_is_the_input_root(
    start: Start, save: Save, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start(save(counts, {"k": "long"}))
    path = write_file(tmp_path / "in", "only__csv", "k\n1\n")
    for root in (path, ""):
        monkeypatch.setenv("SPARKSCORE_INPUT_ROOT", root)
        mlflow_script.init()
        assert mlflow_script.run([path])["file"].to_pylist() == ["only.csv"]


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (counts, {"prediction": [0, 1]}),
        (lambda d: list(counts(d)), {"prediction": [0, 1]}),
        (lambda d: pd.Series(counts(d), name="s", index=[7, 8]), {"prediction": [0, 1]}),
        (lambda d: counts(d).reshape(-1, 1), {"prediction": [0, 1]}),
        (lambda d: pd.DataFrame(counts(d)), {"prediction": [0, 1]}),
        (lambda d: pd.DataFrame({None: counts(d)}), {"prediction": [0, 1]}),
        (lambda d: np.array([[1, 2], [3, 4]]), {"prediction_0": [1, 3], "prediction_1": [2, 4]}),
        (
            lambda d: pd.DataFrame([[1, 2], [3, 4]]),
            {"prediction_0": [1, 3], "prediction_1": [2, 4]},
        ),
        (two_columns, {"label": ["a", "a"], "score": [0.5, 0.5]}),
        (lambda d: {"m": counts(d), "n": ["x", "y"]}, {"m": [0, 1], "n": ["x", "y"]}),
        (lambda d: [{"m": 1}, {"m": 2, "n": 3}], {"m": [1, 2], "n": [None, 3]}),
        (lambda d: np.zeros((2, 1, 2)), {"prediction": [[[0.0, 0.0]], [[0.0, 0.0]]]}),
        (lambda d: [[1, 2], [3]], {"prediction": [[1, 2], [3]]}),
        (lambda d: ["x", 1], {"prediction": ["x", "1"]}),
        (lambda d: [BIG, None], {"prediction": [BIG, None]}),
        (lambda d: pd.array([BIG, None], dtype="Int64"), {"prediction": [BIG, None]}),
        (lambda d: pd.Series([BIG, None], dtype="Int64"), {"prediction": [BIG, None]}),
        (lambda d: np.array([1.5, np.nan]), {"prediction": [1.5, None]}),
        (
            lambda d: pd.DataFrame({"row": [1, 2], "file": [3, 4]}),
            {"row_1": [1, 2], "file_1": [3, 4]},
        ),
        (
            lambda d: pd.DataFrame([[1, 2, 3]] * 2, columns=["p", "p", "p_1"]),
            {"p": [1, 1], "p_1": [2, 2], "p_1_1": [3, 3]},
        ),
    ],
)
def test_outputs__become_columns(
    start: Start, save: Save, answer: Callable[[Any], Any], expected: dict[str, Any]
) -> None:
    table = start(save(answer, {"k": "long"}))(a__csv="k\n1\n2\n")
    assert table.drop_columns(["file", "row"]).to_pydict() == expected
    assert table.column_names[:2] == ["file", "row"]


def test_outputs__take_the_names_of_the_signature(start: Start, save: Save) -> None:
    one = Schema([ColSpec("long", "price")])
    two = Schema([ColSpec("double", "no"), ColSpec("double", "yes")])
    table = start(save(counts, {"k": "long"}, outputs=one))(a__csv="k\n1\n")
    assert table.column_names == ["file", "row", "price"]
    model = save(lambda d: np.array([[0.25, 0.75]]), {"k": "long"}, outputs=two)
    table = start(model)(a__csv="k\n1\n")
    assert rows(table) == [("a.csv", 0, 0.25, 0.75)]
    assert table.column_names[2:] == ["no", "yes"]


def test_outputs__do_not_share_memory_that_the_model_uses_again(start: Start, save: Save) -> None:
    buffer = np.zeros(1)

    def answer(data: Any) -> Any:
        buffer[:] = data["k"]
        return buffer

    table = start(save(answer, {"k": "double"}))(a__csv="k\n1\n", b__csv="k\n2\n")
    assert table["prediction"].to_pylist() == [1.0, 2.0]


@pytest.mark.parametrize("answer", [lambda d: [1], lambda d: 5, lambda d: {"m": [1, 2], "n": [1]}])
def test_outputs__of_another_length_are_refused(
    start: Start, save: Save, answer: Callable[[Any], Any]
) -> None:
    with pytest.raises(FailedPredictionError, match=r"^a\.csv: .* returned 1 of .* for 2 rows$"):
        start(save(answer, {"k": "long"}))(a__csv="k\n1\n2\n")


def test_outputs__that_are_no_results(start: Start, save: Save) -> None:
    with pytest.raises(FailedPredictionError, match=r"^a\.csv: .*: a generator is no result$"):
        start(save(lambda d: (x for x in d["k"]), {"k": "long"}))(a__csv="k\n1\n")


def test_outputs__widen_or_become_text_in_one_mini_batch(start: Start, save: Save) -> None:
    def answer(data: Any) -> Any:
        return {1: [1], 2: [1.5], 3: ["x"]}[int(data["k"].iloc[0])]

    score = start(save(answer, {"k": "long"}))
    assert score(a__csv="k\n1\n", b__csv="k\n2\n")["prediction"].to_pylist() == [1.0, 1.5]
    assert score(a__csv="k\n1\n", b__csv="k\n3\n")["prediction"].to_pylist() == ["1", "x"]


def test_predict__error_names_the_file(start: Start, save: Save) -> None:
    with pytest.raises(FailedPredictionError, match=r"^a\.csv: predict failed: ZeroDivisionError"):
        start(save(lambda d: 1 // 0, {"k": "long"}))(a__csv="k\n1\n")


@pytest.mark.parametrize("content", ["", "\n", "k\n"])
def test_empty_file__succeeds_without_rows(start: Start, save: Save, content: str) -> None:
    score = start(save(counts, {"k": "long"}), passthrough=["k"])
    table = score(a__csv=content)
    assert (table.num_rows, account(table)) == (0, {"inputs": 1, "bad_rows": []})
    assert SEEN == []
    assert rows(score(a__csv=content, b__csv="k\n3\n")) == [("b.csv", 0, 3, 0)]


def test_jsonl__of_empty_objects_has_no_columns(start: Start, save: Save) -> None:
    with pytest.raises(UnusableInputError, match=r"^a\.jsonl: column 'k' is missing"):
        start(save(counts, {"k": "long"}))(a__jsonl="{}\n{}\n")


def test_empty_file__of_other_formats(start: Start, save: Save) -> None:
    empty = pa.table({"k": pa.array([], pa.int64())})
    table = start(save(counts, {"k": "long"}))(a__jsonl="", b__parquet=empty)
    assert (table.num_rows, account(table)["inputs"]) == (0, 2)


def test_run__of_nothing(start: Start, save: Save) -> None:
    assert start(save(counts, {"k": "long"}))().num_rows == 0


# Types


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


# Bad rows


def test_bad_rows__fail_names_the_first_and_the_count(start: Start, save: Save) -> None:
    text = "b,a\n1,1\n1,x\ny,z\n"
    with pytest.raises(UnusableInputError) as caught:
        start(save(counts, {"a": "long", "b": "long"}))(f__csv=text)
    expected = "f.csv, row 1, column 'a': 'x' is not a long (bad rows in this file: 2)"
    assert str(caught.value) == expected


def test_bad_rows__skip_keeps_positions_and_lists_them(start: Start, save: Save) -> None:
    score = start(save(counts, {"a": "long"}), on_bad_row="skip", passthrough=["id", "a"])
    table = score(f__csv="id,a\np,1\nq,x\nr\ns,\nt,5\n", g__csv="id,a\nu,?\n")
    assert rows(table) == [("f.csv", 0, "p", 1, 0), ("f.csv", 4, "t", 5, 1)]
    assert account(table) == {
        "inputs": 2,
        "bad_rows": [
            {"file": "f.csv", "row": 1, "message": "column 'a': 'x' is not a long"},
            {"file": "f.csv", "row": 2, "message": "1 cells, but the header has 2"},
            {"file": "f.csv", "row": 3, "message": "column 'a': no value, it must be a long"},
            {"file": "g.csv", "row": 0, "message": "column 'a': '?' is not a long"},
        ],
    }


def test_bad_rows__in_large_files(start: Start, save: Save) -> None:
    cells = [str(number) for number in range(100_000)]
    for row in (0, 49_999, 50_000, 99_999):
        cells[row] = "bad"
    score = start(save(counts, {"a": "long"}), on_bad_row="skip", passthrough=["a"])
    table = score(f__csv="a\n" + "\n".join(cells) + "\n")
    assert [bad["row"] for bad in account(table)["bad_rows"]] == [0, 49_999, 50_000, 99_999]
    assert table["a"].to_pylist() == table["row"].to_pylist()
    assert table.num_rows == 99_996


@pytest.mark.parametrize(
    ("kind", "column"),
    [
        ("long", pa.array(["x"] * 50_000)),
        ("double", pa.array(["1,5"] * 50_000)),
        ("datetime", pa.array(["1/2/2013"] * 50_000)),
        ("float", pa.array([0.1] * 50_000)),
        ("long", pa.array([0.5] * 50_000)),
    ],
)
def test_bad_rows__are_found_quickly_where_all_are_bad(
    start: Start, save: Save, kind: str, column: Any
) -> None:
    score = start(save(counts, {"a": kind}), on_bad_row="skip")
    before = time.process_time()
    table = score(f__parquet=pa.table({"a": column}))
    assert time.process_time() - before < 2
    assert (table.num_rows, len(account(table)["bad_rows"])) == (0, 50_000)


def test_bad_rows__of_ragged_lines_in_fail_mode(start: Start, save: Save) -> None:
    with pytest.raises(UnusableInputError, match=r"^f\.csv, row 1, 3 cells, but the header has 2"):
        start(save(counts, {"a": "long"}))(f__csv="a,b\n1,2\n\n1,2,3\n")


def test_bad_rows__show_the_beginning_of_a_long_value(start: Start, save: Save) -> None:
    with pytest.raises(UnusableInputError, match=r"column 'a': 'x{76}\.\.\. is not a long"):
        start(save(counts, {"a": "long"}))(f__csv="a\n" + "x" * 1000 + "\n")


def test_settings__are_checked(start: Start, save: Save) -> None:
    with pytest.raises(ValueError, match="SPARKSCORE_ON_BAD_ROW is 'drop'"):
        start(save(counts, {"a": "long"}), on_bad_row="drop")
    with pytest.raises(ValueError, match="SPARKSCORE_PASSTHROUGH_COLUMNS must be"):
        start(save(counts, {"a": "long"}), passthrough="id")


# Passthrough


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


# Without a signature


def test_no_signature__passes_columns_as_read_and_warns_once(
    start: Start, save: Save, caplog: pytest.LogCaptureFixture
) -> None:
    score = start(save(counts))
    score(a__csv="a,b,c\n1,x,\n2,y,3\n", b__csv="a\n1\n")
    assert SEEN[0].to_dict("list")["a"] == [1, 2]
    assert [str(kind) for kind in SEEN[0].dtypes] == ["int64", "object", "float64"]
    ours = [record for record in caplog.records if record.name.startswith("sparkscore.")]
    warned = [record.getMessage() for record in ours if record.levelno == logging.WARNING]
    assert warned == ["the model has no signature: columns are passed to it as read, unchecked"]


def test_no_signature__keeps_big_integers_exact(start: Start, save: Save) -> None:
    start(save(texts_of_k))(a__csv=f'k\n{BIG}\n""\n', b__csv="k,z\n5,1\n,1\n")
    assert [str(frame["k"].dtype) for frame in SEEN] == ["Int64", "float64"]
    assert SEEN[0]["k"].iloc[0] == BIG


@pytest.mark.parametrize(
    ("cells", "values"),
    [
        (["2013-01-01 00:00:00.5", "2999-12-31 00:00:00.5"], None),
        (["2013-01-01 00:00:00.5", ""], [pd.Timestamp("2013-01-01 00:00:00.5"), pd.NaT]),
    ],
)
def test_no_signature__times_of_a_csv_are_what_stands_there(
    start: Start, save: Save, cells: list[str], values: list[Any] | None
) -> None:
    start(save(counts))(a__csv="k,o\n" + "".join(f"{cell},1\n" for cell in cells))
    assert SEEN[0]["k"].to_list() == (cells if values is None else values)


def test_no_signature__far_times_reach_the_model_or_the_file_is_named(
    start: Start, save: Save
) -> None:
    far = pa.array([datetime(9999, 1, 1, tzinfo=timezone.utc)], pa.timestamp("us", "UTC"))
    score = start(save(counts))
    if hasattr(pd.Timestamp, "as_unit"):
        score(a__parquet=pa.table({"k": far}))
        assert SEEN[0]["k"].iloc[0].year == 9999
    else:  # pandas 1 counts nanoseconds: its times end in 2262
        with pytest.raises(UnusableInputError, match=r"^a\.parquet: .*out of bounds"):
            score(a__parquet=pa.table({"k": far}))


@pytest.mark.parametrize(
    "columns", [None, {"x": "double", "y": "double"}, {"x": "double", "y": "double", "o": "long?"}]
)
@pytest.mark.parametrize("single", [True, False])
def test_model__may_change_its_input(
    start: Start, save: Save, columns: dict[str, str] | None, single: bool
) -> None:
    second = pa.array([1.0] if single else [1.0, 2.0])
    table = pa.table({"x": second, "y": second})
    result = start(save(change_input, columns))(a__parquet=table)
    assert result["prediction"].to_pylist() == ([2.0] if single else [2.0, 3.0])


# Tensors and images


def grey(height: int, width: int) -> Image.Image:
    return Image.fromarray(np.arange(height * width, dtype=np.uint8).reshape(height, width))


def tensor(kind: str, *shape: int, name: str | None = None) -> Any:
    return TensorSpec(np.dtype(kind), shape, name)


@pytest.mark.parametrize(
    ("kind", "shape", "given"),
    [
        ("uint8", (-1, 2, 3), (1, 2, 3)),
        ("float32", (-1, 6), (1, 6)),
        ("float64", (-1, 2, 3, 1), (1, 2, 3, 1)),
        ("uint8", (-1, -1, -1), (1, 2, 3)),
        ("uint8", (-1, -1, -1, 1), (1, 2, 3, 1)),
        ("uint8", (1, 2, 3), (1, 2, 3)),
    ],
)
def test_image__gets_the_tensors_shape_and_type(
    start: Start, save: Save, kind: str, shape: tuple[int, ...], given: tuple[int, ...]
) -> None:
    table = start(save(counts, tensors=[tensor(kind, *shape)]))(
        a__PNG=grey(2, 3), b__bmp=grey(2, 3)
    )
    assert rows(table) == [("a.PNG", 0, 0), ("b.bmp", 0, 0)]
    assert [(array.shape, str(array.dtype)) for array in SEEN] == [(given, kind)] * 2
    assert SEEN[0].ravel().tolist() == [0, 1, 2, 3, 4, 5]


def test_image__without_signature_is_a_batch_of_pixels(start: Start, save: Save) -> None:
    score = start(save(counts))
    colour = grey(2, 3).convert("RGB")
    images = {f"a__{suffix}": colour for suffix in ("png", "jpg", "jpeg", "tiff", "gif")}
    table = score(grey__png=grey(2, 3), bits__png=grey(2, 3).convert("1"), **images)
    shapes = [array.shape for array in SEEN]
    assert shapes == [(1, 2, 3, 1)] * 2 + [(1, 2, 3, 3)] * 5
    assert {str(array.dtype) for array in SEEN} == {"uint8"}
    assert table["row"].to_pylist() == [0] * 7


def test_image__of_a_named_tensor(start: Start, save: Save) -> None:
    model = save(
        lambda d: [[float(d["pixels"].sum())]], tensors=[tensor("uint8", -1, 2, 3, name="pixels")]
    )
    assert list(start(model)(a__png=grey(2, 3))["prediction"].to_pylist()) == [[15.0]]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (grey(4, 4), r"a\.png: cannot reshape .* \(the model takes \(-1, 2, 3\)\)"),
        (
            Image.fromarray(np.full((2, 3), 300, np.uint16)),
            r"a\.png: values of type .* do not fit uint8",
        ),
        (b"no image", r"a\.png: cannot be read: cannot identify"),
        (b"", r"a\.png: cannot be read: cannot identify"),
    ],
)
def test_image__that_cannot_be_scored(start: Start, save: Save, content: Any, message: str) -> None:
    score = start(save(counts, tensors=[tensor("uint8", -1, 2, 3)]))
    with pytest.raises(UnusableInputError, match=message):
        score(a__png=content)


def test_image__for_a_model_of_columns(start: Start, save: Save) -> None:
    with pytest.raises(UnusableInputError, match=r"a\.png: an image, but the model takes 'k'"):
        start(save(counts, {"k": "long"}))(a__png=grey(2, 3))


def test_image__has_no_passthrough(start: Start, save: Save) -> None:
    with pytest.raises(UnusableInputError, match=r"a\.png: an image has no columns"):
        start(save(counts), passthrough=["id"])(a__png=grey(2, 3))
    assert start(save(counts), passthrough="all")(a__png=grey(2, 3)).num_rows == 1


def test_image__needs_pillow(start: Start, save: Save, monkeypatch: pytest.MonkeyPatch) -> None:
    score = start(save(counts))
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(UnusableModelError, match="images need Pillow: pip install pillow"):
        score(a__csv="k\n1\n", b__png=b"pixels")


def test_images_and_tables__in_one_mini_batch(start: Start, save: Save) -> None:
    table = start(save(counts), passthrough="all")(a__png=grey(2, 3), b__csv="id\nx\n")
    assert rows(table) == [("a.png", 0, 0, None), ("b.csv", 0, 0, "x")]


def test_tensor__of_csv_columns(start: Start, save: Save) -> None:
    score = start(save(counts, tensors=[tensor("float32", -1, 2, 2)]), passthrough=["id"])
    table = score(a__csv="id,a,b,c,d\nx,1,2,3,4.5\ny,5,6,,8\n")
    assert SEEN[0].dtype == np.float32
    np.testing.assert_array_equal(SEEN[0], [[[1, 2], [3, 4.5]], [[5, 6], [np.nan, 8]]])
    assert rows(table) == [("a.csv", 0, "x", 0), ("a.csv", 1, "y", 1)]
    with pytest.raises(UnusableInputError, match=r"row 0, column 'b': 'q' is not a float32"):
        score(a__csv="id,a,b,c,d\nx,1,q,3,4\n")
    with pytest.raises(UnusableInputError, match=r"takes float32 of shape \(-1, 2, 2\)"):
        score(a__csv="id,a\nx,1\n")


def test_tensor__of_named_columns_and_lists(start: Start, save: Save) -> None:
    specs = [tensor("int64", -1, name="k"), tensor("float64", -1, 2, name="v")]
    score = start(save(lambda d: d["k"] + d["v"].sum(axis=1), tensors=specs))
    lists = pa.table({"v": [[1.0, 2.0], [3.0, 4.0]], "k": [10, 20], "z": ["a", "b"]})
    table = score(a__parquet=lists)
    assert table["prediction"].to_pylist() == [13.0, 27.0]
    with pytest.raises(UnusableInputError, match=r"^a\.jsonl: .*the model takes float64 of shape"):
        score(a__jsonl='{"k": 1, "v": [1]}\n{"k": 1, "v": [1, 2]}\n')


# Files and models that cannot be used


@pytest.mark.parametrize("name", ["a__avro", "a__tsv", "a", "a__csv__gz"])
def test_file__of_another_type(start: Start, save: Save, name: str) -> None:
    file = name.replace("__", r"\.")
    with pytest.raises(UnusableInputError, match=rf"^{file}: not a supported .* \.csv, .*\.gif$"):
        start(save(counts, {"k": "long"}))(**{name: "k\n1\n"})


@pytest.mark.parametrize(
    ("name", "content"),
    [("a__parquet", b"PAR1 no"), ("a__csv", b"k,s\n1,\xff\n"), ("a__csv", b"\xff\xfe\n1\n"),
     ("a__jsonl", b'{"k": 1, "s": "\xff"}\n')],
)  # fmt: skip
def test_file__that_cannot_be_read(start: Start, save: Save, name: str, content: bytes) -> None:
    score = start(save(counts, {"k": "long", "s": "string"}))
    with pytest.raises(UnusableInputError, match=rf"^{name.replace('__', '.')}: cannot be read: "):
        score(**{name: content})


def test_file__that_is_gone(start: Start, save: Save, tmp_path: Path) -> None:
    start(save(counts, {"k": "long"}))
    with pytest.raises(UnusableInputError, match=r"^gone\.csv: cannot be read: .*No such file"):
        mlflow_script.run([str(tmp_path / "in" / "gone.csv")])


def test_csv__with_a_byte_order_mark_and_windows_line_ends(start: Start, save: Save) -> None:
    start(save(counts, {"k": "long", "s": "string"}))(a__csv=b"\xef\xbb\xbfk,s\r\n1,x\r\n")
    assert SEEN[0].to_dict("list") == {"k": [1], "s": ["x"]}


def test_model__is_found_below_its_folder(
    save: Save, models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = save(counts, {"k": "long"})
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "model").symlink_to(models / name)
    for variable in ("SPARKSCORE_MODEL_NAME", "SPARKSCORE_INPUT_ROOT", "SPARKSCORE_ON_BAD_ROW",
                     "SPARKSCORE_PASSTHROUGH_COLUMNS"):  # fmt: skip
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("AZUREML_MODEL_DIR", str(tmp_path))
    mlflow_script.init()
    assert mlflow_script.run([write_file(tmp_path, "a__csv", "k\n1\n")]).num_rows == 1


def test_model__is_missing_or_not_the_only_one(tmp_path: Path) -> None:
    with pytest.raises(UnusableModelError, match=r"no file MLmodel, in .*nothing"):
        mlflow_script.find_model(str(tmp_path / "nothing"))
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "MLmodel").touch()
    with pytest.raises(UnusableModelError, match=r"several MLflow models: .*/a, .*/b"):
        mlflow_script.find_model(str(tmp_path))
    (tmp_path / "MLmodel").touch()
    assert mlflow_script.find_model(str(tmp_path)) == str(tmp_path)


def test_model__without_python_function_is_refused(start: Start, save: Save, models: Path) -> None:
    import yaml

    path = models / save(counts, {"other_flavours": "long"}) / "MLmodel"
    content = yaml.safe_load(path.read_text())
    content["flavors"] = {"spark": {}, "mleap": {}}
    path.write_text(yaml.safe_dump(content))
    with pytest.raises(UnusableModelError, match=r"no flavour python_function.*: mleap, spark$"):
        start(path.parent.name)


def test_model__with_other_requirements_gives_one_line(
    start: Start, save: Save, models: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    name = save(counts, {"other_requirements": "long"})
    (models / name / "requirements.txt").write_text("numpy==1.0\npandas==0.1\n")
    capfd.readouterr()
    start(name)
    lines = capfd.readouterr().err.splitlines()
    assert len(lines) == 1
    assert "numpy (current: " in lines[0]
    assert "pandas (current: " in lines[0]


def test_model__keeps_the_defaults_of_its_parameters(start: Start, models: Path) -> None:
    signature = ModelSignature(
        inputs=Schema([ColSpec("long", "k"), ColSpec("long", "o", required=False)]),
        params=ParamSchema([ParamSpec("add", "long", 40)]),
    )
    path = models / "adds"
    save_quietly(mlflow.pyfunc, path, python_model=Adds(), signature=signature, pip_requirements=[])
    assert start("adds")(a__csv="k,o\n2,\n")["prediction"].to_pylist() == [42]


def test_model__probabilities_of_scikit_learn(start: Start, models: Path) -> None:
    from sklearn.linear_model import LogisticRegression

    data = pd.DataFrame({"x": [0.0, 1.0, 2.0, 3.0]})
    model = LogisticRegression().fit(data, [0, 0, 1, 1])
    save_quietly(
        mlflow.sklearn,
        models / "probabilities",
        sk_model=model,
        signature=infer_signature(data, model.predict_proba(data)),
        pip_requirements=["scikit-learn"],
        pyfunc_predict_fn="predict_proba",
    )
    table = start("probabilities")(a__parquet=pa.table(data))
    assert table.column_names == ["file", "row", "prediction_0", "prediction_1"]
    expected = model.predict_proba(data)[:, 1].tolist()
    assert table["prediction_1"].to_pylist() == expected
