"""Which run of a job the files in its staging folder are of."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sparkscore.control.jobs.remote_store import RemoteStore
from sparkscore.messages.launch import CANCEL_FILE

URI = "memory://jobs/one"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "job").mkdir()
    (tmp_path / "job" / "launch.json").write_text("{}")
    return tmp_path / "job"


def put(files: Any, name: str, **content: Any) -> None:
    files.pipe_file(f"/jobs/one/{name}", json.dumps(content).encode())


def read(files: Any, name: str) -> Any:
    return json.loads(files.cat_file(f"/jobs/one/{name}"))


@pytest.mark.parametrize(
    ("summary", "is_told"),
    [({"run": 0}, False), ({}, False), ({"run": 1}, True), ({"run": 2}, True)],
)
def test_pull__summary_of_an_earlier_run_is_none(
    files: Any, folder: Path, summary: dict[str, Any], is_told: bool
) -> None:
    store = RemoteStore(URI, {})
    put(files, "summary.json", status="Canceled", **summary)
    put(files, "status.json", status="Canceled", sequence=9)
    assert store.pull_live(folder, run=1) is is_told
    assert (folder / "status.json").exists() is is_told
    store.pull_all(folder, run=1)
    assert (folder / "summary.json").exists() is is_told
    assert (folder / "status.json").exists() is is_told


def test_pull__a_job_that_an_earlier_run_completed_is_over(files: Any, folder: Path) -> None:
    put(files, "summary.json", status="Completed", run=0)
    assert RemoteStore(URI, {}).pull_live(folder, run=3) is True


@pytest.mark.parametrize("content", [b"", b'{"job": "one", "sta', b"[]"])
def test_pull__part_of_a_summary_is_none(files: Any, folder: Path, content: bytes) -> None:
    store = RemoteStore(URI, {})
    files.pipe_file("/jobs/one/summary.json", content)
    assert store.pull_live(folder, run=0) is False
    put(files, "summary.json", status="Failed", run=0)
    assert store.pull_live(folder, run=0) is True


def test_has_completed__of_the_own_job_only(files: Any) -> None:
    store = RemoteStore(URI, {})
    assert not store.has_completed(token="t")
    put(files, "run.json", token="t", run=0)
    assert not store.has_completed(token="t")
    put(files, "summary.json", status="Canceled", run=0)
    assert not store.has_completed(token="t")
    put(files, "summary.json", status="Completed", run=0)
    assert store.has_completed(token="t")
    assert not store.has_completed(token="another")


def test_pull__what_follows_a_late_summary(files: Any, folder: Path) -> None:
    store = RemoteStore(URI, {})
    put(files, "summary.json", run=0, status="Canceled")
    put(files, "status.json", status="Canceled")
    assert store.pull_live(folder, run=1) is False
    put(files, "status.json", status="Running", sequence=10)
    assert store.pull_live(folder, run=1) is False
    assert json.loads((folder / "status.json").read_text())["status"] == "Running"
    put(files, "status.json", status="Completed", sequence=11)
    put(files, "summary.json", run=1, status="Completed")
    assert store.pull_live(folder, run=1) is True
    store.pull_all(folder, run=1)
    assert json.loads((folder / "status.json").read_text())["status"] == "Completed"
    assert json.loads((folder / "summary.json").read_text())["run"] == 1


def test_prepare__stops_drivers_of_earlier_runs_only(files: Any, folder: Path) -> None:
    store = RemoteStore(URI, {})
    store.prepare(folder, token="t", run=0, on_wait=lambda: None)
    assert not files.exists(f"/jobs/one/{CANCEL_FILE}")
    store.ask_cancel(0)
    put(files, "summary.json", run=0, status="Completed")
    store.prepare(folder, token="t", run=1, on_wait=lambda: None)
    assert read(files, CANCEL_FILE)["run"] == 0
    assert read(files, "summary.json")["status"] == "Completed"
    store.ask_cancel(1)
    assert read(files, CANCEL_FILE)["run"] == 1


def test_prepare__uploads_what_all_runs_share_once(files: Any, folder: Path) -> None:
    names = ("code/score.py", "model/weights", "environment-0123.tar.zst", "submit.json")
    for run in range(2):
        for name in names:
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_text(str(run))
        RemoteStore(URI, {}).prepare(folder, token="t", run=run, on_wait=lambda: None)
    assert [read(files, name) for name in names] == [0, 0, 0, 1]
