"""A workspace whose jobs run the fake driver, detached, as real ones do."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest

from sparkscore.control.jobs.processes import get_own_identity, is_alive
from sparkscore.control.one_shot import make_job, prepare_run
from sparkscore.control.options import RunOptions
from sparkscore.control.workspace import Workspace
from sparkscore.state import JobRecord
from tests.control.samples import make_quiet_workspace, write_deployment, write_java

STAND_IN = Path(__file__).parent / "stand_in"

AddJob = Callable[..., JobRecord]


def make_record(name: str = "job", **fields: Any) -> JobRecord:
    """A job that was just recorded by this process."""
    now = time.time()
    return dataclasses.replace(
        JobRecord(
            name=name,
            status="NotStarted",
            folder="",
            request_digest="",
            created_at=now,
            updated_at=now,
            display_name=name,
            experiment_name="digits",
            endpoint_name="digits",
            deployment_name="digits-v1",
            compute={"name": "local", "master": None},
            inputs={"data": {"type": "uri_folder", "path": "in"}},
            outputs={"score": {"type": "uri_file", "path": "out"}},
            creator=get_own_identity(),
        ),
        **fields,
    )


def wait_until(condition: Callable[[], Any], *, seconds: float = 30) -> Any:
    """What ``condition`` gives once that is true."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, "it took too long"
        time.sleep(0.05)
    return value


@pytest.fixture
def files() -> Iterator[Any]:
    """fsspec's store in this process's memory, ``memory://``; empty."""
    content = fsspec.filesystem("memory")
    content.store.clear()
    yield content
    content.store.clear()


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workspace]:
    """A new workspace; processes of its jobs are killed at the end."""
    monkeypatch.setenv("JAVA_HOME", str(write_java(tmp_path / "java")))
    monkeypatch.setenv("PYTHONPATH", str(STAND_IN))
    monkeypatch.setenv("FAKE_DRIVER", "complete")
    opened = Workspace.open(make_quiet_workspace(tmp_path / "ws"))
    yield opened
    with opened.store.reading() as reader:
        records = reader.list_jobs()
    for record in records:
        for process in (record.launcher, record.driver):
            if process is not None and is_alive(process):
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.process_id, signal.SIGKILL)
    opened.close()


@pytest.fixture
def add_job(workspace: Workspace, tmp_path: Path) -> AddJob:
    """Makes a job's folder and its record, as ``invoke`` does before it starts the job."""

    def add(name: str = "job", **fields: Any) -> JobRecord:
        folder = workspace.jobs.get_local_folder(name)
        source = tmp_path / "source" / name
        options = RunOptions(
            file=write_deployment(source), input=str(source / "in"), job_folder=folder
        )
        make_job(prepare_run(options))
        with workspace.store.writing() as writer:
            return writer.add_job(make_record(name, folder=str(folder), **fields))

    return add


@pytest.fixture
def behave(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Says how the drivers of jobs that are started from now on behave; see fake_driver.py."""
    return lambda behaviour: monkeypatch.setenv("FAKE_DRIVER", behaviour)


@pytest.fixture
def get_record(workspace: Workspace) -> Callable[[str], JobRecord]:
    """The record in the store, as it is."""

    def get(name: str = "job") -> JobRecord:
        with workspace.store.reading() as reader:
            return reader.get_job(name)

    return get


def kill(process: Any) -> None:
    """SIGKILL to one recorded process, and nothing else of its group."""
    os.kill(process.process_id, signal.SIGKILL)


def let_go(workspace: Workspace, name: str = "job") -> None:
    """Let a driver that waits for it complete."""
    (workspace.jobs.get_local_folder(name) / "go").touch()
