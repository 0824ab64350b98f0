"""A workspace of somebody else, or on a read-only disk: it can be looked at."""

from __future__ import annotations

import dataclasses
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sparkscore.control.workspace import Workspace
from sparkscore.errors import SparkscoreError
from tests.control.jobs.conftest import make_record
from tests.control.samples import list_files
from tests.state.users import unprivileged


@pytest.fixture
def folder() -> Iterator[Path]:
    """A workspace with an endpoint, data and a job whose processes are dead."""
    with tempfile.TemporaryDirectory() as place:
        os.chmod(place, 0o755)
        folder = Path(place, "ws")
        (Path(place) / "in").mkdir()
        with_jobs = Workspace.open(folder)
        with_jobs.batch_endpoints.create(name="mood")
        with_jobs.data.create(name="texts", version="1", path=f"{place}/in", type="uri_folder")
        creator = make_record().creator
        assert creator is not None
        dead = dataclasses.replace(creator, start_token="boot:0:1")
        fields = {"status": "Running", "started_at": time.time(), "launcher": dead, "driver": dead}
        with with_jobs.store.writing() as writer:
            writer.add_job(make_record("old", folder=f"{place}/no", **fields))
        with_jobs.close()
        for path in [folder, *folder.rglob("*")]:
            path.chmod(0o555 if path.is_dir() else 0o444)
        yield folder
        for path in [folder, *folder.rglob("*")]:
            path.chmod(0o755)


def look(workspace: Workspace) -> dict[str, Any]:
    return {
        "endpoints": [endpoint.name for endpoint in workspace.batch_endpoints.list()],
        "endpoint": workspace.batch_endpoints.get("mood").name,
        "jobs": [(job.name, job.status) for job in workspace.jobs.list()],
        "job": workspace.jobs.get("old").to_dict()["error"]["condition"],
        "data": [data.name for data in workspace.data.list()],
        "datastores": [datastore.name for datastore in workspace.datastores.list()],
        "computes": [compute.name for compute in workspace.computes.list()],
    }


def test_workspace__that_cannot_be_written_can_be_read(folder: Path) -> None:
    before = list_files(folder)
    workspace = Workspace.open(folder)
    with unprivileged():
        found = look(workspace)
        assert found == {
            "endpoints": ["mood"],
            "endpoint": "mood",
            "jobs": [("old", "Failed")],
            "job": "DRIVER_DIED",
            "data": ["texts"],
            "datastores": ["workspaceblobstore"],
            "computes": ["local"],
        }
        with pytest.raises(SparkscoreError) as caught:
            workspace.batch_endpoints.create(name="other")
        assert caught.value.condition == "STORE_NOT_WRITABLE"
        workspace.close()
    assert list_files(folder) == before
