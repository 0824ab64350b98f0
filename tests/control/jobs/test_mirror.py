"""The copy of a job folder in a store: read where the folder is gone, removed with it."""

from __future__ import annotations

import dataclasses
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from sparkscore.control.workspace import Workspace
from sparkscore.errors import NotFoundError, StorageError
from sparkscore.state import JobRecord
from sparkscore.storage import open_store
from tests.control.jobs.conftest import make_record
from tests.ledgers import make_ledger, make_summary, write_ledger
from tests.servers.store import StoreServer

FILES = {
    "launch.json": b"{}",
    "failed_inputs.csv": b"path\n",
    "logs/driver.log": b"one\ntwo\n",
    "logs/user/stdout/w.txt": b"[mb 000001 try 1] said\n",
    "staging/wave-00000.1/part-0.parquet": b"x" * 1000,
}
RESULTS = "results/score/moods.csv"

Add = Callable[..., JobRecord]


@pytest.fixture
def mirrored(
    s3_store: StoreServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Workspace]:
    """A workspace that keeps copies of job folders in the bucket."""
    for name, value in s3_store.environment.items():
        monkeypatch.setenv(name, value)
    folder = tmp_path / "ws"
    folder.mkdir()
    (folder / "sparkscore.toml").write_text(
        f'[jobs]\nfolder = "{s3_store.uri}/{uuid4().hex}/jobs"\n', encoding="utf-8"
    )
    opened = Workspace.open(folder)
    yield opened
    opened.close()


@pytest.fixture
def add(mirrored: Workspace) -> Add:
    """Records a job that ended long ago, with its folder and the copy of it."""

    def add_it(name: str) -> JobRecord:
        folder = mirrored.jobs.get_local_folder(name)
        store, root = open_store(f"{mirrored.config.jobs_folder}/{name}", {})
        for path, content in {**FILES, RESULTS: b"1\n"}.items():
            if path != RESULTS:
                (folder / path).parent.mkdir(parents=True, exist_ok=True)
                (folder / path).write_bytes(content)
            store.pipe_file(f"{root}/{path}", content)
        output = {"path": f"{mirrored.config.jobs_folder}/{name}/{RESULTS}", "format": "csv"}
        counts = {"total": 1, "succeeded": 1, "failed": 0}
        summary = {"job": name, "status": "Completed", "inputs": counts, "output": output}
        fields = {"status": "Completed", "ended_at": time.time() - 90 * 86400, "creator": None}
        record = make_record(name, folder=str(folder), summary=summary, **fields)
        with mirrored.store.writing() as writer:
            return writer.add_job(record)

    return add_it


def names_of(workspace: Workspace, name: str) -> set[str]:
    store, root = open_store(f"{workspace.config.jobs_folder}/{name}", {})
    store.invalidate_cache()
    return {path.removeprefix(f"{root}/") for path in store.find(root)}


def test_prune__removes_the_copy_but_not_the_results(mirrored: Workspace, add: Add) -> None:
    record = add("old")
    told = mirrored.jobs.prune(dry_run=True)
    assert names_of(mirrored, "old") == {*FILES, RESULTS}
    pruned = mirrored.jobs.prune()
    assert [job.freed_bytes for job in pruned] == [job.freed_bytes for job in told]
    assert pruned[0].freed_bytes == 2 * sum(map(len, FILES.values()))
    assert names_of(mirrored, "old") == {RESULTS}
    assert not Path(record.folder).exists()
    assert mirrored.jobs.prune() == []


def test_prune__finds_a_copy_whose_folder_is_gone(mirrored: Workspace, add: Add) -> None:
    shutil.rmtree(add("old").folder)
    assert [job.name for job in mirrored.jobs.prune()] == ["old"]
    assert names_of(mirrored, "old") == {RESULTS}


def test_prune__goes_on_once_the_store_is_back(
    mirrored: Workspace, add: Add, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = add("old")
    with monkeypatch.context() as away:
        away.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
        with pytest.raises(StorageError) as caught:
            mirrored.jobs.prune()
    assert caught.value.condition == "MIRROR_NOT_READABLE"
    assert Path(record.folder, "launch.json").exists()
    assert len(mirrored.jobs.prune()) == 1
    assert names_of(mirrored, "old") == {RESULTS}


def test_logs_and_download__of_the_copy(mirrored: Workspace, add: Add, tmp_path: Path) -> None:
    record = add("old")
    here = list(mirrored.jobs.iter_logs("old"))
    shutil.rmtree(record.folder)
    assert list(mirrored.jobs.iter_logs("old")) == here
    assert here[0] == "==> logs/driver.log <=="
    mirrored.jobs.download("old", download_path=tmp_path / "got", all=True)
    found = tmp_path / "got" / "artifacts"
    assert (found / "logs" / "driver.log").read_bytes() == FILES["logs/driver.log"]
    assert (found / "failed_inputs.csv").exists()
    assert not (found / "staging").exists()
    assert (tmp_path / "got" / "named-outputs" / "score" / "moods.csv").read_bytes() == b"1\n"


def test_files__of_the_copy(mirrored: Workspace, add: Add) -> None:
    record = add("old")
    here = [file.to_dict() for file in mirrored.jobs.list_files("old")]
    shutil.rmtree(record.folder)
    found = mirrored.jobs.list_files("old")
    assert [file.to_dict() for file in found] == here
    assert "artifacts/logs/driver.log" in [file.path for file in found]
    for file in found:
        content = b"".join(mirrored.jobs.get_file("old", file.path).iter_bytes())
        assert content == (b"1\n" if "outputs" in file.path else FILES[file.path[10:]])
    log = mirrored.jobs.get_file("old", "artifacts/logs/driver.log")
    assert b"".join(log.iter_bytes(2, 5)) == b"e\nt"
    for path in ("staging/wave-00000.1/part-0.parquet", RESULTS, "logs", "logs/none", "../x"):
        with pytest.raises(NotFoundError) as caught:
            mirrored.jobs.get_file("old", f"artifacts/{path}")
        assert caught.value.condition == "FILE_NOT_FOUND", path


def test_logs_and_download__where_folder_and_copy_are_gone(
    mirrored: Workspace, add: Add, tmp_path: Path
) -> None:
    shutil.rmtree(add("old").folder)
    store, root = open_store(f"{mirrored.config.jobs_folder}/old", {})
    store.rm(root, recursive=True)
    with pytest.raises(NotFoundError) as caught:
        list(mirrored.jobs.iter_logs("old"))
    assert caught.value.condition == "JOB_FOLDER_NOT_FOUND"


def test_download__where_the_only_folder_is_gone(workspace: Workspace, tmp_path: Path) -> None:
    record = make_record("old", status="Failed", ended_at=time.time(), folder=str(tmp_path / "no"))
    with workspace.store.writing() as writer:
        writer.add_job(record)
    with pytest.raises(NotFoundError) as caught:
        workspace.jobs.download("old", download_path=tmp_path / "got", all=True)
    assert caught.value.condition == "JOB_FOLDER_NOT_FOUND"
    assert not (tmp_path / "got").exists()


def test_mini_batches__of_the_copy(mirrored: Workspace, add: Add, tmp_path: Path) -> None:
    record, table = add("old"), make_ledger(50)
    store, root = open_store(f"{mirrored.config.jobs_folder}/old", {})
    ledger = write_ledger(tmp_path, table)
    store.put_file(str(ledger), f"{root}/ledger/outcomes.parquet")
    with mirrored.store.writing() as writer:
        writer.update_job(dataclasses.replace(record, summary=make_summary(table)))
    shutil.rmtree(record.folder)
    found = mirrored.jobs.get("old").mini_batches()
    assert (found.counts["succeeded"], found.counts["failed"]) == (49, 1)
    assert found.get(49).message == "ValueError: <b>bad</b>"
