"""A task from its text to its staged rows, without Spark."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import fsspec
import pytest

from sparkscore.executor.task import TaskContext, score_task, worker_session


class Finished:
    """What a task adds to the account, as Spark's accumulator takes it."""

    def __init__(self) -> None:
        self.outcomes: dict[int, str] = {}

    def add(self, outcomes: dict[int, str]) -> None:
        self.outcomes.update(outcomes)


@pytest.fixture
def make_context(make_scoring: Any, tmp_path: Path) -> Iterator[Any]:
    contexts: list[TaskContext] = []

    def make(script: str, *, input_root: str, transport: str, **changes: Any) -> TaskContext:
        values = {
            "scoring": make_scoring(script),
            "input_root": input_root,
            "transport": transport,
            "job_folder": str(tmp_path / f"job-{len(contexts)}"),
            "schema": None,
            "failed_inputs_left": None,
            "failed_mini_batches_left": None,
            "seconds_left": 60.0,
            "wave": SimpleNamespace(value=[]),
            "finished": Finished(),
        }
        os.makedirs(values["job_folder"])
        contexts.append(TaskContext(**{**values, **changes}))
        return contexts[-1]

    yield make
    worker_session(contexts[-1]).close()


def files_below(folder: Path) -> list[str]:
    return [name for _, _, names in os.walk(folder) for name in names]


READS = "def run(batch):\n    return [open(path).read() for path in batch]\n"


def test_task__that_stops_early_leaves_nothing_fetched(make_context: Any) -> None:
    store = fsspec.filesystem("memory")
    for name in "abc":
        store.pipe(f"/bucket/in/{name}", b"text")
    context = make_context(
        READS, input_root="memory://bucket/in", transport="fetch", seconds_left=0.0
    )
    task = [(number, [name], [""]) for number, name in enumerate("abc")]
    rows = list(score_task(context, json.dumps(task)))
    assert [row["mini_batch_id"] for batch in rows for row in batch.to_pylist()] == [0]
    assert list(context.finished.outcomes) == [0]
    assert files_below(Path(worker_session(context).inputs.root)) == []


def test_worker_session__of_another_job_is_removed_with_its_folder(
    make_context: Any, tmp_path: Path
) -> None:
    (tmp_path / "a").write_text("text")
    script = "def run(batch):\n    open('left behind', 'w').close()\n    return batch\n"
    first = make_context(script, input_root=str(tmp_path), transport="direct")
    list(score_task(first, json.dumps([(0, ["a"], [""])])))
    session = worker_session(first)
    folder = Path(session._scratch)
    assert (folder / "left behind").exists()
    second = make_context(script, input_root=str(tmp_path), transport="direct")
    assert worker_session(second) is not session
    assert not folder.exists()
