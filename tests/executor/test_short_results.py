"""Which inputs a short result leaves out."""

from __future__ import annotations

import pyarrow as pa
import pytest

from sparkscore.executor.short_results import find_missing_inputs

PATHS = ["/in/1.png", "/in/11.png", "/in/x/3.png"]


@pytest.mark.parametrize(
    ("values", "missing"),
    [
        (["1.png", "/in/x/3.png"], [1]),
        (["11.png: 7"], [0, 2]),
        (["file=1.png;label=4", "3.png 9"], [1]),
        ([], [0, 1, 2]),
        (["1.png", "something else"], None),
        (["21.png"], None),
        (["1.png.bak-copy"], [1, 2]),
    ],
)
def test_missing_inputs__told_by_names_in_rows(
    values: list[str], missing: list[int] | None
) -> None:
    table = pa.table({"prediction": pa.array(values, pa.string())})
    assert find_missing_inputs(table, PATHS) == missing


def test_missing_inputs__equal_base_names_need_whole_paths() -> None:
    paths = ["/in/a/1.png", "/in/b/1.png"]
    assert find_missing_inputs(pa.table({"p": ["1.png"]}), paths) is None
    assert find_missing_inputs(pa.table({"p": ["/in/b/1.png"]}), paths) == [0]


def test_missing_inputs__numbers_name_nothing() -> None:
    assert find_missing_inputs(pa.table({"p": [1.0]}), PATHS) is None


def test_missing_inputs__huge_results_are_not_searched() -> None:
    assert find_missing_inputs(pa.table({"p": ["1.png"] * 600_000}), PATHS) is None
