"""``--plan`` shows what a run would do, and makes nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from sparkscore.control.options import RunOptions
from sparkscore.control.planning import plan_run
from sparkscore.errors import AlreadyExistsError, InputNotFoundError
from tests.control.samples import list_files, write_deployment


def test_plan_run__counts(tmp_path: Path, in_folder: Callable[[], Path]) -> None:
    current = in_folder()
    file = write_deployment(tmp_path / "deployment", mini_batch_size=3)
    planned = plan_run(
        RunOptions(file=file, input=str(file.parent / "in"), compute="local[3]", limit=7)
    )
    explanation = planned.explanation
    assert (explanation.inputs, explanation.mini_batches, explanation.slots) == (7, 3, 3)
    assert [(wave.tasks, wave.inputs) for wave in explanation.waves] == [(3, 7)]
    assert explanation.task_attempts == 4
    assert list_files(current) == []


def test_plan_run__renders_text_and_json(tmp_path: Path) -> None:
    file = write_deployment(tmp_path / "deployment")
    planned = plan_run(RunOptions(file=file, input=str(file.parent / "in")))
    assert "mini-batches" in planned.render()
    assert json.loads(planned.render_json())["inputs"] == 8


def test_plan_run__needs_no_java_and_no_cluster(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "none"))
    file = write_deployment(tmp_path / "deployment", max_concurrency_per_instance=2)
    planned = plan_run(
        RunOptions(file=file, input=str(file.parent / "in"), compute="spark://127.0.0.1:9")
    )
    assert planned.explanation.slots == 2


def test_plan_run__refuses_what_run_refuses(tmp_path: Path) -> None:
    file = write_deployment(tmp_path / "deployment")
    with pytest.raises(InputNotFoundError):
        plan_run(RunOptions(file=file, input=str(tmp_path / "nope")))
    with pytest.raises(AlreadyExistsError):
        plan_run(RunOptions(file=file, input=str(file.parent / "in"), job_folder=tmp_path))
