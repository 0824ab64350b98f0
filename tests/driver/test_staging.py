"""Staged rows are read back whole, in order and in constant memory."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sparkscore.driver.staging import (
    STAGED_DDL,
    STAGED_SCHEMA,
    check_staging,
    iter_payload_tables,
    payload_schemas,
    read_outcomes,
)
from sparkscore.errors import CanceledError, MessageError, PublishError

MakeWave = Callable[..., list[Path]]


def read_all(files: list[Path]) -> list[tuple[int, list[Any]]]:
    return [
        (mini_batch_id, table.column("prediction").to_pylist())
        for mini_batch_id, table in iter_payload_tables(files)
    ]


def rewrite(path: Path, change: Callable[[list[dict[str, Any]]], list[dict[str, Any]]]) -> None:
    rows = change(pq.read_table(path).to_pylist())
    pq.write_table(pa.Table.from_pylist(rows, STAGED_SCHEMA), path)


def test_staged_schema__ddl_has_the_same_columns() -> None:
    names = [column.split()[0] for column in STAGED_DDL.split(", ")]
    assert names == STAGED_SCHEMA.names


def test_read_outcomes__by_mini_batch(make_wave: MakeWave) -> None:
    files = make_wave({3: [1, 2]}, {0: ["a" * 50_000] * 4, 1: []}, part_bytes=60_000)
    found = read_outcomes(files)
    assert [(one.mini_batch_id, one.rows) for one in found] == [(0, 4), (1, 0), (3, 2)]


def test_read_outcomes__damaged_outcome_names_the_file(make_wave: MakeWave) -> None:
    (file,) = make_wave({0: [1]})
    rewrite(file, lambda rows: [{**rows[0], "outcome": "{"}])
    with pytest.raises(MessageError) as caught:
        read_outcomes([file])
    assert str(file) in caught.value.message


def test_iter_payload_tables__file_by_file(make_wave: MakeWave) -> None:
    last, first = make_wave({4: [7], 5: []}, {0: [1, 2], 1: [3]})
    assert read_all([first, last]) == [(0, [1, 2]), (1, [3]), (4, [7])]


def test_iter_payload_tables__parts_of_one_mini_batch(make_wave: MakeWave) -> None:
    texts = [f"{number}" * 1000 for number in range(10)]
    files = make_wave({0: texts, 1: ["end"]}, part_bytes=3000, row_group_rows=2)
    found = read_all(files)
    assert len(found) > 3
    assert [text for number, part in found for text in part if number == 0] == texts
    assert found[-1] == (1, ["end"])


def test_iter_payload_tables__empty_file(make_wave: MakeWave) -> None:
    assert read_all(make_wave({}, {0: [1]})) == [(0, [1])]


@pytest.mark.parametrize(
    "files",
    [
        [{0: [1], 1: [2]}, {1: [2], 2: [3]}],
        [{0: [1], 5: [2]}, {3: [2]}],
        [{0: [1]}, {0: [1]}],
    ],
    ids=["overlap", "interleaved", "twice"],
)
def test_iter_payload_tables__ids_out_of_order(
    make_wave: MakeWave, files: list[dict[int, list[int]]]
) -> None:
    paths = make_wave(*files)
    for read in (read_all, check_staging):
        with pytest.raises(PublishError) as caught:
            read(paths)
        assert caught.value.condition == "STAGING_DAMAGED"
        assert caught.value.attributes["file"] == str(paths[1])


@pytest.mark.parametrize("lost", [0, 1], ids=["first part", "middle part"])
def test_iter_payload_tables__lost_part(make_wave: MakeWave, lost: int) -> None:
    (file,) = make_wave({0: ["a" * 1000] * 4}, part_bytes=1100)
    rewrite(file, lambda rows: rows[:lost] + rows[lost + 1 :])
    for read in (read_all, check_staging):
        with pytest.raises(PublishError) as caught:
            read([file])
        assert caught.value.condition == "STAGING_DAMAGED"


def test_check_staging__lost_outcome(make_wave: MakeWave) -> None:
    (file,) = make_wave({0: ["a" * 1000] * 4}, part_bytes=1100)
    check_staging([file])
    rewrite(file, lambda rows: rows[:-1])
    with pytest.raises(PublishError) as caught:
        check_staging([file])
    assert caught.value.condition == "STAGING_DAMAGED"


def test_iter_payload_tables__truncated_file(make_wave: MakeWave) -> None:
    (file,) = make_wave({0: list(range(1000))})
    os.truncate(file, file.stat().st_size // 2)
    with pytest.raises(PublishError) as caught:
        read_all([file])
    assert caught.value.condition == "STAGING_DAMAGED"
    assert caught.value.attributes["file"] == str(file)


def test_payload_schemas__distinct_and_in_order(make_wave: MakeWave) -> None:
    files = make_wave({0: [1], 1: [2]}, {2: ["a"]})
    found = [schema.field("prediction").type for schema in payload_schemas(files)]
    assert found == [pa.int64(), pa.string()]


def test_payload_schemas__end_where_the_job_is_to_stop(make_wave: MakeWave) -> None:
    files = make_wave({0: [1]}, {1: [2]}, {2: [3]})
    with pytest.raises(CanceledError):
        payload_schemas(files, check=stop_at(2))
    assert len(payload_schemas(files, check=stop_at(4))) == 1


def stop_at(number: int) -> Callable[[], None]:
    """Asked so often, it says that the job is to stop."""
    asked = itertools.count(1)

    def check() -> None:
        if next(asked) >= number:
            raise CanceledError("the job was canceled")

    return check


MEASURE = """
import json, resource, sys
from pathlib import Path
from sparkscore.driver.staging import iter_payload_tables
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
small, large = [Path(path) for path in sys.argv[1:]]
rows = sum(table.num_rows for _, table in iter_payload_tables([small]))
before = peak()
rows += sum(table.num_rows for _, table in iter_payload_tables([large]))
print(json.dumps([rows, peak() - before]))
"""


@pytest.mark.slow
def test_iter_payload_tables__memory_does_not_grow_with_the_file(make_wave: MakeWave) -> None:
    noise = np.random.default_rng(0).random(1024 * 1024)
    part_bytes = 8 * 1024 * 1024
    parts = dict.fromkeys(range(40), noise)
    small, large = make_wave({0: noise}, parts, part_bytes=part_bytes, row_group_rows=4)
    assert large.stat().st_size > 250 * 2**20
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, str(small), str(large)],
        capture_output=True,
        check=True,
        text=True,
    )
    rows, growth_mb = json.loads(done.stdout)
    assert rows == 41 * len(noise)
    assert growth_mb < 100
