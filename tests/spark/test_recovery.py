"""Jobs of a workspace that fail, are killed, go on and are retried: nothing is lost or doubled."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sparkscore.cli.render_errors import render_errors
from sparkscore.control import InvokeRequest, Job, Workspace
from sparkscore.errors import SparkscoreError
from tests.spark.drivers import find_events, kill_processes, wait_until

INPUT_COUNT = 60
BAD = ("0003.txt", "0017.txt", "0041.txt", "0042.txt")
GONE = "0042.txt"

SCRIPT = """\
import os
import time

def init():
    pass

def run(mini_batch):
    time.sleep(0.1)
    print("scores", *map(os.path.basename, mini_batch), flush=True)
    return [score(path) for path in mini_batch]

def score(path):
    with open(path) as file:
        text = file.read()
    if {check}:
        raise ValueError(f"{{os.path.basename(path)}} is bad")
    return {{"file": os.path.basename(path), "value": len(text)}}
"""
SHORT_SCRIPT = """\
def init():
    pass

def run(mini_batch):
    if any(path.endswith("0007.txt") for path in mini_batch):
        raise ValueError("it has no row for this one")
    texts = [open(path).read() for path in mini_batch]
    return [{"value": len(text)} for text in texts if text != "bad"]
"""
SCRIPTS = {
    "strict": SCRIPT.format(check='text == "bad"'),
    "mended": SCRIPT.format(check="False"),
    "short": SHORT_SCRIPT,
}

pytestmark = [pytest.mark.spark, pytest.mark.slow]

Invoke = Callable[..., Job]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("recovery")


@pytest.fixture(scope="module")
def workspace(place: Path) -> Iterator[Workspace]:
    """A workspace with an endpoint whose default deployment fails on bad inputs."""
    (place / "ws").mkdir()
    (place / "ws" / "sparkscore.toml").write_text("[mlflow]\nlog_jobs = false\n")
    (place / "in" / "a").mkdir(parents=True)
    for number in range(INPUT_COUNT):
        name = f"{number:04d}.txt"
        (place / "in" / "a" / name).write_text("bad" if name in BAD else "x" * number)
    (place / "model").mkdir()
    (place / "model" / "weights.txt").write_text("1")
    opened = Workspace.open(place / "ws")
    opened.batch_endpoints.create(name="sizes")
    for name, script in SCRIPTS.items():
        code = place / name
        code.mkdir()
        (code / "score.py").write_text(script)
        opened.batch_deployments.create(
            {
                "name": name,
                "endpoint_name": "sizes",
                "model": {"path": str(place / "model")},
                "code_configuration": {"code": str(code), "scoring_script": "score.py"},
                "settings": {
                    "mini_batch_size": 2,
                    "max_concurrency_per_instance": 2,
                    "retry_settings": {"max_retries": 1},
                },
            },
            set_default=name == "strict",
        )
    yield opened
    for job in opened.jobs.list():
        if not job.is_ended:
            opened.jobs.cancel(job.name).wait(60)
    opened.close()


@pytest.fixture(scope="module")
def invoke(workspace: Workspace, place: Path) -> Invoke:
    """Starts a job on all inputs, below ``out/NAME``."""

    def start(name: str, *overrides: str, **more: Any) -> Job:
        request = InvokeRequest(
            input=str(place / "in"),
            job_name=name,
            output_path=str(place / "out" / name),
            overrides=overrides,
            **more,
        )
        return workspace.batch_endpoints.invoke("sizes", request)

    return start


@pytest.fixture(scope="module")
def whole(invoke: Invoke) -> Job:
    """An undisturbed job."""
    job = invoke("whole", "error_threshold=-1").wait(240)
    check_counts(job, succeeded=INPUT_COUNT - len(BAD), failed=len(BAD))
    return job


def read_output(place: Path, name: str) -> bytes:
    return (place / "out" / name / "predictions.csv").read_bytes()


def read_rows(place: Path, *names: str) -> list[str]:
    return sorted(
        line for name in names for line in read_output(place, name).decode().splitlines()[1:]
    )


def check_counts(job: Job, *, succeeded: int, failed: int) -> None:
    assert job.status == "Completed", job.record.error
    assert job.input_counts == {
        "total": succeeded + failed,
        "succeeded": succeeded,
        "failed": failed,
        "unprocessed": 0,
    }


def test_resume_and_retry__of_a_job_that_failed_by_its_threshold(
    workspace: Workspace, invoke: Invoke, whole: Job, place: Path
) -> None:
    failed = invoke("early", "error_threshold=1").wait(240)
    assert failed.record.error is not None
    assert failed.record.error["condition"] == "ERROR_THRESHOLD_EXCEEDED"
    assert not (place / "out" / "early").exists()

    job = workspace.jobs.resume("early", overrides=["error_threshold=-1"]).wait(240)
    check_counts(job, succeeded=INPUT_COUNT - len(BAD), failed=len(BAD))
    assert read_output(place, "early") == read_output(place, whole.name)
    _check_errors(workspace, "early")

    clean = invoke("clean", deployment_name="mended").wait(240)
    check_counts(clean, succeeded=INPUT_COUNT, failed=0)
    (place / "in" / "a" / GONE).rename(place / GONE)
    try:
        _retry_with_one_input_gone(workspace, place)
    finally:
        (place / GONE).rename(place / "in" / "a" / GONE)
    assert sorted([*read_rows(place, "early", "again"), f"{GONE},3"]) == read_rows(place, "clean")
    with pytest.raises(SparkscoreError) as caught:
        workspace.jobs.retry_failed("clean")
    assert caught.value.condition == "NO_FAILED_INPUTS"


def _retry_with_one_input_gone(workspace: Workspace, place: Path) -> None:
    request = InvokeRequest(
        deployment_name="mended", job_name="again", output_path=str(place / "out" / "again")
    )
    job = workspace.jobs.retry_failed("early", request).wait(240)
    check_counts(job, succeeded=len(BAD) - 1, failed=1)
    (group,) = workspace.jobs.errors("again").groups
    assert group.condition == "INPUT_NOT_FOUND"
    assert group.samples[0]["path"] == f"a/{GONE}"
    assert job.to_dict()["retry_of"] == "early"
    assert workspace.jobs.get("early").to_dict()["retried_by"] == ["again"]


def _check_errors(workspace: Workspace, name: str) -> None:
    errors = workspace.jobs.errors(name)
    (group,) = errors.groups
    assert (group.condition, group.count, group.attempts) == ("SCRIPT_RAISED", len(BAD), 3)
    assert group.script_line.startswith("score.py:")
    assert 'raise ValueError(f"{os.path.basename(path)} is bad")' in group.script_traceback
    number = int(group.samples[0]["mini_batch_id"])
    lines = list(workspace.jobs.iter_logs(name, mini_batch=number))
    assert any(line.endswith(f"scores {BAD[0].replace('3', '2')} {BAD[0]}") for line in lines)
    text = render_errors(errors, width=80, in_workspace=True)
    assert f"  logs: sparkscore job logs -n {name} --mini-batch {number}" in text.splitlines()


def test_retry__leaves_out_what_a_short_result_does_not_name(
    workspace: Workspace, invoke: Invoke, place: Path
) -> None:
    job = invoke("short", deployment_name="short").wait(240)
    check_counts(job, succeeded=INPUT_COUNT - len(BAD) - 1, failed=len(BAD) + 1)
    groups = {group.condition: group for group in workspace.jobs.errors("short").groups}
    assert groups["SHORT_RESULT"].count == len(BAD)
    assert groups["SCRIPT_RAISED"].samples[0]["path"] == "a/0007.txt"

    told = _retry_by_command(workspace, "short", "named", place)
    assert told[-2:] == [
        "job named scores 1 failed input of job short",
        f"left out: {len(BAD)} failed inputs without a name (SHORT_RESULT)",
    ]
    job = workspace.jobs.get("named").wait(240)
    check_counts(job, succeeded=1, failed=0)
    assert job.to_dict()["inputs"]["input"]["unnamed_left_out"] == len(BAD)
    assert read_rows(place, "named") == ["0007.txt,7"]


def _retry_by_command(workspace: Workspace, name: str, new_name: str, place: Path) -> list[str]:
    """What the command says on standard error."""
    command = [sys.executable, "-m", "sparkscore.cli", "job", "retry-failed", "-n", name]
    command += ["-w", str(workspace.folder), "--deployment-name", "mended", "--job-name", new_name]
    command += ["--output-path", str(place / "out" / new_name)]
    done = subprocess.run(command, cwd=place, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stderr.splitlines()


def test_resume__on_another_compute_after_launcher_and_driver_were_killed(
    workspace: Workspace, invoke: Invoke, whole: Job, place: Path
) -> None:
    job = invoke("killed", "error_threshold=-1")
    folder = Path(job.record.folder)
    wait_until(lambda: find_events(folder, "wave_committed"))
    record = workspace.jobs.get("killed").record
    kill_processes(record)
    assert not (folder / "summary.json").exists()
    job = workspace.jobs.resume("killed", compute="local[1]").wait(240)
    check_counts(job, succeeded=INPUT_COUNT - len(BAD), failed=len(BAD))
    (resumed,) = find_events(folder, "resumed")
    assert 0 < resumed["mini_batches"] < INPUT_COUNT // 2
    assert read_output(place, "killed") == read_output(place, whole.name)
    (run,) = job.to_dict()["earlier_runs"]
    assert (run["status"], run["condition"]) == ("Failed", "DRIVER_DIED")
