"""Jobs of a workspace: list, change, download, prune. Folders are real, no process is started."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sparkscore.control.jobs import Job
from sparkscore.control.jobs.look import change_job
from sparkscore.control.jobs.processes import get_own_identity
from sparkscore.control.jobs.prune import prune_jobs
from sparkscore.control.workspace import Workspace
from sparkscore.errors import (
    AlreadyExistsError,
    InvalidFieldError,
    InvalidTransitionError,
    NotFoundError,
    SpecError,
    StateError,
    StorageError,
    UnknownFieldError,
)
from sparkscore.state import JobRecord
from sparkscore.state.job_status import resume
from tests.control.jobs.conftest import make_record
from tests.control.samples import list_files

DAY = 24 * 3600.0

AddEnded = Callable[..., JobRecord]


@pytest.fixture
def add_ended(workspace: Workspace, tmp_path: Path) -> AddEnded:
    """Adds a job that has ended, with a folder and, if it completed, a file of results."""

    def add(name: str = "job", status: str = "Completed", **fields: Any) -> JobRecord:
        folder = workspace.jobs.get_local_folder(name)
        (folder / "logs" / "user" / "stdout").mkdir(parents=True)
        (folder / "logs" / "driver.log").write_text("first\nsecond\nno end")
        (folder / "logs" / "launcher.log").write_text("launched\n")
        (folder / "logs" / "user" / "stdout" / "w.txt").write_text("printed\n")
        (folder / "model").mkdir()
        (folder / "model" / "weights.bin").write_bytes(b"\0" * 100)
        (folder / "summary.json").write_text("{}")
        file = tmp_path / "out" / name / "predictions.csv"
        summary = {
            "inputs": {"total": 8, "succeeded": 6, "failed": 2},
            "unprocessed_inputs": 0,
            "output": {"path": str(file), "format": "csv"} if status == "Completed" else None,
        }
        if status == "Completed":
            file.parent.mkdir(parents=True)
            file.write_text("a,b\n1,x\n")
        record = make_record(
            name,
            status=status,
            folder=str(folder),
            launcher=None,
            ended_at=time.time() - 40 * DAY,
            started_at=time.time() - 41 * DAY,
            summary=summary,
            error=None if status == "Completed" else {"condition": "X", "message": "x"},
        )
        with workspace.store.writing() as writer:
            return writer.add_job(dataclasses.replace(record, **fields))

    return add


def names(jobs: list[Job]) -> list[str]:
    return [job.name for job in jobs]


def test_get__unknown_name(workspace: Workspace, add_ended: AddEnded) -> None:
    add_ended("night-run")
    with pytest.raises(NotFoundError) as caught:
        workspace.jobs.get("night-rum")
    assert caught.value.condition == "JOB_NOT_FOUND"
    assert caught.value.attributes["closest"] == "night-run"


def test_to_dict__begins_with_the_name(workspace: Workspace, add_ended: AddEnded) -> None:
    add_ended()
    content = workspace.jobs.get("job").to_dict()
    assert json.dumps(content, indent=4).lstrip("{\n ").startswith('"name": "job"')
    assert content["status"] == "Completed"
    assert content["input_counts"] == {"total": 8, "succeeded": 6, "failed": 2, "unprocessed": 0}
    page = f"{workspace.config.server_url}/studio/jobs/job"
    assert content["interactionEndpoints"] == {"Studio": {"endpoint": page}}
    assert content["services"]["Studio"]["endpoint"] == page
    assert content["properties"]["azureml.deploymentname"] == "digits-v1"
    assert content["properties"]["azureml.endpointname"] == "digits"
    assert content["progress"] is None


def test_list__newest_first_and_in_pages(workspace: Workspace, add_ended: AddEnded) -> None:
    for number in range(5):
        add_ended(f"job-{number}", "Failed" if number % 2 else "Completed")
    jobs = workspace.jobs
    assert names(jobs.list()) == [f"job-{number}" for number in (4, 3, 2, 1, 0)]
    first = jobs.list(max_results=2)
    assert names(first) == ["job-4", "job-3"]
    assert names(jobs.list(max_results=2, before=first[-1].name)) == ["job-2", "job-1"]
    assert names(jobs.list(status="Failed")) == ["job-3", "job-1"]
    assert names(jobs.list(status="Failed", max_results=1)) == ["job-3"]
    assert len(jobs.list(all_results=True, max_results=2)) == 5
    assert jobs.list(endpoint_name="other") == []
    assert jobs.list(parent_job_name="job-1") == []
    assert len(jobs.list(endpoint_name="DIGITS", deployment_name="digits-v1")) == 5


def test_list__status_that_only_reads_so(workspace: Workspace, add_ended: AddEnded) -> None:
    """A driver that died unseen is among the failed ones at once."""
    identity = _replace_token(get_own_identity())
    add_ended(
        "dead",
        "Running",
        ended_at=None,
        summary=None,
        error=None,
        launcher=identity,
        driver=identity,
    )
    (workspace.jobs.get_local_folder("dead") / "summary.json").unlink()
    assert names(workspace.jobs.list(status="Running")) == []
    assert names(workspace.jobs.list(status="Failed")) == ["dead"]


def _replace_token(identity: Any) -> Any:
    return dataclasses.replace(identity, start_token="other-boot:1:1")


def test_list__unknown_status(workspace: Workspace) -> None:
    with pytest.raises(InvalidFieldError) as caught:
        workspace.jobs.list(status="Complete")
    assert caught.value.condition == "UNKNOWN_STATUS"
    assert caught.value.attributes["nearest"] == "Completed"


def test_list__reads_as_a_table(workspace: Workspace, add_ended: AddEnded) -> None:
    add_ended()
    first, second = repr(workspace.jobs.list()).splitlines()
    assert first.split()[:2] == ["name", "status"]
    assert second.split()[:2] == ["job", "Completed"]


def test_archive__and_restore(workspace: Workspace, add_ended: AddEnded) -> None:
    add_ended("a")
    add_ended("b")
    assert workspace.jobs.archive("a").record.is_archived
    assert workspace.jobs.archive("a").record.is_archived
    assert names(workspace.jobs.list()) == ["b"]
    assert names(workspace.jobs.list(archived="only")) == ["a"]
    assert names(workspace.jobs.list(archived="include")) == ["b", "a"]
    workspace.jobs.restore("a")
    assert names(workspace.jobs.list()) == ["b", "a"]


def test_update__what_is_for_people(workspace: Workspace, add_ended: AddEnded) -> None:
    add_ended(tags={"team": "a"})
    job = workspace.jobs.update(
        "job",
        overrides=("display_name=Nightly", "tags.run=7", "properties.owner=me"),
        removals=("tags.team",),
    )
    assert job.record.display_name == "Nightly"
    assert job.record.tags == {"run": "7"}
    assert job.record.properties == {"owner": "me"}
    assert workspace.jobs.get("job").to_dict()["display_name"] == "Nightly"


@pytest.mark.parametrize(
    ("override", "kind"), [("status=Failed", SpecError), ("tag.a=b", UnknownFieldError)]
)
def test_update__refuses(
    workspace: Workspace, add_ended: AddEnded, override: str, kind: type[Exception]
) -> None:
    before = add_ended()
    with pytest.raises(kind):
        workspace.jobs.update("job", overrides=(override,))
    assert workspace.jobs.get("job").record == before


def test_download__output(workspace: Workspace, add_ended: AddEnded, tmp_path: Path) -> None:
    add_ended()
    target = workspace.jobs.download("job", download_path=tmp_path / "here")
    assert target == tmp_path / "here"
    assert list_files(target) == [
        "named-outputs",
        "named-outputs/score",
        "named-outputs/score/predictions.csv",
    ]


def test_download__all(workspace: Workspace, add_ended: AddEnded, tmp_path: Path) -> None:
    add_ended()
    workspace.jobs.download("job", download_path=tmp_path / "here", all=True)
    files = list_files(tmp_path / "here")
    assert "artifacts/logs/driver.log" in files
    assert "artifacts/summary.json" in files
    assert "named-outputs/score/predictions.csv" in files
    assert not any("weights" in file for file in files)


def test_download__folder_whole(workspace: Workspace, add_ended: AddEnded, tmp_path: Path) -> None:
    table = tmp_path / "table"
    (table / "_delta_log").mkdir(parents=True)
    (table / "_delta_log" / "00000000000000000000.json").write_text("{}")
    (table / "part-0.parquet").write_text("")
    add_ended(summary={"inputs": {}, "output": {"path": str(table), "format": "delta"}})
    workspace.jobs.download("job", download_path=tmp_path / "here")
    assert list_files(tmp_path / "here" / "named-outputs" / "score") == [
        "_delta_log",
        "_delta_log/00000000000000000000.json",
        "part-0.parquet",
    ]


def test_download__never_overwrites(
    workspace: Workspace, add_ended: AddEnded, tmp_path: Path
) -> None:
    add_ended()
    mine = tmp_path / "named-outputs" / "score" / "mine.txt"
    mine.parent.mkdir(parents=True)
    mine.write_text("mine")
    with pytest.raises(AlreadyExistsError) as caught:
        workspace.jobs.download("job", download_path=tmp_path, all=True)
    assert caught.value.condition == "DOWNLOAD_EXISTS"
    assert list_files(tmp_path / "named-outputs") == ["score", "score/mine.txt"]
    assert not (tmp_path / "artifacts").exists()


@pytest.mark.parametrize(
    ("fields", "options", "condition"),
    [
        ({"status": "Running", "ended_at": None}, {}, "JOB_NOT_ENDED"),
        ({"status": "Failed"}, {}, "OUTPUT_NOT_FOUND"),
        ({}, {"output_name": "scores"}, "OUTPUT_NOT_FOUND"),
        (
            {"summary": {"output": {"path": "t", "format": "delta", "table": "c.s.t"}}},
            {},
            "OUTPUT_IS_TABLE",
        ),
        (
            {"summary": {"output": {"path": "/no/such/file", "format": "csv"}}},
            {},
            "OUTPUT_NOT_FOUND",
        ),
    ],
)
def test_download__refuses(
    workspace: Workspace,
    add_ended: AddEnded,
    tmp_path: Path,
    fields: dict[str, Any],
    options: dict[str, str],
    condition: str,
) -> None:
    own = get_own_identity()
    add_ended(**{"launcher": own, "driver": own, **fields})
    with pytest.raises(StateError) as caught:
        workspace.jobs.download("job", download_path=tmp_path / "here", **options)  # type: ignore[arg-type]
    assert caught.value.condition == condition
    assert not list_files(tmp_path / "here") or list_files(tmp_path / "here") == ["named-outputs"]


def test_download__from_a_store(workspace: Workspace, add_ended: AddEnded, tmp_path: Path) -> None:
    import fsspec

    memory = fsspec.filesystem("memory")
    memory.pipe_file("/jobs/score/predictions.csv", b"a\n1\n")
    add_ended(
        summary={
            "inputs": {},
            "output": {"path": "memory://jobs/score/predictions.csv", "format": "csv"},
        }
    )
    workspace.jobs.download("job", download_path=tmp_path / "here")
    file = tmp_path / "here" / "named-outputs" / "score" / "predictions.csv"
    assert file.read_text() == "a\n1\n"


def test_output__store_that_cannot_be_reached(
    workspace: Workspace, add_ended: AddEnded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    path = "s3://bucket/a/predictions.csv"
    add_ended(
        summary={"inputs": {}, "output": {"path": path, "format": "csv"}},
        outputs={"score": {"path": path, "options": {"endpoint": "http://127.0.0.1:9"}}},
    )
    job = workspace.jobs.get("job")
    for read in (job.results, lambda: workspace.jobs.download("job", download_path=tmp_path / "d")):
        with pytest.raises(StorageError) as caught:
            read()
        assert caught.value.condition == "OUTPUT_NOT_READABLE"
    assert not (tmp_path / "d").exists()


def test_iter_logs__a_header_before_each_file(workspace: Workspace, add_ended: AddEnded) -> None:
    add_ended()
    assert list(workspace.jobs.iter_logs("job")) == [
        "==> logs/launcher.log <==",
        "launched",
        "==> logs/driver.log <==",
        "first",
        "second",
        "no end",
        "==> logs/user/stdout/w.txt <==",
        "printed",
    ]


def test_iter_logs__follow_until_the_end(workspace: Workspace, add_ended: AddEnded) -> None:
    own = get_own_identity()
    record = add_ended(status="Running", ended_at=None, summary=None, launcher=own, driver=own)
    (Path(record.folder) / "summary.json").unlink()
    lines = workspace.jobs.iter_logs("job", follow=True)
    seen = [next(lines) for _ in range(7)]
    assert seen[-2:] == ["==> logs/user/stdout/w.txt <==", "printed"]
    with (Path(record.folder) / "logs" / "driver.log").open("a") as log:
        log.write(" yet\nlast")
    workspace.jobs.cancel("job")
    assert [next(lines), next(lines)] == ["==> logs/driver.log <==", "no end yet"]
    with workspace.store.writing() as writer:
        stored = writer.get_job("job")
        writer.update_job(dataclasses.replace(stored, status="Canceled"))
    assert list(lines) == ["last"]


def test_prune__removes_folders_and_keeps_the_account(
    workspace: Workspace, add_ended: AddEnded
) -> None:
    old, new = add_ended("old"), add_ended("new", ended_at=time.time())
    archived = add_ended("archived", is_archived=True)
    told = workspace.jobs.prune(older_than_days=30, dry_run=True)
    assert {pruned.name for pruned in told} == {"old", "archived"}
    assert all(pruned.freed_bytes > 100 for pruned in told)
    assert Path(old.folder).exists()
    assert len(workspace.jobs.prune(older_than_days=30)) == 2
    assert not Path(old.folder).exists()
    assert not Path(archived.folder).exists()
    assert Path(new.folder).exists()
    job = workspace.jobs.get("old")
    assert job.to_dict()["input_counts"]["succeeded"] == 6
    assert "sparkscore.pruned_at" in job.record.properties
    assert job.record.summary is not None
    assert Path(job.record.summary["output"]["path"]).is_file()
    assert workspace.jobs.prune(older_than_days=30) == []
    with pytest.raises(StateError) as caught:
        next(workspace.jobs.iter_logs("old"))
    assert caught.value.condition == "JOB_PRUNED"


def test_prune__keeps_results_in_the_job_folder(workspace: Workspace, add_ended: AddEnded) -> None:
    folder = workspace.jobs.get_local_folder("job")
    file = folder / "score" / "predictions.csv"
    add_ended(summary={"inputs": {}, "output": {"path": str(file), "format": "csv"}})
    file.parent.mkdir()
    file.write_text("a\n1\n")
    workspace.jobs.prune(older_than_days=30)
    assert list_files(folder) == ["score", "score/predictions.csv"]


def test_prune__never_a_job_that_goes_on(workspace: Workspace, add_ended: AddEnded) -> None:
    own = get_own_identity()
    add_ended("running", "Running", ended_at=None, launcher=own, driver=own)
    add_ended("cleans-up", launcher=own)
    assert workspace.jobs.prune(older_than_days=0) == []


def test_prune__not_a_job_that_was_resumed_meanwhile(
    workspace: Workspace, add_ended: AddEnded
) -> None:
    record = add_ended("job", "Failed")
    looked_at = workspace.jobs.list()
    change_job(workspace.store, "job", lambda job: resume(job, at=time.time()))
    assert prune_jobs(workspace, looked_at, older_than_seconds=0, dry_run=False) == []
    assert (Path(record.folder) / "logs" / "driver.log").exists()


def test_list_and_prune__numbers_beyond_all_bounds(
    workspace: Workspace, add_ended: AddEnded
) -> None:
    add_ended()
    assert names(workspace.jobs.list(max_results=10**20)) == ["job"]
    assert workspace.jobs.prune(older_than_days=1e300) == []


def test_wait__time_is_up(workspace: Workspace, add_ended: AddEnded) -> None:
    own = get_own_identity()
    add_ended(status="Running", ended_at=None, summary=None, launcher=own, driver=own)
    with pytest.raises(StateError) as caught:
        workspace.jobs.get("job").wait(0.1)
    assert caught.value.condition == "WAIT_TIMEOUT"


def test_cancel__before_it_was_launched(workspace: Workspace) -> None:
    with workspace.store.writing() as writer:
        writer.add_job(make_record(folder="/nowhere"))
    assert workspace.jobs.cancel("job").status == "Canceled"
    with pytest.raises(InvalidTransitionError):
        workspace.jobs.cancel("job")
