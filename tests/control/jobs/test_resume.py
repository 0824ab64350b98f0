"""``Jobs.resume``: jobs that ended early go on, whoever is killed on the way."""

from __future__ import annotations

import dataclasses
import json
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from sparkscore.control.jobs import Job
from sparkscore.control.jobs.launcher import Launcher
from sparkscore.control.jobs.look import change_job
from sparkscore.control.jobs.processes import get_own_identity, is_alive
from sparkscore.control.jobs.refresh import end_with_error
from sparkscore.control.workspace import Workspace
from sparkscore.errors import InvalidTransitionError, SparkscoreError, StateError
from sparkscore.spec import load_deployment
from sparkscore.state import JobRecord
from tests.control.jobs.conftest import AddJob, kill, let_go, make_record, wait_until

GetRecord = Callable[..., JobRecord]
Behave = Callable[[str], None]
FailJob = Callable[..., JobRecord]

STEPS = ("open", "os.rename", "os.remove", "subprocess.Popen")
KILLED_AT_STEP = f"""\
import os, signal, sys
from sparkscore.control.workspace import Workspace
workspace, step = Workspace.open(sys.argv[1]), int(sys.argv[2])
workspace.jobs.get("job")
left = [step]
def count(event, arguments):
    writes = event != "open" or isinstance(arguments[1], str) and arguments[1][0] in "wax"
    if event in {STEPS} and writes and "/jobs/job" in repr(arguments):
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(count)
workspace.jobs.resume("job", overrides=["error_threshold=-1"])
print(step - left[0])
"""


def read_launch(record: JobRecord, name: str = "launch.json") -> dict[str, Any]:
    content: dict[str, Any] = json.loads((Path(record.folder) / name).read_text())
    return content


@pytest.fixture
def fail_job(
    workspace: Workspace, add_job: AddJob, behave: Behave, get_record: GetRecord, tmp_path: Path
) -> FailJob:
    """Runs a job whose driver fails; drivers that are started later complete."""

    def fail(name: str = "job") -> JobRecord:
        behave("fail")
        add_job(name)
        document = load_deployment(tmp_path / "source" / name / "deployment.yml").spec.to_document()
        change_job(workspace.store, name, lambda job: dataclasses.replace(job, deployment=document))
        assert workspace.jobs.start(name).wait(60).status == "Failed"
        behave("complete")
        return get_record(name)

    return fail


def test_resume__failed_job_completes(
    workspace: Workspace, fail_job: FailJob, get_record: GetRecord
) -> None:
    failed = fail_job()
    resumed = workspace.jobs.resume(
        "job", overrides=["error_threshold=7"], conf=["spark.a=1"], compute="local[2]"
    )
    assert resumed.status == "Queued"
    assert (resumed.summary, resumed.record.error) == (None, None)
    job = resumed.wait(60)
    assert job.status == "Completed"
    launch = read_launch(failed)
    assert launch["scoring"]["error_threshold"] == 7
    assert (launch["master"], launch["spark_conf"]) == ("local[2]", {"spark.a": "1"})
    assert read_launch(failed, "launch-1.json")["scoring"]["error_threshold"] == -1
    assert read_launch(failed, "summary-1.json")["status"] == "Failed"
    record = get_record()
    assert record.compute == {"name": "local[2]", "master": "local[2]"}
    assert record.deployment["settings"]["error_threshold"] == 7
    assert (record.sequence, record.created_at) == (failed.sequence, failed.created_at)
    (run,) = job.to_dict()["earlier_runs"]
    assert (run["status"], run["condition"]) == ("Failed", "ERROR_THRESHOLD_EXCEEDED")
    assert run["inputs"] == {"total": 8, "succeeded": 0, "failed": 0}
    assert run["started_at"] <= run["ended_at"] <= run["resumed_at"]
    assert run["compute"] == failed.compute["name"] != "local[2]"


def test_resume__again_and_again(
    workspace: Workspace, fail_job: FailJob, behave: Behave, get_record: GetRecord
) -> None:
    fail_job()
    behave("fail")
    assert workspace.jobs.resume("job").wait(60).status == "Failed"
    behave("complete")
    assert workspace.jobs.resume("job").wait(60).status == "Completed"
    assert [run["status"] for run in get_record().earlier_runs] == ["Failed", "Failed"]


def test_resume__canceled_job(
    workspace: Workspace, add_job: AddJob, behave: Behave, get_record: GetRecord
) -> None:
    behave("wait")
    add_job()
    workspace.jobs.start("job")
    wait_until(lambda: get_record().status == "Running")
    assert workspace.jobs.cancel("job").wait(60).status == "Canceled"
    behave("complete")
    assert workspace.jobs.resume("job").wait(60).status == "Completed"
    assert get_record().cancel_requested_at is None
    assert get_record().earlier_runs[0]["condition"] == "CANCELED"


def test_resume__job_canceled_before_it_started(workspace: Workspace, add_job: AddJob) -> None:
    add_job()
    assert workspace.jobs.cancel("job").status == "Canceled"
    assert workspace.jobs.resume("job").wait(60).status == "Completed"


def test_resume__launcher_and_driver_were_killed(
    workspace: Workspace, add_job: AddJob, behave: Behave, get_record: GetRecord
) -> None:
    behave("wait")
    add_job()
    workspace.jobs.start("job")
    wait_until(lambda: get_record().driver is not None and get_record().status == "Running")
    record = get_record()
    kill(record.launcher)
    kill(record.driver)
    wait_until(lambda: not _has_processes(record))
    behave("complete")
    resumed = workspace.jobs.resume("job")
    assert resumed.wait(60).status == "Completed"
    assert get_record().earlier_runs[0]["condition"] == "DRIVER_DIED"


def test_resume__takes_its_turn(
    workspace: Workspace, fail_job: FailJob, add_job: AddJob, behave: Behave, get_record: GetRecord
) -> None:
    fail_job()
    behave("wait_for_go")
    add_job("other")
    workspace.jobs.start("other")
    wait_until(lambda: get_record("other").status == "Running")
    behave("complete")
    assert workspace.jobs.resume("job").status == "Queued"
    assert workspace.jobs.count_ahead("job") == 1
    let_go(workspace, "other")
    assert workspace.jobs.get("job").wait(60).status == "Completed"


def test_resume__two_at_once(
    workspace: Workspace, fail_job: FailJob, get_record: GetRecord
) -> None:
    def resume(threshold: int) -> Job | SparkscoreError:
        try:
            return workspace.jobs.resume("job", overrides=[f"error_threshold={threshold}"])
        except SparkscoreError as error:
            return error

    fail_job()
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(resume, [3, 4, 5, 6]))
    refused = [answer.condition for answer in answers if isinstance(answer, SparkscoreError)]
    assert len(refused) == 3
    assert {*refused} <= {"JOB_NOT_ENDED", "JOB_COMPLETED"}
    assert workspace.jobs.get("job").wait(60).status == "Completed"
    record = get_record()
    assert len(record.earlier_runs) == 1
    (winner,) = [3 + at for at, answer in enumerate(answers) if isinstance(answer, Job)]
    assert read_launch(record)["scoring"]["error_threshold"] == winner
    assert record.deployment["settings"]["error_threshold"] == winner
    assert not (Path(record.folder) / "launch-2.json").exists()


@pytest.mark.slow
def test_resume__killed_between_any_two_steps(workspace: Workspace, fail_job: FailJob) -> None:
    step, steps = 0, 1
    while step < steps:
        step += 1
        name = f"step {step}"
        record = fail_job("job") if step == 1 else _fail_again(workspace)
        done = subprocess.run(
            [sys.executable, "-c", KILLED_AT_STEP, str(workspace.folder), str(step)],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode == 0:
            assert int(done.stdout) < step
            assert workspace.jobs.get("job").wait(60).status == "Completed", name
            break
        assert done.returncode == -signal.SIGKILL, done.stderr
        steps += 1
        job = workspace.jobs.get("job")
        if not job.is_ended and job.record.launcher is not None:
            assert job.wait(60).status == "Completed", name
            continue
        assert workspace.jobs.resume("job").wait(60).status == "Completed", name
        assert read_launch(record)["scoring"]["error_threshold"] == -1
    assert step > 5


def _fail_again(workspace: Workspace) -> JobRecord:
    """The completed job as one that has failed once."""
    with workspace.store.reading() as reader:
        record = reader.get_job("job")
    wait_until(lambda: not _has_processes(record))

    def change(job: JobRecord) -> JobRecord:
        return dataclasses.replace(job, status="Failed", error={"condition": "X"}, earlier_runs=[])

    record = change_job(workspace.store, "job", change)
    summary = json.loads((Path(record.folder) / "summary.json").read_text())
    (Path(record.folder) / "summary.json").write_text(json.dumps({**summary, "status": "Failed"}))
    return record


def _has_processes(record: JobRecord) -> bool:
    return bool(is_alive(record.launcher) or is_alive(record.driver))


def test_resume__of_a_job_that_nobody_launched(
    workspace: Workspace, add_job: AddJob, get_record: GetRecord
) -> None:
    gone = dataclasses.replace(get_own_identity(), start_token="other-boot:1:1")
    add_job(creator=gone)
    assert workspace.jobs.resume("job").wait(60).status == "Completed"
    assert get_record().earlier_runs[0]["condition"] == "LAUNCH_INTERRUPTED"


def test_resume__completed(workspace: Workspace, add_job: AddJob, get_record: GetRecord) -> None:
    add_job()
    workspace.jobs.start("job").wait(60)
    before = get_record()
    with pytest.raises(InvalidTransitionError) as caught:
        workspace.jobs.resume("job")
    assert caught.value.condition == "JOB_COMPLETED"
    assert get_record() == before


def test_resume__completed_unseen(
    workspace: Workspace, add_job: AddJob, get_record: GetRecord
) -> None:
    add_job()
    workspace.jobs.start("job").wait(60)
    error = {"condition": "DRIVER_DIED", "message": "it seemed so"}
    change_job(
        workspace.store,
        "job",
        lambda job: dataclasses.replace(job, status="Failed", error=error, summary=None),
    )
    job = workspace.jobs.resume("job")
    assert (job.status, job.record.error) == ("Completed", None)
    assert job.input_counts == {"total": 8, "succeeded": 8, "failed": 0, "unprocessed": 0}
    assert not (Path(job.record.folder) / "launch-1.json").exists()
    assert get_record() == job.record


def test_resume__while_it_runs(
    workspace: Workspace, add_job: AddJob, behave: Behave, get_record: GetRecord
) -> None:
    behave("wait_for_go")
    add_job()
    workspace.jobs.start("job")
    wait_until(lambda: get_record().status == "Running")
    with pytest.raises(InvalidTransitionError) as caught:
        workspace.jobs.resume("job")
    assert caught.value.condition == "JOB_NOT_ENDED"
    let_go(workspace)
    assert workspace.jobs.get("job").wait(60).status == "Completed"


@pytest.mark.parametrize(
    ("prune", "condition"), [(True, "JOB_PRUNED"), (False, "JOB_FOLDER_NOT_FOUND")]
)
def test_resume__without_its_folder(workspace: Workspace, prune: bool, condition: str) -> None:
    record = make_record(folder=str(workspace.jobs.get_local_folder("job")), status="Failed")
    properties = {"sparkscore.pruned_at": "2026-01-01"} if prune else {}
    with workspace.store.writing() as writer:
        writer.add_job(dataclasses.replace(record, properties=properties))
    with pytest.raises(StateError) as caught:
        workspace.jobs.resume("job")
    assert caught.value.condition == condition


def test_resume__refuses_what_would_change_the_output(
    workspace: Workspace, fail_job: FailJob, get_record: GetRecord
) -> None:
    record = fail_job()
    for wrong in ("mini_batch_size=3", "model.path=x", "nonsense=1"):
        with pytest.raises(SparkscoreError) as caught:
            workspace.jobs.resume("job", overrides=[wrong])
        assert caught.value.condition == "NOT_RESUMABLE"
    (Path(record.folder) / "code" / "helper.py").write_text("prefix = 'b'\n")
    with pytest.raises(StateError) as changed:
        workspace.jobs.resume("job")
    assert changed.value.condition == "RESUME_MISMATCH"
    assert get_record() == record
    assert not (Path(record.folder) / "launch-1.json").exists()


@pytest.fixture
def masters() -> Iterator[dict[str, str]]:
    """Addresses at which somebody listens, as Spark masters."""
    with socket.create_server(("127.0.0.1", 0)) as old, socket.create_server(("", 0)) as new:
        yield {
            "old": f"spark://127.0.0.1:{old.getsockname()[1]}",
            "new": f"spark://127.0.0.1:{new.getsockname()[1]}",
        }


def test_resume__on_another_compute_of_the_workspace(
    workspace: Workspace, fail_job: FailJob, behave: Behave, masters: dict[str, str]
) -> None:
    settings = {"spark.x": "new", "spark.y": "new"}
    for name, conf in {"old": {"spark.x": "old", "spark.z": "old"}, "new": settings}.items():
        workspace.computes.create(
            {"name": name, "type": "spark", "master": masters[name], "spark_conf": conf},
            min_instances=0,
            max_instances=2,
        )
    record = fail_job()
    behave("fail")
    workspace.jobs.resume("job", compute="old", conf=["spark.kept=1"]).wait(60)
    job = workspace.jobs.resume("job", compute="azureml:new")
    assert job.record.compute == {"name": "new", "master": masters["new"]}
    launch = read_launch(record)
    assert launch["master"] == masters["new"]
    assert launch["spark_conf"] == {**settings, "spark.kept": "1"}
    job.wait(60)
    for compute, condition in {
        "nwe": "COMPUTE_NOT_FOUND",
        "new": "INSTANCE_COUNT_OUT_OF_RANGE",
    }.items():
        with pytest.raises(SparkscoreError) as caught:
            workspace.jobs.resume("job", compute=compute, overrides=["instance_count=3"])
        assert caught.value.condition == condition


def test_resume__on_a_compute_that_does_not_see_the_input(
    workspace: Workspace, fail_job: FailJob
) -> None:
    workspace.computes.create(
        {"name": "far", "type": "spark", "master": "spark://far:1", "shared_paths": False}
    )
    fail_job()
    with pytest.raises(SparkscoreError) as caught:
        workspace.jobs.resume("job", compute="far")
    assert caught.value.condition == "LOCAL_DATA_NOT_REACHABLE"


def test_launcher__of_the_run_before_leaves_the_record_alone(
    workspace: Workspace, add_job: AddJob, get_record: GetRecord
) -> None:
    add_job(status="Queued", launcher=dataclasses.replace(get_own_identity(), process_id=1))
    before = get_record()
    launcher = Launcher(
        workspace.store, "job", max_running_jobs=1, workspace_folder=workspace.folder
    )
    launcher._store_end(partial(end_with_error, error=StateError("late")))
    assert launcher._take_turn() is False
    assert get_record() == before
