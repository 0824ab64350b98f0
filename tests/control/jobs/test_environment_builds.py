"""Jobs whose environment is built before their driver starts."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sparkscore.control.one_shot import make_job, prepare_run
from sparkscore.control.options import RunOptions
from sparkscore.control.workspace import Workspace
from sparkscore.state import JobRecord
from tests.control.jobs.conftest import make_record, wait_until
from tests.control.samples import write_deployment

GetRecord = Callable[[str], JobRecord]
AddJob = Callable[..., JobRecord]


@pytest.fixture
def silent_index() -> Iterator[str]:
    """A package index that takes requests and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}/simple"


@pytest.fixture
def add_job(workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AddJob:
    """Makes a job with an environment of these requirements, in a cache of its own."""
    monkeypatch.setenv("SPARKSCORE_CACHE_DIR", str(tmp_path / "cache"))

    def add(*requirements: str) -> JobRecord:
        folder, source = workspace.jobs.get_local_folder("job"), tmp_path / "source"
        file = write_deployment(source, environment={"requirements": list(requirements)})
        make_job(prepare_run(RunOptions(file, str(source / "in"), job_folder=folder)))
        with workspace.store.writing() as writer:
            return writer.add_job(make_record("job", folder=str(folder)))

    return add


def test_environment__that_cannot_be_built_fails_the_job(
    workspace: Workspace, add_job: AddJob, get_record: GetRecord
) -> None:
    add_job("--no-index", "six==99")
    workspace.jobs.start("job")
    record = wait_until(lambda: (found := get_record("job")).status == "Failed" and found)
    assert record.error["condition"] == "ENVIRONMENT_NOT_BUILT"
    log = Path(record.error["log"])
    assert log == Path(record.folder) / "logs" / "environment.log"
    assert "six==99" in log.read_text()
    assert record.driver is None


def test_environment__build_ends_with_cancel(
    workspace: Workspace, add_job: AddJob, get_record: GetRecord, silent_index: str
) -> None:
    record: Any = add_job(f"--index-url {silent_index}", "six==99")
    workspace.jobs.start("job")
    log = Path(record.folder) / "logs" / "environment.log"
    wait_until(lambda: log.exists() and "pip install" in log.read_text())
    assert get_record("job").status == "Starting"
    workspace.jobs.cancel("job")
    wait_until(lambda: get_record("job").status == "Canceled")
