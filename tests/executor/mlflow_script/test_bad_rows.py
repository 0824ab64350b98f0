"""Rows that do not fit the model: the file fails, or goes on without them."""

from __future__ import annotations

import time
from typing import Any

import pyarrow as pa
import pytest

from sparkscore.executor.mlflow_files import UnusableInputError
from tests.executor.mlflow_script.models import Save, Start, account, counts, rows


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
