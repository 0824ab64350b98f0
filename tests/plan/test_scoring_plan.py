"""The plan of a job, and its files. Any process."""

from __future__ import annotations

import dataclasses
import json
import os

import fsspec
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkscore.errors import (
    AlreadyExistsError,
    EmptyInputError,
    InvalidFieldError,
    MessageError,
    NotFoundError,
    StorageError,
)
from sparkscore.messages.mini_batch import MiniBatch
from sparkscore.plan import ScoringPlan, plan_scoring, read_plan, write_plan
from sparkscore.plan.scoring_plan import compute_digest


def make_files(sizes: list[int], *, chunk: int | None = None) -> pa.Table:
    files = pa.table(
        {
            "path": [f"f{number:05}\n\u00e9" for number in range(len(sizes))],
            "size": pa.array(sizes, pa.int64()),
            "etag": [f"{size}-{number}" for number, size in enumerate(sizes)],
        }
    )
    if chunk is None:
        return files
    return pa.concat_tables(files.slice(at, chunk) for at in range(0, len(sizes), chunk))


def make_plan(sizes: list[int], *, mini_batch_size: int = 3, slots: int = 2) -> ScoringPlan:
    return plan_scoring(
        make_files(sizes),
        mini_batch_size=mini_batch_size,
        root="/in",
        transport="direct",
        slots=slots,
        skipped_hidden_count=7,
    )


@given(st.integers(1, 300), st.integers(1, 40), st.integers(1, 50))
def test_plan__every_file_is_in_one_mini_batch(file_count, mini_batch_size, chunk):
    files = make_files([1] * file_count, chunk=chunk)
    plan = plan_scoring(
        files, mini_batch_size=mini_batch_size, root="/in", transport="direct", slots=1
    )
    mini_batches = list(plan.iter_mini_batches())
    assert [batch.mini_batch_id for batch in mini_batches] == list(range(plan.mini_batch_count))
    assert [path for batch in mini_batches for path in batch.paths] == files["path"].to_pylist()
    assert [etag for batch in mini_batches for etag in batch.etags] == files["etag"].to_pylist()
    assert {len(batch.paths) for batch in mini_batches[:-1]} <= {mini_batch_size}
    assert 1 <= len(mini_batches[-1].paths) <= mini_batch_size


def test_plan__mini_batches_by_id():
    plan = make_plan([10, 11, 12, 13])
    assert plan.get_mini_batch(1) == MiniBatch(1, ("f00003\n\u00e9",), ("13-3",))
    assert [batch.mini_batch_id for batch in plan.iter_mini_batches(range(1, 2))] == [1]
    assert plan.get_files(range(1))["size"].to_pylist() == [10, 11, 12]
    assert list(plan.iter_mini_batches(range(1, 1))) == []


@pytest.mark.parametrize("mini_batch_id", [-1, 2])
def test_plan__id_that_is_not_there(mini_batch_id):
    with pytest.raises(IndexError):
        make_plan([1, 2, 3, 4]).get_mini_batch(mini_batch_id)


def test_plan__blocks_of_iteration_join(monkeypatch):
    monkeypatch.setattr("sparkscore.plan.scoring_plan._BLOCK_FILE_COUNT", 5)
    plan = make_plan([1] * 40)
    ids = range(2, 11)
    expected = [plan.get_mini_batch(mini_batch_id) for mini_batch_id in ids]
    assert list(plan.iter_mini_batches(ids)) == expected


@pytest.mark.parametrize(("slots", "expected"), [(1, 8), (8, 8), (12, 12), (100, 20)])
def test_plan__first_wave_count(slots, expected):
    assert make_plan([1] * 60, slots=slots).first_wave_count == expected


def test_plan__weights_follow_bytes():
    plan = make_plan([0, 0, 0, 1, 1, 1, 9, 0, 0])
    assert plan.cumulative_weights.tolist() == pytest.approx([0.0, 0.5, 1.375, 3.0])
    assert plan.input_bytes == 12


def test_plan__weights_of_empty_files():
    assert make_plan([0] * 9).cumulative_weights.tolist() == [0.0, 1.0, 2.0, 3.0]


def test_plan__no_files():
    with pytest.raises(EmptyInputError):
        make_plan([])


def test_plan__mini_batch_size_below_one():
    with pytest.raises(InvalidFieldError) as caught:
        make_plan([1], mini_batch_size=0)
    assert caught.value.attributes["field"] == "mini_batch_size"


def test_digest__does_not_see_chunks():
    sizes = list(range(20))
    digests = {compute_digest(make_files(sizes, chunk=n), mini_batch_size=3) for n in range(1, 20)}
    assert digests == {compute_digest(make_files(sizes), mini_batch_size=3)}


def test_digest__sees_every_change():
    files = make_files([1, 2, 3])
    changed = [
        files.slice(1),
        files.set_column(0, "path", [["f00000\n\u00e9f", "00001\n\u00e9", "f00002\n\u00e9"]]),
        files.set_column(1, "size", [[1, 2, 4]]),
        files.set_column(2, "etag", [["1-0", "2-1", "3-9"]]),
    ]
    digests = {compute_digest(table, mini_batch_size=3) for table in [files, *changed]}
    assert len(digests | {compute_digest(files, mini_batch_size=2)}) == 6


def test_digest__stays_between_versions():
    digest = compute_digest(make_files([1, 2, 3]), mini_batch_size=2)
    assert digest == ("7a53a9bfe1450cb14a9c3cca842df622861b16948617372ca33b6829a95037bc")


def test_plan_files__read_what_was_written(tmp_path):
    plan = make_plan(list(range(10)))
    write_plan(plan, str(tmp_path))
    assert read_plan(str(tmp_path)) == plan
    assert sorted(os.listdir(tmp_path / "plan")) == ["files.parquet", "plan.json"]
    header = json.loads((tmp_path / "plan" / "plan.json").read_text())
    assert (header["input_count"], header["mini_batch_count"]) == (10, 4)


def test_plan_files__in_a_store():
    plan = make_plan(list(range(10)))
    write_plan(plan, "memory://jobs/one/")
    assert read_plan("memory://jobs/one") == plan
    fsspec.filesystem("memory").rm("/jobs", recursive=True)
    with pytest.raises(NotFoundError):
        read_plan("memory://jobs/one")


def test_write_plan__written_once(tmp_path):
    write_plan(make_plan([1]), str(tmp_path))
    with pytest.raises(AlreadyExistsError) as caught:
        write_plan(make_plan([2]), str(tmp_path))
    assert caught.value.condition == "PLAN_EXISTS"
    assert read_plan(str(tmp_path)) == make_plan([1])


def test_write_plan__after_a_crash_before_the_commit(tmp_path):
    write_plan(make_plan([1]), str(tmp_path))
    (tmp_path / "plan" / "plan.json").unlink()
    with pytest.raises(NotFoundError) as caught:
        read_plan(str(tmp_path))
    assert caught.value.condition == "PLAN_NOT_FOUND"
    write_plan(make_plan([2]), str(tmp_path))
    assert read_plan(str(tmp_path)) == make_plan([2])


def test_write_plan__folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StorageError):
        write_plan(make_plan([1]), str(tmp_path / "file"))


def test_read_plan__files_are_gone(tmp_path):
    write_plan(make_plan([1]), str(tmp_path))
    (tmp_path / "plan" / "files.parquet").unlink()
    with pytest.raises(MessageError) as caught:
        read_plan(str(tmp_path))
    assert caught.value.attributes["where"] == f"{tmp_path}/plan/files.parquet"


def test_read_plan__files_are_cut_short(tmp_path):
    write_plan(make_plan([1, 2, 3, 4]), str(tmp_path))
    path = tmp_path / "plan" / "files.parquet"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(MessageError):
        read_plan(str(tmp_path))


@pytest.mark.parametrize("position", [10, 60, -1])
def test_read_plan__files_are_damaged(tmp_path, position):
    write_plan(make_plan([1, 2, 3, 4]), str(tmp_path))
    path = tmp_path / "plan" / "files.parquet"
    content = bytearray(path.read_bytes())
    content[position] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(MessageError):
        read_plan(str(tmp_path))


def test_read_plan__files_of_another_plan(tmp_path):
    write_plan(make_plan([1]), str(tmp_path / "one"))
    write_plan(make_plan([2]), str(tmp_path / "two"))
    other = tmp_path / "two" / "plan" / "files.parquet"
    other.replace(tmp_path / "one" / "plan" / "files.parquet")
    with pytest.raises(MessageError):
        read_plan(str(tmp_path / "one"))


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b'{"protocol": 99}', b'{"protocol": 1}'])
def test_read_plan__header_is_damaged(tmp_path, content):
    write_plan(make_plan([1]), str(tmp_path))
    (tmp_path / "plan" / "plan.json").write_bytes(content)
    with pytest.raises(MessageError):
        read_plan(str(tmp_path))


def test_plan__is_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        make_plan([1]).mini_batch_size = 2  # type: ignore[misc]
