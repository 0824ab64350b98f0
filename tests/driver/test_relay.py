"""A wave that comes back through the driver, written as tasks with a shared folder write it."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sparkscore.driver.job_folder import JobFolder
from sparkscore.driver.relay import write_wave
from sparkscore.driver.relayed_files import RelayedFiles
from sparkscore.driver.staging import STAGED_SCHEMA, check_staging, read_outcomes, wave_files
from sparkscore.driver.worker_logs import WorkerLogs
from sparkscore.errors import StorageError
from sparkscore.executor.attempt_folders import AttemptFolders
from sparkscore.executor.relay import RELAYED_SCHEMA, RelayedLogs, RelayedRows
from sparkscore.executor.results import iter_payloads, results_table
from sparkscore.executor.runner import ScoredMiniBatch
from sparkscore.messages.codec import to_json
from sparkscore.messages.outcome import SUCCEEDED, MiniBatchOutcome
from sparkscore.plan.waves import TaskRange

TASKS = (TaskRange(0, 2), TaskRange(4, 6))


def score(mini_batch_id: int, rows: Any, *folders: str, part_bytes: int = 1 << 20) -> Any:
    table = results_table(rows).table
    outcome = MiniBatchOutcome(
        *(mini_batch_id, SUCCEEDED, 1, 0, table.num_rows, 1, 0, 0.0, 0.1),
        host="host",
        process=1,
        folders=folders,
    )
    payloads = map(bytearray, iter_payloads(table, part_bytes))
    return ScoredMiniBatch(outcome, tuple(payloads))


@pytest.fixture
def worker(tmp_path: Path) -> SimpleNamespace:
    """A worker's folders and logs, which the driver does not see."""
    (tmp_path / "worker").mkdir()
    folders = AttemptFolders(
        str(tmp_path / "worker" / "files"), told_root=str(tmp_path / "job" / "staging" / "files")
    )
    log = tmp_path / "worker" / "logs" / "user" / "stdout" / "node" / "process-1.txt"
    log.parent.mkdir(parents=True)
    logs = RelayedLogs([str(log)], str(tmp_path / "worker" / "logs"))
    return SimpleNamespace(folders=folders, log=log, logs=logs)


def run_task(worker: SimpleNamespace, *scored: ScoredMiniBatch) -> Iterator[Any]:
    rows = RelayedRows(worker.folders, worker.logs)
    for item in scored:
        yield from rows.add(item, to_json(item.outcome))
    yield from rows.flush()


def write(batches: Any, tmp_path: Path, files: RelayedFiles | None = None) -> list[Path]:
    folder = tmp_path / "job" / "staging" / "wave-00000.1"
    files = files or RelayedFiles(tmp_path / "job")
    write_wave(batches, tasks=TASKS, wave_folder=folder, files=files)
    assert (folder / "_SUCCESS").exists()
    return list(wave_files(folder))


def test_wave__each_task_has_a_file(worker: SimpleNamespace, tmp_path: Path) -> None:
    later = run_task(worker, score(4, ["e"]), score(5, ["f"]))
    earlier = run_task(worker, score(0, ["a", "b"]), score(1, ["c"]))
    files = write([*later, *earlier], tmp_path)
    assert [file.name[:10] for file in files] == ["part-00000", "part-00001"]
    check_staging(files)
    outcomes = read_outcomes(files)
    assert [(o.mini_batch_id, o.rows) for o in outcomes] == [(0, 2), (1, 1), (4, 1), (5, 1)]
    assert pq.read_schema(files[0]).names == STAGED_SCHEMA.names


def test_wave__large_parts_become_row_groups_of_a_size(
    worker: SimpleNamespace, tmp_path: Path
) -> None:
    table = pd.DataFrame({"noise": [os.urandom(4 << 20) for _ in range(12)]})
    (file,) = write(run_task(worker, score(0, table, part_bytes=8 << 20)), tmp_path)
    metadata = pq.ParquetFile(file).metadata
    sizes = [metadata.row_group(at).total_byte_size for at in range(metadata.num_row_groups)]
    assert len(sizes) > 1
    assert max(sizes) < 48 << 20
    check_staging([file])


def test_files__of_an_attempt_stand_where_its_outcome_says(
    worker: SimpleNamespace, tmp_path: Path
) -> None:
    made = worker.folders.begin()
    current = Path(worker.folders.current)
    (current / "deep").mkdir()
    large = os.urandom((9 << 20) + 1)
    (current / "deep" / "large.bin").write_bytes(large)
    (current / os.fsdecode(b"odd \xff.txt")).write_text("odd")
    (current / "empty").touch()
    (current / "link").symlink_to("empty")
    (current / "dangling").symlink_to("nowhere")
    (current / "outside").symlink_to("/proc/self/environ")
    kept = worker.folders.keep(made, 1)
    assert kept.startswith(str(tmp_path / "job" / "staging" / "files"))
    write(run_task(worker, score(0, ["a"]), score(1, ["b"], kept)), tmp_path)
    there = Path(kept)
    names = {os.fsencode(path.name) for path in there.iterdir()}
    assert names == {b"deep", b"odd \xff.txt", b"empty", b"link"}
    assert (there / "deep" / "large.bin").read_bytes() == large
    assert (there / "empty").read_bytes() == b""
    assert not Path(worker.folders.get_local(kept)).exists()


def test_logs__are_copied_as_they_grow(worker: SimpleNamespace, tmp_path: Path) -> None:
    there = tmp_path / "job" / "staging" / "logs" / "user" / "stdout" / "node" / "process-1.txt"
    worker.log.write_text("one\n")
    write(run_task(worker, score(0, ["a"])), tmp_path)
    assert there.read_text() == "one\n"
    with worker.log.open("a") as log:
        log.write("two\n")
    write(run_task(worker, score(1, ["a"])), tmp_path)
    assert there.read_text() == "one\ntwo\n"
    worker.log.write_text("cut\n")
    write(run_task(worker, score(4, ["a"])), tmp_path)
    assert there.read_text() == "cut\n"


def test_logs__that_were_lost_on_their_way_leave_no_gap(
    worker: SimpleNamespace, tmp_path: Path
) -> None:
    worker.log.write_text("lost\n" * 5000)
    list(run_task(worker, score(0, ["a"])))
    with worker.log.open("a") as log:
        log.write("found\n")
    write(run_task(worker, score(1, ["a"])), tmp_path)
    (copied,) = (tmp_path / "job" / "staging" / "logs").rglob("*.txt")
    assert copied.read_text().endswith("lost\nfound\n")
    assert "\0" not in copied.read_text()


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))))
def test_logs__of_tasks_that_end_in_another_order_are_whole(
    worker: SimpleNamespace, tmp_path: Path, order: tuple[int, ...]
) -> None:
    tasks = []
    for number in range(4):
        with worker.log.open("a") as log:
            log.write(f"task {number}\n" * 3000)
        tasks.append(list(run_task(worker, score(number, ["a"]))))
    files = RelayedFiles(tmp_path / "job")
    copied = WorkerLogs(JobFolder(tmp_path / "job"))
    for number in order:
        write(tasks[number], tmp_path, files)
        copied.copy()
    for place in ("staging/logs", "logs"):
        (there,) = (tmp_path / "job" / place).rglob("process-1.txt")
        assert there.read_text() == worker.log.read_text()


def test_logs__late_piece_does_not_bring_back_what_was_cut(
    worker: SimpleNamespace, tmp_path: Path
) -> None:
    tasks = []
    for text in ("long\n" * 3000, "cut\n"):
        worker.log.write_text(text)
        tasks.append(list(run_task(worker, score(0, ["a"]))))
    files = RelayedFiles(tmp_path / "job")
    for task in reversed(tasks):
        write(task, tmp_path, files)
    (there,) = (tmp_path / "job" / "staging" / "logs").rglob("*.txt")
    assert there.read_text() == "cut\n"


@pytest.mark.parametrize("at", ["staging/files", "staging/logs/user", "staging/logs"])
def test_files__are_not_written_through_links(
    worker: SimpleNamespace, tmp_path: Path, at: str
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    link = tmp_path / "job" / at
    link.parent.mkdir(parents=True)
    link.symlink_to(outside)
    made = worker.folders.begin()
    Path(worker.folders.current, "note").write_text("note")
    worker.log.write_text("log\n")
    kept = worker.folders.keep(made, 0)
    with pytest.raises(StorageError) as caught:
        write(run_task(worker, score(0, ["a"], kept)), tmp_path)
    assert caught.value.condition == "RELAYED_NAME_REFUSED"
    assert list(outside.iterdir()) == []


@pytest.mark.parametrize(
    "name", ["staging/files/../../launch.json", "/etc/passwd", "launch.json", "staging/filesx/a"]
)
def test_files__with_names_that_lead_elsewhere_are_refused(name: str, tmp_path: Path) -> None:
    columns = [[0], [0], [None], [b"text"], [name.encode()], [0]]
    batch = pa.RecordBatch.from_arrays(
        [
            pa.array(column, field.type)
            for column, field in zip(columns, RELAYED_SCHEMA, strict=True)
        ],
        schema=RELAYED_SCHEMA,
    )
    with pytest.raises(StorageError) as caught:
        write([batch], tmp_path)
    assert caught.value.condition == "RELAYED_NAME_REFUSED"
    assert not (tmp_path / "job" / "launch.json").exists()
