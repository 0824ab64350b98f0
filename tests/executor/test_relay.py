"""A task in a worker that sees no folder of the driver's."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from sparkscore.driver.shipping import pack_folder
from sparkscore.executor import relay, shipped
from sparkscore.executor.shipped import Shipped, ShippedFile
from sparkscore.executor.task import TaskContext, score_task, worker_session

SCRIPT = """
import os
import numpy as np

def run(batch):
    print("scoring", batch[0])
    with open(os.path.join(os.environ["AZUREML_MODEL_DIR"], "factor")) as model:
        factor = model.read()
    with open(os.path.join(os.environ["AZUREML_BI_OUTPUT_PATH"], "note"), "w") as note:
        note.write(factor)
    with open(batch[0]) as file:
        size = int(file.read())
    if size == 666:
        os.chdir(os.environ["AZUREML_BI_OUTPUT_PATH"])
        for _ in range(30):
            os.mkdir("d" * 200)
            os.chdir("d" * 200)
        os.chdir("/")
    return [np.random.default_rng(0).bytes(size)]
"""


@pytest.fixture
def make_context(
    tmp_path: Path, make_scoring: Any, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., TaskContext]]:
    """Model and code are there as Spark ships them, and nowhere else."""
    contexts: list[TaskContext] = []
    sent = tmp_path / "sent"
    sent.mkdir()
    monkeypatch.setattr(shipped, "find_shipped", lambda name: str(sent / name))
    monkeypatch.setenv("SPARK_LOCAL_DIRS", str(tmp_path / "local"))
    (tmp_path / "local").mkdir()

    def make(sizes: list[int]) -> TaskContext:
        scoring = make_scoring(SCRIPT, max_retries=0)
        (tmp_path / "model").mkdir()
        (tmp_path / "model" / "factor").write_text("0.5")
        (tmp_path / "in").mkdir()
        for number, size in enumerate(sizes):
            (tmp_path / "in" / str(number)).write_text(str(size))
        for name in ("model", "code"):
            pack_folder(tmp_path / name, sent / f"{name}.zip")
            (tmp_path / name).rename(tmp_path / f"not {name}")
        context = TaskContext(
            scoring=scoring,
            input_root=str(tmp_path / "in"),
            transport="direct",
            job_folder=str(tmp_path / "job"),
            schema=None,
            failed_inputs_left=None,
            failed_mini_batches_left=None,
            seconds_left=60.0,
            wave=None,
            finished=SimpleNamespace(add=lambda outcomes: None),
            shipped=Shipped(ShippedFile("model.zip", "a" * 16), ShippedFile("code.zip", "b" * 16)),
        )
        contexts.append(context)
        return context

    yield make
    for context in contexts:
        worker_session(context).close()


def run_task(context: TaskContext, count: int) -> list[dict[str, Any]]:
    task = json.dumps([(number, [str(number)], [""]) for number in range(count)])
    return [row for batch in score_task(context, task) for row in batch.to_pylist()]


def outcomes_of(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [json.loads(row["outcome"]) for row in rows if row["outcome"] is not None]


def test_task__sends_rows_files_and_logs(make_context: Any, tmp_path: Path) -> None:
    context = make_context([1, 1])
    rows = run_task(context, 2)
    outcomes = outcomes_of(rows)
    assert [(o["mini_batch_id"], o["status"]) for o in outcomes] == [
        (0, "succeeded"),
        (1, "succeeded"),
    ]
    sent = {os.fsdecode(row["file"]): row["payload"] for row in rows if row["file"] is not None}
    for outcome in outcomes:
        (folder,) = outcome["folders"]
        name = os.path.relpath(folder, tmp_path / "job")
        assert (sent[name], sent[f"{name}/note"]) == (None, b"0.5")
    (log,) = (text for name, text in sent.items() if "/stdout/" in name)
    assert log.decode().count("scoring") == 2
    assert not (tmp_path / "job").exists()
    local = [path for path in (tmp_path / "local").rglob("note") if path.is_file()]
    assert local == []


def test_task__ends_early_once_it_has_given_much(
    make_context: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay, "MAX_TASK_BYTES", 250_000)
    rows = run_task(make_context([100_000] * 6), 6)
    assert [outcome["mini_batch_id"] for outcome in outcomes_of(rows)] == [0, 1, 2]


def test_task__mini_batch_that_gives_too_much_fails_alone(
    make_context: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sparkscore.executor.task.MAX_MINI_BATCH_BYTES", 1_000_000)
    rows = run_task(make_context([10, 2_000_000, 10]), 3)
    outcomes = outcomes_of(rows)
    assert [outcome["status"] for outcome in outcomes] == ["succeeded", "failed", "succeeded"]
    (failure,) = outcomes[1]["failures"]
    assert (failure["condition"], failure["path"]) == ("RESULT_TOO_LARGE", "1")
    assert sum(len(row["payload"] or b"") for row in rows) < 100_000


def test_task__files_that_cannot_be_read_fail_their_mini_batch(make_context: Any) -> None:
    rows = run_task(make_context([1, 666, 1]), 3)
    outcomes = outcomes_of(rows)
    assert [outcome["status"] for outcome in outcomes] == ["succeeded", "failed", "succeeded"]
    (failure,) = outcomes[1]["failures"]
    assert (failure["condition"], failure["path"]) == ("SCRIPT_FILE_NOT_READABLE", "1")
