"""``resume_job``: what may change, what must not, and what stays of the run before."""

from __future__ import annotations

import json
import os
import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from sparkscore.control import find_completed_job, resume_job
from sparkscore.control.one_shot import MadeJob, make_job, prepare_run
from sparkscore.control.options import RunOptions
from sparkscore.control.resume import prepare_resume
from sparkscore.errors import InvalidFieldError, InvalidTransitionError, NotFoundError, StateError
from tests.control.samples import list_files, write_deployment

Make = Callable[[], MadeJob]
SUMMARY = {"protocol": 1, "job": "job", "inputs": {"total": 8, "succeeded": 0, "failed": 0}}


@pytest.fixture
def make(tmp_path: Path, java_environment: dict[str, str]) -> Make:
    """A job whose driver has not been started."""

    def make_it() -> MadeJob:
        options = RunOptions(
            file=write_deployment(
                tmp_path / "deployment",
                error_threshold=3,
                retry_settings={"max_retries": 1, "timeout": 5},
            ),
            input=str(tmp_path / "deployment" / "in"),
            job_folder=tmp_path / "job",
            conf=("spark.a=1",),
        )
        return make_job(prepare_run(options, environment=java_environment))

    return make_it


def write_summary(folder: Path, status: str) -> None:
    (folder / "summary.json").write_text(json.dumps({**SUMMARY, "status": status}))


def write_status(folder: Path, sequence: int) -> None:
    status = {"job": "job", "status": "Running", "sequence": sequence}
    text = json.dumps({"protocol": 1, **status, "heartbeat_at": 0.0, "started_at": 0.0})
    (folder / "status.partial").write_text(text)
    os.replace(folder / "status.partial", folder / "status.json")


def test_resume__same_launch_but_for_what_was_changed(
    make: Make, java_environment: dict[str, str]
) -> None:
    job = make()
    write_summary(job.folder, "Failed")
    resumed = resume_job(
        job.folder,
        ["error_threshold=-1", "timeout=60", "settings.retry_settings.max_retries=2"],
        ["spark.b=2"],
        "local[3]",
        environment=java_environment,
    )
    before, after = job.launch, resumed.launch
    scoring = after.scoring
    assert (scoring.error_threshold, scoring.timeout_seconds, scoring.max_retries) == (-1, 60, 2)
    assert scoring.digest != before.scoring.digest
    assert (after.master, after.spark_conf) == ("local[3]", {"spark.a": "1", "spark.b": "2"})
    assert (after.input, after.output, after.job_name) == (
        *(before.input, before.output, before.job_name),
    )
    assert after.settings["settings"]["error_threshold"] == -1
    assert json.loads((job.folder / "launch.json").read_text())["master"] == "local[3]"
    assert json.loads((job.folder / "launch-1.json").read_text())["master"] is None
    assert json.loads((job.folder / "summary-1.json").read_text())["status"] == "Failed"
    assert not (job.folder / "summary.json").exists()
    assert resumed.compiled.arguments[-1] == str(job.folder / "launch.json")


@pytest.mark.parametrize(
    ("was", "given", "expected"),
    [(True, None, True), (True, False, False), (False, True, True), (False, None, False)],
)
def test_resume__where_folders_are_shared_or_not(
    make: Make, java_environment: dict[str, str], was: bool, given: bool | None, expected: bool
) -> None:
    job = make()
    resumed = prepare_resume(
        job.folder,
        replace(job.launch, relay=was),
        [],
        master="local[1]",
        spark_conf={},
        relay=given,
        environment=java_environment,
    )
    assert resumed.launch.relay is expected


def test_resume__again_and_again(make: Make, java_environment: dict[str, str]) -> None:
    job = make()
    for _ in range(3):
        resumed = resume_job(job.folder, environment=java_environment)
        assert resumed.launch == job.launch
    names = {path.name for path in job.folder.glob("launch*.json")}
    assert names == {"launch.json", "launch-1.json", "launch-2.json", "launch-3.json"}


@pytest.mark.parametrize("key", ["mini_batch_size", "output_file_name", "model.path", "nonsense"])
def test_resume__refuses_what_would_change_the_output(
    make: Make, java_environment: dict[str, str], key: str
) -> None:
    job = make()
    before = list_files(job.folder)
    with pytest.raises(InvalidFieldError) as caught:
        resume_job(job.folder, [f"{key}=1"], environment=java_environment)
    assert (caught.value.condition, caught.value.attributes["key"]) == ("NOT_RESUMABLE", key)
    assert list_files(job.folder) == before


def test_resume__refuses_a_wrong_value(make: Make, java_environment: dict[str, str]) -> None:
    with pytest.raises(InvalidFieldError):
        resume_job(make().folder, ["timeout=soon"], environment=java_environment)


@pytest.mark.parametrize("name", ["code/helper.py", "code/new.py", "model/model/weights.bin"])
def test_resume__refuses_another_model_or_code(
    make: Make, java_environment: dict[str, str], name: str
) -> None:
    job = make()
    (job.folder / name).unlink(missing_ok=True)
    (job.folder / name).write_text("prefix = 'b'\n")
    with pytest.raises(StateError) as caught:
        resume_job(job.folder, environment=java_environment)
    assert (caught.value.condition, caught.value.exit_code) == ("RESUME_MISMATCH", 5)


def test_resume__code_compiled_by_python_is_the_same(
    make: Make, java_environment: dict[str, str]
) -> None:
    job = make()
    (job.folder / "code" / "__pycache__").mkdir()
    (job.folder / "code" / "__pycache__" / "helper.cpython-311.pyc").write_bytes(b"compiled")
    assert resume_job(job.folder, environment=java_environment).launch == job.launch


def test_resume__model_gone(make: Make, java_environment: dict[str, str]) -> None:
    job = make()
    shutil.rmtree(job.folder / "model")
    with pytest.raises(StateError) as caught:
        resume_job(job.folder, environment=java_environment)
    assert caught.value.condition == "RESUME_MISMATCH"


def test_resume__completed(make: Make, java_environment: dict[str, str]) -> None:
    job = make()
    write_summary(job.folder, "Completed")
    found = find_completed_job(job.folder)
    assert found is not None
    assert found.status == "Completed"
    with pytest.raises(InvalidTransitionError) as caught:
        resume_job(job.folder, environment=java_environment)
    assert caught.value.condition == "JOB_COMPLETED"


def test_resume__no_job_folder(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError) as caught:
        resume_job(tmp_path)
    assert caught.value.condition == "JOB_FOLDER_NOT_FOUND"


def test_resume__driver_lives(make: Make, java_environment: dict[str, str]) -> None:
    job = make()
    write_status(job.folder, 1)
    ended = threading.Event()

    def beat() -> None:
        sequence = 1
        while not ended.wait(0.05):
            sequence += 1
            write_status(job.folder, sequence)

    beating = threading.Thread(target=beat)
    beating.start()
    try:
        with pytest.raises(StateError) as caught:
            resume_job(job.folder, environment=java_environment)
    finally:
        ended.set()
        beating.join()
    assert caught.value.condition == "LEASE_HELD"
    assert not (job.folder / "launch-1.json").exists()


def test_resume__driver_was_killed(make: Make, java_environment: dict[str, str]) -> None:
    job = make()
    write_status(job.folder, 7)
    started = time.monotonic()
    resume_job(job.folder, environment=java_environment)
    assert time.monotonic() - started < 10
    assert not (job.folder / "status.json").exists()
