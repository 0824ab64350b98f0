from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from sparkscore.control.endpoints.request import InvokeRequest
from sparkscore.control.jobs import Job
from sparkscore.control.jobs.processes import is_alive
from sparkscore.control.workspace import Workspace
from sparkscore.errors import InvalidTransitionError
from tests.control.endpoints.samples import deployment, make_endpoint

PROCESSES = 20
STEPS = 3
KILLS = 8


def start(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", *arguments],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def check_consistent(workspace: Workspace) -> None:
    """What any reader sees at any moment holds together."""
    with workspace.store.reading() as reader:
        for endpoint in reader.list_endpoints():
            names = [record.name for record in reader.list_deployments(endpoint.name)]
            assert endpoint.default_deployment in (None, *names)
            for record in reader.list_deployments(endpoint.name):
                assert record.document["model"] == "azureml:weights:1"
                assert record.document["settings"]["mini_batch_size"] in (3, 10)
        for job in reader.list_active_jobs():
            assert job.deployment["name"] == job.deployment_name


def cancel_all(workspace: Workspace) -> None:
    for job in workspace.jobs.list(all_results=True):
        try:
            workspace.jobs.cancel(job.name)
        except InvalidTransitionError as error:
            assert error.condition == "JOB_ENDED"
    deadline = time.monotonic() + 60
    while any(is_going_on(job) for job in workspace.jobs.list(all_results=True)):
        assert time.monotonic() < deadline
        time.sleep(0.2)


def is_going_on(job: Job) -> bool:
    """Whether the job or its launcher has not ended: its database is about to go."""
    return not job.is_ended or is_alive(job.record.launcher) is True


@pytest.mark.slow
def test_processes__lose_nothing_and_show_nothing_half_made(any_workspace: Workspace) -> None:
    workspace = any_workspace
    module, folder = "tests.control.endpoints.concurrent_worker", str(workspace.folder)
    workers = [start(module, folder, str(number), str(STEPS)) for number in range(PROCESSES)]
    while any(worker.poll() is None for worker in workers):
        check_consistent(workspace)
        time.sleep(0.05)
    said: list[dict[str, Any]] = []
    for worker in workers:
        out, err = worker.communicate(timeout=60)
        assert (worker.returncode, err) == (0, "")
        said += map(json.loads, out.splitlines())
    tags = {line["name"] for line in said if line["kind"] == "tag"}
    assert len(tags) == PROCESSES * STEPS
    assert set(workspace.batch_endpoints.get("mood").record.tags) == tags
    assert {job.name for job in workspace.jobs.list(all_results=True)} == {
        line["name"] for line in said if line["kind"] == "job"
    }
    deployments = {one.name: one.to_dict() for one in workspace.batch_deployments.list("mood")}
    assert sorted(deployments) == sorted(f"own-{number}" for number in range(PROCESSES))
    for line in said:
        if line["kind"] == "deployment":
            assert line["tag"] in deployments[line["name"]]["tags"]
    assert [one.name for one in workspace.batch_endpoints.list()] == ["mood"]
    cancel_all(workspace)


@pytest.mark.slow
def test_kill__at_any_moment_leaves_a_consistent_store(workspace: Workspace, place: Path) -> None:
    make_endpoint(workspace, "mood-v1")
    began = time.monotonic()
    invoke_from_the_command_line("whole").communicate(timeout=60)
    whole_seconds = time.monotonic() - began
    for number in range(KILLS):
        killed = invoke_from_the_command_line(f"job-{number}")
        time.sleep(whole_seconds * (0.5 + 0.6 * number / KILLS))
        killed.send_signal(signal.SIGKILL)
        killed.communicate(timeout=60)
        check_consistent(workspace)
        workspace.jobs.list()
        request = InvokeRequest(input="in", job_name=f"job-{number}")
        job = workspace.batch_endpoints.invoke("mood", request)
        assert (Path(job.record.folder) / "launch.json").exists()
        assert job.record.launcher is not None
    names = {job.name for job in workspace.jobs.list(all_results=True)}
    assert names == {"whole", *(f"job-{number}" for number in range(KILLS))}
    leftovers = [path.name for path in (place / "ws" / "jobs").iterdir() if path.name not in names]
    assert all(name.endswith(".partial") for name in leftovers)
    cancel_all(workspace)


def invoke_from_the_command_line(job_name: str) -> subprocess.Popen[str]:
    words = f"batch-endpoint invoke -w ws -n mood --input in --job-name {job_name}"
    return start("sparkscore.cli", *words.replace("-w ws", f"-w {os.getcwd()}/ws").split())


def test_update__two_at_once_keep_both_changes(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_endpoint(workspace, "mood-v1")
    other = Workspace(workspace.config)
    environments = workspace.environments
    resolve = environments.register_inline
    raced: list[bool] = []

    def race(*arguments: Any, **named: Any) -> Any:
        """Somebody else changes the deployment while this update registers what it needs."""
        if not raced:
            raced.append(True)
            other.batch_deployments.update("mood-v1", "mood", overrides=["mini_batch_size=3"])
        return resolve(*arguments, **named)

    monkeypatch.setattr(environments, "register_inline", race)
    workspace.batch_deployments.update(
        "mood-v1", "mood", overrides=["environment={image: 'python:3.11'}", "timeout=9"]
    )
    settings = workspace.batch_deployments.get("mood-v1", "mood").to_dict()["settings"]
    assert raced == [True]
    assert (settings["mini_batch_size"], settings["retry_settings"]["timeout"]) == (3, 9)
    other.close()


def test_create__deployment_of_an_endpoint_deleted_meanwhile(workspace: Workspace) -> None:
    make_endpoint(workspace)
    content = deployment("mood-v1")
    workspace.batch_endpoints.delete("mood")
    with pytest.raises(Exception, match="mood"):
        workspace.batch_deployments.create(content)
    assert workspace.batch_endpoints.list() == []
