"""The GPUs of a task, and a script that sees them alone."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest

from sparkscore.executor import task
from sparkscore.executor.devices import get_device_variables, get_devices
from sparkscore.executor.host_environment import host_environment
from sparkscore.executor.task import TaskContext, score_task, worker_session

SCRIPT = """\
import os

def init():
    global device
    device = os.environ.get("CUDA_VISIBLE_DEVICES")

def run(batch):
    return [device + ":" + str(os.getpid())]
"""


def give(**resources: list[str]) -> Any:
    """A task's context of Spark that has these resources."""
    found = {name: SimpleNamespace(addresses=given) for name, given in resources.items()}
    return SimpleNamespace(resources=lambda: found)


@pytest.mark.parametrize(
    ("context", "devices"),
    [(None, ()), (give(), ()), (give(fpga=["0"]), ()), (give(gpu=["3", "1"]), ("1", "3"))],
)
def test_get_devices__of_a_task(context: Any, devices: tuple[str, ...]) -> None:
    assert get_devices(context) == devices


def test_get_device_variables__none_without_devices() -> None:
    assert get_device_variables(()) == {}
    assert get_device_variables(("1", "3"))["CUDA_VISIBLE_DEVICES"] == "1,3"


def test_host_environment__devices_win(make_scoring: Any) -> None:
    scoring = make_scoring(SCRIPT, environment_variables={"CUDA_VISIBLE_DEVICES": "0,1,2,3"})
    environment = host_environment(
        scoring,
        worker={"CUDA_VISIBLE_DEVICES": "5"},
        input_root="/in",
        output_folder="/out",
        cpus=1,
        devices=("2",),
    )
    assert environment["CUDA_VISIBLE_DEVICES"] == "2"
    assert environment["CUDA_DEVICE_ORDER"] == "PCI_BUS_ID"


@pytest.fixture
def context(make_scoring: Any, tmp_path: Path) -> Iterator[TaskContext]:
    os.makedirs(tmp_path / "job")
    (tmp_path / "a").write_text("text")
    made = TaskContext(
        scoring=make_scoring(SCRIPT),
        input_root=str(tmp_path),
        transport="direct",
        job_folder=str(tmp_path / "job"),
        schema=None,
        failed_inputs_left=None,
        failed_mini_batches_left=None,
        seconds_left=60.0,
        wave=SimpleNamespace(value=[]),
        finished=SimpleNamespace(add=lambda outcomes: None),
    )
    yield made
    worker_session(made).close()
    task._SCRIPT_HOST.close()


def test_task__gets_a_new_host_with_another_device(
    context: TaskContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    def score(number: int, device: str) -> tuple[str, str]:
        monkeypatch.setattr(task, "find_devices", lambda: (device,))
        rows = list(score_task(context, json.dumps([(number, ["a"], [""])])))
        (row,) = [row for batch in rows for row in batch.to_pylist()]
        result = pa.ipc.open_stream(row["payload"]).read_all().column(0)[0].as_py()
        seen, process = str(result).split(":")
        return seen, process

    first, second, third = score(0, "0"), score(1, "0"), score(2, "1")
    assert [first[0], second[0], third[0]] == ["0", "0", "1"]
    assert first == second
    assert third[1] != first[1]
