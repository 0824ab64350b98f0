"""What a model without a signature gets, and models that change what they get."""

from __future__ import annotations

import logging
from datetime import datetime, timezone
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from sparkscore.executor.mlflow_files import UnusableInputError
from tests.executor.mlflow_script.models import BIG, SEEN, Save, Start, counts


def texts_of_k(data: Any) -> Any:
    return data["k"].map(repr).to_numpy()


def change_input(data: Any) -> Any:
    data.loc[:, "x"] = 0.0
    data["y"] += 1.0
    return data["x"] + data["y"]


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
