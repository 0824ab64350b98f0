"""Mini-batches of jobs, as the ledger or a running driver tells of them."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkscore.control.jobs.mini_batch_columns import Columns, read_columns
from sparkscore.control.jobs.mini_batches import (
    FAILED,
    PENDING,
    RETRIED,
    RUNNING,
    STATES,
    SUCCEEDED,
    MiniBatches,
)
from sparkscore.control.workspace import Workspace
from sparkscore.errors import InvalidFieldError, MessageError, NotFoundError, StateError
from tests.control.jobs.conftest import AddJob
from tests.ledgers import make_ledger, make_summary, render_live, write_ledger, write_live

AddScored = Callable[..., Path]


@pytest.fixture
def add_scored(add_job: AddJob) -> AddScored:
    """Adds an ended job with such a ledger; gives its folder."""

    def add(table: pa.Table, **fields: Any) -> Path:
        summary = make_summary(table)
        folder = Path(add_job(**{"status": "Completed", "summary": summary, **fields}).folder)
        write_ledger(folder, table)
        return folder

    return add


def look(folder: Path, count: int, in_flight: tuple[tuple[int, int], ...] = ()) -> MiniBatches:
    """The mini-batches of a folder without a workspace."""
    return MiniBatches(None, count, read_columns(folder).of_plan(count), in_flight)  # type: ignore[arg-type]


def test_mini_batches__of_an_ended_job(workspace: Workspace, add_scored: AddScored) -> None:
    add_scored(make_ledger(2000))
    found = workspace.jobs.get("job").mini_batches()
    assert found.count == 2000
    assert found.counts == {PENDING: 0, RUNNING: 0, SUCCEEDED: 1980, RETRIED: 18, FAILED: 2}
    cells = found.cells()
    assert [(cell.first, cell.stop) for cell in cells[:2]] == [(0, 9), (9, 18)]
    assert cells[-1].stop == 2000
    assert cells[-1].state == cells[999 // 9].state == FAILED
    assert cells[99 // 9].state == RETRIED
    assert found.cells(20)[0].state == SUCCEEDED, "one retry of a hundred is no matter"


def test_select__by_state_range_and_page(workspace: Workspace, add_scored: AddScored) -> None:
    add_scored(make_ledger(2000))
    found = workspace.jobs.get("job").mini_batches()
    assert [one.id for one in found.select(states=[FAILED])] == [999, 1999]
    assert [one.id for one in found.select(states=[FAILED, RETRIED], first=900, stop=1200)] == [
        *(999, 1099, 1199),
    ]
    assert [one.id for one in found.select(first=10, skip=2, limit=3)] == [12, 13, 14]
    assert found.select(first=3000) == found.select(first=5, stop=5) == []
    (last,) = found.select(first=1999)
    assert (last.state, last.failed, last.attempts, last.condition) == (
        *(FAILED, 1, 4, "SCRIPT_RAISED"),
    )
    assert (last.host, last.process) == ("node-2", 1007)
    with pytest.raises(InvalidFieldError) as caught:
        found.select(states=["fialed"])
    assert caught.value.condition == "UNKNOWN_STATE"


def test_get__has_what_the_ledger_has(workspace: Workspace, add_scored: AddScored) -> None:
    add_scored(make_ledger(2000))
    found = workspace.jobs.get("job").mini_batches()
    failed = found.get(999)
    assert (failed.message, failed.script_line) == ("ValueError: <b>bad</b>", "score.py:9")
    assert failed.traceback is not None
    assert failed.failures == ({"path": "<i>a.txt", "condition": "SCRIPT_RAISED", "count": 1},)
    assert failed.to_dict()["peak_memory_bytes"] == 80_000_000
    assert found.get(0).failures == ()
    for unknown in (-1, 2000):
        with pytest.raises(NotFoundError) as caught:
            found.get(unknown)
        assert caught.value.condition == "MINI_BATCH_NOT_FOUND"


def test_mini_batches__of_a_running_job(workspace: Workspace, add_job: AddJob) -> None:
    folder = Path(add_job(status="Running").folder)
    status = {
        "protocol": 1,
        "job": "job",
        "status": "Running",
        "sequence": 2,
        "started_at": 0.0,
        "heartbeat_at": time.time(),
        "mini_batches": 40,
        "inputs": 400,
    }
    (folder / "status.json").write_text(json.dumps(status))
    events = [
        ("wave_started", {"wave": 0, "tasks": 1, "mini_batches": [[30, 40]]}),
        ("status", {"status": "Running"}),
        ("wave_started", {"wave": 0, "tasks": 4, "mini_batches": [[0, 8]]}),
        ("wave_committed", {"wave": 0, "mini_batches": 8}),
        ("wave_started", {"wave": 1, "tasks": 4, "mini_batches": [[8, 12], [20, 24]]}),
    ]
    lines = [json.dumps({"at": 1.0, "type": kind, "details": more}) for kind, more in events]
    (folder / "events.jsonl").write_text("\n".join([*lines, '{"torn":']))
    live = write_live(folder, render_live(make_ledger(100).slice(0, 9)))
    found = workspace.jobs.get("job").mini_batches()
    assert found.counts == {PENDING: 24, RUNNING: 7, SUCCEEDED: 9, RETRIED: 0, FAILED: 0}
    assert [one.id for one in found.select(states=[RUNNING])] == [9, 10, 11, 20, 21, 22, 23]
    assert found.select(first=20, limit=1)[0].seconds is None
    assert found.get(3).message is None
    with live.open("a") as file:
        file.write(render_live(make_ledger(100).slice(9, 3)) + '[20,"succ')
    assert workspace.jobs.get("job").mini_batches().counts[RUNNING] == 4
    with live.open("a") as file:
        file.write("\n" + render_live(make_ledger(100).slice(99, 1)))
    assert workspace.jobs.get("job").mini_batches().counts[FAILED] == 0, "the plan has 40"


def test_mini_batches__before_the_plan(workspace: Workspace, add_job: AddJob) -> None:
    add_job()
    found = workspace.jobs.get("job").mini_batches()
    assert (found.count, found.cells(), found.select()) == (0, [], [])
    assert found.measure_throughput() is None
    assert found.measure_durations() is None
    assert found.draw_timeline().slots == ()


def test_mini_batches__of_a_pruned_job(workspace: Workspace, add_scored: AddScored) -> None:
    add_scored(make_ledger(10), properties={"sparkscore.pruned_at": "2024-01-01"})
    with pytest.raises(StateError) as caught:
        workspace.jobs.get("job").mini_batches()
    assert caught.value.condition == "JOB_PRUNED"


def test_live_ledger__is_no_artifact(
    workspace: Workspace, add_scored: AddScored, tmp_path: Path
) -> None:
    write_live(add_scored(make_ledger(10)), "")
    names = {file.path for file in workspace.jobs.list_files("job")}
    assert "artifacts/ledger/outcomes.parquet" in names
    assert "artifacts/ledger/live.jsonl" not in names
    with pytest.raises(NotFoundError):
        workspace.jobs.get_file("job", "artifacts/ledger/live.jsonl")
    workspace.jobs.download("job", download_path=tmp_path / "copy", all=True)
    ledger = tmp_path / "copy" / "artifacts" / "ledger"
    assert [file.name for file in ledger.iterdir()] == ["outcomes.parquet"]


def test_columns__ledger_that_is_damaged(tmp_path: Path) -> None:
    file = write_ledger(tmp_path, make_ledger(10))
    content = file.read_bytes()
    file.write_bytes(content[:4] + bytes(len(content) - 8) + content[-4:])
    with pytest.raises(MessageError):
        read_columns(tmp_path)


def test_columns__killed_driver_left_an_open_ledger(tmp_path: Path) -> None:
    file = write_ledger(tmp_path, make_ledger(10))
    file.write_bytes(file.read_bytes()[:-4])
    assert len(read_columns(tmp_path)) == 0
    write_live(tmp_path, render_live(make_ledger(10).slice(0, 7)))
    for begun in (file.read_bytes(), b"PAR1", b""):
        file.write_bytes(begun)
        assert read_columns(tmp_path).ids.tolist() == list(range(7))
    write_ledger(tmp_path, make_ledger(10))
    assert len(read_columns(tmp_path)) == 10


def test_columns__last_line_of_an_id_holds_and_another_file_is_read_anew(tmp_path: Path) -> None:
    table = make_ledger(100)
    first = render_live(table.slice(90, 10))
    again = first.replace('"failed",10,1,', '"succeeded",10,0,')
    write_live(tmp_path, first)
    assert read_columns(tmp_path).is_failed.sum() == 1
    with (tmp_path / "ledger" / "live.jsonl").open("a") as file:
        file.write(again)
    columns = read_columns(tmp_path)
    assert (columns.ids.tolist(), columns.is_failed.sum()) == (list(range(90, 100)), 0)
    for first_id, count in ((0, 3), (10, 60), (70, 1)):
        live = write_live(tmp_path, render_live(table.slice(first_id, count)))
        assert read_columns(tmp_path).ids.tolist() == list(range(first_id, first_id + count))
    live.write_text("")
    assert len(read_columns(tmp_path)) == 0


@pytest.mark.parametrize(
    "line",
    [
        *("", "{", "[", "[]", "null", "1", '"a"', "{}", "\udcff", "[" * 5000, "[[],[]]", "[1,2]"),
        '[1.5,"succeeded",1,0,1,1,0,1.0,1.0,"a",1,null]',
        '[1,"succeeded",99999999999999999999,0,1,1,0,1.0,1.0,"a",1,null]',
        '[1,null,1,0,1,1,0,1.0,1.0,"a",1,null]',
        '[1,"succeeded",1,0,1,1,0,NaN,1.0,"a",1,null]',
        '[1,"succeeded",1,0,1,1,0,1.0,1e999,"a",1,null]',
        '[1,"succeeded",1,0,1,1,0,1.0,1.0,"a",1,null,2]',
        '[1,"succeeded",1,0,1,1,0,1.0,1.0,"a",1,{}]',
        '[1,"succeeded",1,0,1,1,0,"1.0",1.0,"a",true,null]',
    ],
)
def test_columns__line_that_no_driver_writes_is_passed_over(tmp_path: Path, line: str) -> None:
    good = render_live(make_ledger(4))
    file = write_live(tmp_path, "")
    file.write_bytes(f"{line}\n{good}{line}\n".encode("utf-8", "surrogateescape"))
    assert read_columns(tmp_path).ids.tolist() == [0, 1, 2, 3]


def test_columns__parquet_and_live_say_the_same(tmp_path: Path) -> None:
    table = make_ledger(3000)
    write_ledger(tmp_path / "a", table)
    write_live(tmp_path / "b", render_live(table))
    one, other = look(tmp_path / "a", 3000), look(tmp_path / "b", 3000)
    assert one.select() == other.select()
    assert one.cells() == other.cells()


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Columns:
    """700 finished mini-batches."""
    folder = tmp_path_factory.mktemp("ledger")
    write_ledger(folder, make_ledger(700))
    return read_columns(folder)


@given(
    count=st.integers(0, 700),
    most=st.integers(1, 300),
    done=st.sets(st.integers(0, 699)),
    in_flight=st.lists(st.tuples(st.integers(0, 700), st.integers(0, 700)), max_size=3),
)
def test_cells__are_disjoint_and_hold_all(
    ledger: Columns,
    count: int,
    most: int,
    done: set[int],
    in_flight: list[tuple[int, int]],
) -> None:
    columns = ledger.of_plan(count)
    picked = [position for position in range(len(columns)) if position in done]
    arrays = {
        name: value[picked] for name, value in vars(columns).items() if not isinstance(value, tuple)
    }
    columns = dataclasses.replace(columns, **arrays)
    found = MiniBatches(None, count, columns, tuple(in_flight))  # type: ignore[arg-type]
    cells = found.cells(most)
    assert [number for cell in cells for number in range(cell.first, cell.stop)] == list(
        range(count)
    )
    assert len(cells) <= most
    assert len({cell.stop - cell.first for cell in cells[:-1]}) <= 1
    for cell in cells:
        assert sum(cell.counts.values()) == cell.stop - cell.first
        assert cell.counts[cell.state] > 0
    for state in STATES:
        total = sum(cell.counts[state] for cell in cells)
        assert total == found.counts[state] == len(found.select(states=[state]))
    assert found.counts[SUCCEEDED] + found.counts[RETRIED] + found.counts[FAILED] == len(columns)
