"""What the MLflow script returns: rows of files, and columns of what models give."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlflow.sklearn
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from mlflow.models import infer_signature
from mlflow.types import ColSpec, Schema

from sparkscore.executor import mlflow_script
from sparkscore.executor.mlflow_files import UnusableInputError
from sparkscore.executor.mlflow_script import FailedPredictionError
from tests.executor.mlflow_script.models import (
    BIG,
    SEEN,
    Save,
    Start,
    account,
    counts,
    rows,
    save_quietly,
    write_file,
)


def two_columns(data: Any) -> Any:
    return pd.DataFrame({"label": ["a"] * len(data), "score": [0.5] * len(data)})


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
