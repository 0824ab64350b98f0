"""Jobs on a Databricks workspace: invoked, and of a bundle that is run from the Jobs page.

The workspace is one of the tests; its driver is a real process with a real Spark, in a Python that
is not its own. All files are in a store: staging, input and output.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import yaml

from sparkscore.control import InvokeRequest
from sparkscore.control import Workspace as ControlWorkspace
from sparkscore.control.compile import compile_deployment
from sparkscore.control.options import CompileOptions, RunOptions
from sparkscore.driver.staged_waves import COMMIT_NAME
from tests.control.samples import make_quiet_workspace, write_deployment
from tests.servers.databricks import Run, Workspace, databricks_workspace
from tests.servers.databricks_bodies import resolve_variables
from tests.servers.store import StoreServer
from tests.spark.drivers import wait_until
from tests.targets.test_databricks_compile import COMPUTE

pytestmark = [pytest.mark.spark, pytest.mark.slow]

SCRIPT = """\
import os, time

def init():
    pass

def run(mini_batch):
    time.sleep(float(os.environ["SECONDS"]))
    return [f"{open(path).read()} of {len(mini_batch)}" for path in mini_batch]
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
    """A deployment file whose script waits SECONDS for each mini-batch of two."""
    file = write_deployment(place, mini_batch_size=2, compute="azureml:dbx", **fields)
    (file.parent / "code" / "score.py").write_text(SCRIPT)
    return file


def describe_compute(store: StoreServer, **keys: Any) -> dict[str, Any]:
    staging = f"{store.uri}/staging"
    return {**COMPUTE, "name": "dbx", "type": "databricks", "staging": staging, **keys}


def compile_bundle(place: Path, store: StoreServer) -> Path:
    """Compile a job whose staging folder, input and output are in the store."""
    file = write_files(place / "deployment", environment_variables={"SECONDS": "0"})
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


def test_invoke__a_lost_driver_costs_no_result(
    tmp_path: Path, workspace: Workspace, s3_store: StoreServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in workspace.client_environment.items():
        monkeypatch.setenv(name, value)
    for number in range(24):
        s3_store.put(f"images/{number}.txt", str(number).encode())
    file = write_files(
        tmp_path / "deployment",
        environment_variables={"SECONDS": "0.5"},
        checkpoint_interval=1,
        max_concurrency_per_instance=2,
    )
    with closing(ControlWorkspace.open(make_quiet_workspace(tmp_path / "ws"))) as ours:
        ours.computes.create(describe_compute(s3_store, host=workspace.url))
        ours.batch_endpoints.create(name="digit-endpoint")
        ours.batch_deployments.create(file, set_default=True)
        request = InvokeRequest(
            input=f"{s3_store.uri}/images",
            output_path=f"{s3_store.uri}/out/monday",
            job_name="monday",
        )
        invoked = ours.batch_endpoints.invoke("digit-endpoint", request)
        run = lose_driver(workspace, s3_store, "staging/monday")
        job = invoked.wait(200)
        assert run.log is not None
        assert job.status == "Completed", (job.record.error, run.log.read_text())
        wait_until(lambda: run.result is not None)  # the job ends a moment before its run
        assert (len(workspace.runs), run.attempts, run.result) == (1, 1, "SUCCESS")
        shown = job.to_dict()["platform_run"]
        assert (shown["platform"], shown["run_id"]) == ("databricks", str(run.run_id))
        assert shown["url"] == f"{workspace.url}/?o=1#job/1/run/{run.run_id}"
        assert job.input_counts is not None
        assert (job.input_counts["succeeded"], job.input_counts["total"]) == (24, 24)
    rows = read_rows(s3_store, "out/monday/predictions.csv")
    assert rows == sorted(f"{number} of 2" for number in range(24))
    events = map(json.loads, read_staged(s3_store, "monday/events.jsonl").splitlines())
    (resumed,) = [event for event in events if event["type"] == "resumed"]
    assert 0 < resumed["details"]["mini_batches"] < 12


def lose_driver(workspace: Workspace, store: StoreServer, folder: str) -> Run:
    """Take the machine of the first run's driver away once some of its work is safe."""
    wait_until(lambda: bool(workspace.runs))
    (run,) = workspace.runs.values()
    wait_for_wave(store, folder, run)
    assert run.process is not None
    run.process.kill()
    return run


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
    assert rows == [f"other {number} of 4" for number in range(4)]
    summary = json.loads(read_staged(s3_store, f"bundled/runs/{run.run_id}/summary.json"))
    assert (summary["job"], summary["status"]) == (f"bundled-{run.run_id}", "Completed")
