"""Which waves count: whatever was killed, damaged or written by a driver that should be dead."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparkscore.driver.staged_waves import COMMIT_NAME, StagedWaves, remove_unnamed
from sparkscore.driver.staging import iter_payload_tables, read_outcomes
from sparkscore.errors import StateError
from sparkscore.executor.results import results_table
from sparkscore.messages.codec import to_json
from sparkscore.messages.outcome import INIT_FAILED
from sparkscore.plan.scoring_plan import plan_scoring
from sparkscore.plan.waves import plan_pending
from tests.driver.conftest import staged_rows, write_staged


def write_wave(folder: Path, *files: Sequence[int]) -> None:
    """What Spark leaves: a file for each task, a row for each mini-batch."""
    for index, ids in enumerate(files):
        rows = [
            row
            for number in ids
            for row in staged_rows(number, results_table([number]).table, part_bytes=1024)
        ]
        write_staged(folder / f"part-{index:05d}-0.parquet", rows)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "_SUCCESS").touch()


def stage(waves: StagedWaves, *files: Sequence[int]) -> Path:
    _, folder = waves.take_folder()
    write_wave(folder, *files)
    waves.commit(folder)
    return folder


def open_waves(folder: Path, token: int) -> StagedWaves:
    waves = StagedWaves(folder, token=token)
    waves.restore()
    return waves


def test_staged_waves__a_later_driver_counts_what_was_committed(tmp_path: Path) -> None:
    first = open_waves(tmp_path, 1)
    stage(first, [0, 1], [2, 3])
    _, uncommitted = first.take_folder()
    write_wave(uncommitted, [4])
    second = open_waves(tmp_path, 2)
    assert second.mini_batch_ids == [0, 1, 2, 3]
    assert not uncommitted.exists()
    assert second.take_folder() == (2, tmp_path / "wave-00002.2")


def test_staged_waves__of_a_third_driver_hold_those_of_both(tmp_path: Path) -> None:
    stage(open_waves(tmp_path, 1), [0, 1])
    stage(open_waves(tmp_path, 2), [2])
    third = open_waves(tmp_path, 3)
    assert third.mini_batch_ids == [0, 1, 2]
    assert open_waves(tmp_path, 9).mini_batch_ids == [0, 1, 2]


def test_staged_waves__a_zombie_never_counts(tmp_path: Path) -> None:
    """It commits after its successor has taken over, and its successor scores the same again."""
    zombie = open_waves(tmp_path, 1)
    stage(zombie, [0, 1])
    _, folder = zombie.take_folder()
    successor = open_waves(tmp_path, 2)
    write_wave(folder, [2, 3])
    zombie.commit(folder)
    assert (folder / COMMIT_NAME).exists()
    stage(successor, [2, 3])
    for token in (3, 4):
        later = open_waves(tmp_path, token)
        assert later.mini_batch_ids == [0, 1, 2, 3]
        assert not any(file.parent == folder for file in later.files)
    assert not folder.exists()


def test_staged_waves__what_was_scored_again_counts_once(tmp_path: Path) -> None:
    """A copy in a store keeps a file that was damaged here, dropped, and scored again."""
    first = open_waves(tmp_path, 1)
    damaged = stage(first, [0, 1, 2], [3])
    file = first.files[0]
    content = file.read_bytes()
    file.unlink()
    first.drop_damaged()
    stage(first, [2], [0, 1])
    file.write_bytes(content)
    second = open_waves(tmp_path, 2)
    assert second.mini_batch_ids == [0, 1, 2, 3]
    assert [path.parent == damaged for path in second.files] == [False, False, True]


def test_staged_waves__nothing_counts_once_the_lease_is_lost(tmp_path: Path) -> None:
    waves = open_waves(tmp_path, 1)
    _, folder = waves.take_folder()
    write_wave(folder, [0])

    def confirm() -> None:
        raise StateError("lost", condition="LEASE_LOST")

    with pytest.raises(StateError):
        waves.commit(folder, confirm=confirm)
    assert waves.files == []
    assert open_waves(tmp_path, 2).mini_batch_ids == []


def flip(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-1])


def replace_by_folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


def grow(file: Path) -> None:
    file.write_bytes(file.read_bytes() + b"\0")


DAMAGE: dict[str, Callable[[Path], Any]] = {
    "bit flipped": flip,
    "truncated": cut,
    "longer": grow,
    "emptied": lambda file: file.write_bytes(b""),
    "gone": Path.unlink,
    "a folder": replace_by_folder,
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_staged_waves__a_damaged_file_is_dropped_and_the_rest_counts(
    tmp_path: Path, damage: Callable[[Path], Any]
) -> None:
    first = open_waves(tmp_path, 1)
    folder = stage(first, [0, 1], [2, 3, 4], [5])
    damage(folder / "part-00001-0.parquet")
    assert first.find_damaged() == [folder / "part-00001-0.parquet"]
    assert first.drop_damaged() == 3
    assert first.mini_batch_ids == [0, 1, 5]
    stage(first, [2, 3, 4])
    assert first.find_damaged() == []
    second = StagedWaves(tmp_path, token=2)
    assert second.restore() == 3
    assert second.mini_batch_ids == [0, 1, 2, 3, 4, 5]
    numbers = [number for number, _ in iter_payload_tables(second.files)]
    assert numbers == [0, 1, 2, 3, 4, 5]


def test_staged_waves__files_are_in_the_order_of_their_mini_batches(tmp_path: Path) -> None:
    waves = open_waves(tmp_path, 1)
    late, early = stage(waves, [4, 5], [0]), stage(waves, [2, 3], [1])
    wanted = [late / "part-00001-0.parquet", early / "part-00001-0.parquet"]
    wanted += [early / "part-00000-0.parquet", late / "part-00000-0.parquet"]
    assert waves.files == open_waves(tmp_path, 2).files == wanted
    assert [{file.parent for file in files} for files in waves.iter_waves()] == [{late}, {early}]


def test_staged_waves__damage_before_the_commit_is_pending_again(tmp_path: Path) -> None:
    waves = open_waves(tmp_path, 1)
    _, folder = waves.take_folder()
    write_wave(folder, [0, 1], [2])
    cut(folder / "part-00000-0.parquet")
    assert [outcome.mini_batch_id for outcome in waves.commit(folder)] == [2]
    assert waves.mini_batch_ids == [2]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"protocol": 1}'])
def test_staged_waves__a_damaged_commit_is_none(tmp_path: Path, text: str) -> None:
    waves = open_waves(tmp_path, 1)
    folder = stage(waves, [0])
    stage(waves, [1])
    (folder / COMMIT_NAME).write_text(text)
    assert open_waves(tmp_path, 2).mini_batch_ids == [1]
    assert not folder.exists()


def test_staged_waves__a_wave_in_which_init_failed_does_not_count(tmp_path: Path) -> None:
    waves = open_waves(tmp_path, 1)
    _, folder = waves.take_folder()
    rows = staged_rows(0, results_table([0]).table, part_bytes=1024)
    outcome = json.loads(str(rows[0][2]))
    write_staged(
        folder / "part-00000-0.parquet",
        [(0, 0, json.dumps({**outcome, "status": INIT_FAILED}), None)],
    )
    (found,) = waves.commit(folder)
    assert found.status == INIT_FAILED
    assert (waves.files, open_waves(tmp_path, 2).files) == ([], [])


def test_staged_waves__files_with_lost_mini_batches_are_dropped(tmp_path: Path) -> None:
    waves = open_waves(tmp_path, 1)
    stage(waves, [0, 1], [2, 3])
    assert waves.drop_damaged(lost={3}) == 2
    assert waves.mini_batch_ids == [0, 1]


def test_remove_unnamed__keeps_what_outcomes_name(tmp_path: Path) -> None:
    for name in ("a/1-x", "a/current", "b/2-y"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "file").touch()
    remove_unnamed(tmp_path, [str(tmp_path / "a" / "1-x")])
    assert {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")} == {
        *("a", "a/1-x", "a/1-x/file"),
    }


RUNS = st.lists(
    st.lists(st.tuples(st.integers(1, 6), st.booleans()), max_size=4), min_size=1, max_size=4
)


@given(runs=RUNS, count=st.integers(1, 40), damaged=st.sets(st.integers(0, 20), max_size=3))
@settings(max_examples=60, deadline=None)
def test_resume__whatever_was_committed_and_killed_all_are_scored_once(
    runs: list[list[tuple[int, bool]]], count: int, damaged: set[int]
) -> None:
    """Each run scores some tasks of what is pending, commits some waves and is killed; some files
    are damaged; the last run scores the rest. All mini-batches stand there once."""
    files = pa.table({"path": [f"{n:03d}" for n in range(count)], "size": [1] * count})
    plan = plan_scoring(
        files.append_column("etag", pa.array([""] * count)),
        mini_batch_size=1,
        root="/in",
        transport="direct",
        slots=2,
    )
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        for token, waves_of_run in enumerate([*runs, [(count, True)]], start=1):
            waves = StagedWaves(folder, token=token)
            waves.restore()
            for size, is_committed in waves_of_run:
                pending = plan_pending(plan, done=waves.mini_batch_ids)
                tasks = [list(piece)[:size] for piece in pending]
                _, wave = waves.take_folder()
                write_wave(wave, *tasks)
                if is_committed:
                    waves.commit(wave)
            if token <= len(runs):
                present = sorted(folder.glob("wave-*/part-*.parquet"))
                for index in damaged & set(range(len(present))):
                    cut(present[index])
        assert waves.mini_batch_ids == list(range(count))
        outcomes = [outcome for file in waves.files for outcome in read_outcomes([file])]
        assert sorted(outcome.mini_batch_id for outcome in outcomes) == list(range(count))
        numbers = [number for number, _ in iter_payload_tables(waves.files)]
        assert numbers == list(range(count))
        assert to_json(outcomes[0])
