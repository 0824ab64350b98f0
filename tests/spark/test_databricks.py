"""Jobs on a Databricks workspace: invoked, and of a bundle that is run from the Jobs page.

The workspace is one of the tests; its driver is a real process with a real Spark, in a Python that
is not its own. All files are in a store: staging, input and output.
"""

from __future__ import annotations

import functools
import json
import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from sparkscore.control import InvokeRequest
from sparkscore.control import Workspace as ControlWorkspace
from sparkscore.control.compile import compile_deployment
from sparkscore.control.options import CompileOptions, RunOptions
from sparkscore.driver.staged_waves import COMMIT_NAME
from tests.built_environments import (
    OWN_PYTHON,
    get_cache_variables,
    get_other_environment,
    get_other_request,
)
from tests.control.samples import make_quiet_workspace, write_deployment
from tests.servers.databricks import Run, Workspace, databricks_workspace
from tests.servers.databricks_bodies import resolve_variables
from tests.servers.store import StoreServer
from tests.spark.drivers import find_events, wait_until
from tests.targets.test_databricks_compile import COMPUTE

pytestmark = [pytest.mark.spark, pytest.mark.slow]

SCRIPT = """\
import os, sys, time
import pandas as pd

def init():
    pass

def run(mini_batch):
    gate = os.environ.get("GATE")
    for path in mini_batch:
        print("scores", path[-6:])
        while gate and path[-6:] >= "16.txt" and not os.path.exists(gate):
            time.sleep(0.1)
    return [ROW.format(open(path).read(), len(mini_batch)) for path in mini_batch]

ROW = "{} of {} in %d.%d with " % sys.version_info[:2] + pd.__version__
"""
FILE_PATH = "${workspace.file_path}"


@pytest.fixture
def workspace(
    tmp_path: Path, s3_store: StoreServer, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Workspace]:
    for name, value in s3_store.environment.items():
        monkeypatch.setenv(name, value)
    folder = tmp_path / "workspace"
    folder.mkdir()
    environment = s3_store.environment
    with databricks_workspace(folder, executing=True, environment=environment) as running:
        yield running


def write_files(place: Path, **fields: Any) -> Path:
    """A deployment file of mini-batches of two."""
    file = write_deployment(place, mini_batch_size=2, compute="azureml:dbx", **fields)
    (file.parent / "code" / "score.py").write_text(SCRIPT)
    return file


def describe_compute(store: StoreServer, **keys: Any) -> dict[str, Any]:
    staging = f"{store.uri}/staging"
    return {**COMPUTE, "name": "dbx", "type": "databricks", "staging": staging, **keys}


def compile_bundle(place: Path, store: StoreServer) -> Path:
    """Compile a job whose staging folder, input and output are in the store."""
    file = write_files(place / "deployment")
    (place / "compute.yml").write_text(yaml.safe_dump(describe_compute(store)))
    run = RunOptions(
        file=file,
        input=f"{store.uri}/images",
        output_path=f"{store.uri}/results",
        job_folder=place / "bundled",
        compute=str(place / "compute.yml"),
    )
    options = CompileOptions(run, "databricks-bundle", place / "compiled")
    return compile_deployment(options).folder


def read_bundle(folder: Path) -> dict[str, Any]:
    """The bundle's job as it is deployed: its files stay where they are."""
    document = resolve_variables(yaml.safe_load((folder / "databricks.yml").read_text()))
    text = json.dumps(document["resources"]["jobs"]["scoring"])
    deployed: dict[str, Any] = json.loads(
        text.replace(FILE_PATH, str(folder)).replace("./score.py", str(folder / "score.py"))
    )
    return deployed


def run_now(workspace: Workspace, job: Mapping[str, Any], **parameters: str) -> Run:
    created = workspace.answer("POST", "/api/2.2/jobs/create", job)
    given = {"job_id": created["job_id"], "job_parameters": parameters}
    return workspace.get_run(workspace.answer("POST", "/api/2.2/jobs/run-now", given)["run_id"])


def wait_for_success(workspace: Workspace, run: Run) -> None:
    workspace.threads[-1].join(timeout=240)
    assert run.log is not None
    assert run.result == "SUCCESS", run.log.read_text(errors="replace")


def open_folder(store: StoreServer) -> Any:
    import fsspec

    return fsspec.filesystem("s3", skip_instance_cache=True, use_listings_cache=False)


def wait_for_wave(store: StoreServer, folder: str, run: Run) -> None:
    """Until the copy of the job's folder has a wave that counts."""
    files = open_folder(store)
    deadline = time.monotonic() + 120
    while not any(name.endswith(f"/{COMMIT_NAME}") for name in files.find(f"bucket/{folder}")):
        assert run.log is not None
        assert not run.has_ended(), run.log.read_text()
        assert time.monotonic() < deadline, run.log.read_text()
        time.sleep(0.1)


def read_rows(store: StoreServer, path: str) -> list[str]:
    return sorted(open_folder(store).cat_file(f"bucket/{path}").decode().splitlines()[1:])


def read_staged(store: StoreServer, path: str) -> str:
    content: bytes = open_folder(store).cat_file(f"bucket/staging/{path}")
    return content.decode()


@pytest.fixture
def ours(
    tmp_path: Path, workspace: Workspace, s3_store: StoreServer, monkeypatch: pytest.MonkeyPatch
) -> Iterator[ControlWorkspace]:
    """Ours, with the compute ``dbx``. Scripts run in another Python than Spark's workers, and score
    the last third of the inputs once the file GATE is there.
    """
    for name, value in {**workspace.client_environment, **get_cache_variables()}.items():
        monkeypatch.setenv(name, value)
    get_other_environment()
    wanted = get_other_request()
    file = write_files(
        tmp_path / "deployment",
        environment={"python_version": wanted.python, "requirements": [*wanted.requirements]},
        environment_variables={"GATE": str(tmp_path / "gate")},
        max_concurrency_per_instance=2,
    )
    with closing(ControlWorkspace.open(make_quiet_workspace(tmp_path / "ws"))) as ours:
        ours.computes.create(describe_compute(s3_store, host=workspace.url))
        ours.batch_endpoints.create(name="digit-endpoint")
        ours.batch_deployments.create(file, set_default=True)
        yield ours


def test_invoke__lost_canceled_failed_and_resumed(
    tmp_path: Path, ours: ControlWorkspace, workspace: Workspace, s3_store: StoreServer
) -> None:
    """One job through all that may happen to it; each input is scored once."""
    for number in range(24):
        s3_store.put(f"images/{number:02d}.txt", str(number).encode())
    request = InvokeRequest(
        input=f"{s3_store.uri}/images",
        output_path=f"{s3_store.uri}/out/monday",
        job_name="monday",
    )
    ours.batch_endpoints.invoke("digit-endpoint", request)
    lose_driver_and_cancel(ours, workspace, s3_store)
    lose_both_drivers(ours, workspace)
    cancel_on_the_platform(ours, workspace)
    (tmp_path / "gate").touch()
    ours.jobs.resume("monday")
    seen: list[str] = []
    job = ours.jobs.stream("monday", on_status=lambda status: seen.append(status.status))
    run = workspace.get_run(1003)
    assert run.log is not None
    assert job.status == "Completed", (job.record.error, run.log.read_text())
    assert {"Running", "Completed"} <= set(seen)
    wait_until(lambda: run.result is not None)  # the job ends a moment before its run
    assert (len(workspace.runs), run.attempts, run.result) == (4, 0, "SUCCESS")
    shown = job.to_dict()["platform_run"]
    assert (shown["platform"], shown["run_id"]) == ("databricks", str(run.run_id))
    assert shown["url"] == f"{workspace.url}/?o=1#job/1/run/{run.run_id}"
    assert job.input_counts == {"total": 24, "succeeded": 24, "failed": 0, "unprocessed": 0}
    rows = read_rows(s3_store, "out/monday/predictions.csv")
    there = f"in {get_other_request().python} with {get_other_environment().packages['pandas']}"
    assert rows == sorted(f"{number} of 2 {there}" for number in range(24))
    assert get_other_request().python != OWN_PYTHON
    (archive,) = open_folder(s3_store).glob("bucket/staging/monday/environment-*.tar.zst")
    assert archive
    down = ours.jobs.download("monday", download_path=tmp_path / "down")
    (file,) = down.rglob("predictions.csv")
    assert sorted(file.read_text().splitlines()[1:]) == rows
    logs = [line for line in ours.jobs.iter_logs("monday") if "scores" in line]
    assert {f"{number}.txt" for number in range(16, 24)} <= {line.split()[-1] for line in logs}


def lose_driver_and_cancel(
    ours: ControlWorkspace, workspace: Workspace, store: StoreServer
) -> None:
    """The workspace starts the lost driver again, which goes on and hears of the cancellation."""
    wait_until(lambda: bool(workspace.runs))
    (run,) = workspace.runs.values()
    wait_for_wave(store, "staging/monday", run)
    workspace.lose_driver(run.run_id)
    wait_until(lambda: run.attempts == 1 and has_resumed(ours))
    ours.jobs.cancel("monday")
    job = ours.jobs.get("monday").wait(120)
    assert (job.status, job.input_counts) == (
        "Canceled",
        {"total": 24, "succeeded": 16, "failed": 0, "unprocessed": 8},
    )
    wait_until(run.has_ended)
    assert run.result == "FAILED"  # the driver's own end: nobody asked the workspace
    assert not any(path.endswith("/runs/cancel") for _, path, _ in workspace.requests)
    assert not open_folder(store).exists("bucket/out/monday")


def has_resumed(ours: ControlWorkspace) -> bool:
    folder = Path(ours.jobs.get("monday").record.folder)
    return [event["mini_batches"] for event in find_events(folder, "resumed")] == [8]


def lose_both_drivers(ours: ControlWorkspace, workspace: Workspace) -> None:
    ours.jobs.resume("monday")
    for attempt in range(2):
        wait_until(functools.partial(has_driver, workspace, 1001, attempt=attempt))
        workspace.lose_driver(1001)
    job = ours.jobs.get("monday").wait(60)
    assert job.status == "Failed"
    assert job.record.error is not None
    assert job.record.error["condition"] == "PLATFORM_RUN_FAILED"
    assert "exit code -9" in job.record.error["message"]
    assert job.to_dict()["platform_run"]["run_id"] == "1001"


def has_driver(workspace: Workspace, run_id: int, *, attempt: int) -> bool:
    run = workspace.runs.get(run_id)
    return run is not None and run.process is not None and run.attempts == attempt


def cancel_on_the_platform(ours: ControlWorkspace, workspace: Workspace) -> None:
    ours.jobs.resume("monday")
    wait_until(lambda: 1002 in workspace.runs)
    workspace.answer("POST", "/api/2.2/jobs/runs/cancel", {"run_id": 1002})
    job = ours.jobs.get("monday").wait(60)
    assert job.status == "Canceled", job.record.error


def test_job__of_a_bundle_with_other_parameters(
    tmp_path: Path, workspace: Workspace, s3_store: StoreServer
) -> None:
    folder = compile_bundle(tmp_path, s3_store)
    for number in range(4):
        s3_store.put(f"other/{number}.txt", f"other {number}".encode())
    run = run_now(
        workspace,
        read_bundle(folder),
        input=f"{s3_store.uri}/other",
        output=f"{s3_store.uri}/mine/{{run}}",
        overrides="mini_batch_size=4",
    )
    wait_for_success(workspace, run)
    rows = read_rows(s3_store, f"mine/{run.run_id}/predictions.csv")
    here = f"in {OWN_PYTHON} with {pd.__version__}"
    assert rows == [f"other {number} of 4 {here}" for number in range(4)]
    summary = json.loads(read_staged(s3_store, f"bundled/runs/{run.run_id}/summary.json"))
    assert (summary["job"], summary["status"]) == (f"bundled-{run.run_id}", "Completed")
