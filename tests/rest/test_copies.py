"""Jobs whose folder is gone from the server's machine: what is asked for comes from its copy."""

from __future__ import annotations

import io
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from sparkscore.control.workspace import Workspace
from sparkscore.rest.app import create_app
from sparkscore.rest.config import ServerConfig
from sparkscore.storage import open_store
from tests.control.jobs.conftest import make_record
from tests.rest.serving import Client, serving
from tests.servers.store import StoreServer

LOG = b"[mb 000001 try 1] one\n[mb 000000 try 1] two\n"
FILES = {
    "launch.json": b"{}",
    "logs/driver.log": b"started\n",
    "logs/user/stdout/w.txt": LOG,
    "staging/wave-00000.1/part-0.parquet": b"x",
}
RESULTS = b"file,good\na.txt,1\n"


@pytest.fixture
def api(s3_store: StoreServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    """A server of a workspace with one job, of which there is only the copy in a bucket."""
    for name, value in s3_store.environment.items():
        monkeypatch.setenv(name, value)
    place = f"{s3_store.uri}/{uuid4().hex}"
    (tmp_path / "ws").mkdir()
    (tmp_path / "ws" / "sparkscore.toml").write_text(f'[jobs]\nfolder = "{place}/jobs"\n')
    store, root = open_store(place, {})
    for path, content in FILES.items():
        store.pipe_file(f"{root}/jobs/job/{path}", content)
    store.pipe_file(f"{root}/out/moods.csv", RESULTS)
    counts = {"total": 2, "succeeded": 2, "failed": 0}
    output = {"path": f"{place}/out/moods.csv", "format": "csv"}
    record = make_record(
        "job",
        folder=str(tmp_path / "ws" / "jobs" / "job"),
        status="Completed",
        ended_at=time.time(),
        creator=None,
        summary={
            "job": "job",
            "status": "Completed",
            "inputs": counts,
            "output": output,
            "mini_batches": counts,
        },
    )
    workspace = Workspace.open(tmp_path / "ws")
    with workspace.store.writing() as writer:
        writer.add_job(record)
    with serving(create_app(workspace, ServerConfig(no_auth=True))) as address:
        yield Client(address, "/api/v1")
    workspace.close()


def test_copy__has_the_files(api: Client) -> None:
    listed = {one["path"]: one["byte_count"] for one in api.get("/jobs/job/files").json["value"]}
    assert listed == {
        "artifacts/launch.json": 2,
        "artifacts/logs/driver.log": 8,
        "artifacts/logs/user/stdout/w.txt": len(LOG),
        "named-outputs/score/moods.csv": len(RESULTS),
    }
    for path, size in listed.items():
        assert len(api.get(f"/jobs/job/files/{path}").raw) == size
    part = api.get("/jobs/job/files/artifacts/logs/user/stdout/w.txt", Range="bytes=-4")
    assert (part.status, part.raw) == (206, LOG[-4:])
    for hidden in ("staging/wave-00000.1/part-0.parquet", "none", "..%2Fjob%2Flaunch.json"):
        missing = api.get(f"/jobs/job/files/artifacts/{hidden}")
        assert (missing.status, missing.code) == (404, "FILE_NOT_FOUND")


def test_copy__has_the_logs(api: Client) -> None:
    whole = api.get("/jobs/job/logs")
    assert b"==> logs/driver.log <==\nstarted\n" in whole.raw
    assert api.get("/jobs/job/logs?follow=true").raw == whole.raw
    one = api.get("/jobs/job/logs?mini_batch=1").raw
    assert one == b"==> logs/user/stdout/w.txt <==\n" + LOG.splitlines(keepends=True)[0]


def test_copy__is_downloaded(api: Client) -> None:
    archive = zipfile.ZipFile(io.BytesIO(api.get("/jobs/job/download?all=true").raw))
    files = {name: archive.read(name) for name in archive.namelist() if not name.endswith("/")}
    assert files["artifacts/logs/user/stdout/w.txt"] == LOG
    assert files["named-outputs/score/moods.csv"] == RESULTS
    assert not [name for name in files if "staging" in name]
