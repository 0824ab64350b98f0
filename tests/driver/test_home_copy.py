"""The copy of a job folder that the job's next driver goes on from."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from sparkscore.driver.job_folder import JobFolder
from sparkscore.driver.mirror import JobMirror
from sparkscore.driver.remote_folder import RemoteFolder
from sparkscore.driver.remote_start import RemoteJob, load_launch
from sparkscore.driver.staged_waves import StagedWaves
from sparkscore.errors import SparkscoreError, StateError, StorageError
from sparkscore.executor.results import results_table
from sparkscore.messages.codec import to_json
from sparkscore.messages.launch import LaunchMessage, MirrorMessage
from sparkscore.messages.status import FAILED, InputCounts, SummaryMessage
from sparkscore.plan.launch_overrides import read_arguments
from tests.driver.conftest import staged_rows, write_staged
from tests.launches import make_launch, make_scoring

URI = "memory://jobs/one"


class Store:
    """What stands in the job's folder in the store, and in which order it came."""

    def __init__(self) -> None:
        self.files = fsspec.filesystem("memory")
        self.files.store.clear()

    def put(self, name: str, content: str = "x") -> None:
        self.files.pipe_file(f"/jobs/one/{name}", content.encode())

    def list_names(self) -> list[str]:
        return [name.rpartition("jobs/one/")[2] for name in self.files.store]


@pytest.fixture
def store() -> Iterator[Store]:
    made = Store()
    yield made
    made.files.store.clear()


@pytest.fixture
def folder(tmp_path: Path) -> JobFolder:
    job = JobFolder(tmp_path / "job")
    job.make()
    for name in (
        *("plan/files.parquet", "plan/job.json", "plan/plan.json", "plan/result_schema.arrow"),
        *("staging/inherited.1.json", "staging/wave-00000.1/part-0.parquet", "inputs.jsonl"),
        *("staging/wave-00000.1/_committed.json", "logs/a.txt", "events.jsonl"),
    ):
        write(job, name)
    write(job, "status.json", json.dumps({"status": "Running"}))
    return job


def write(job: JobFolder, name: str, text: str = "x") -> None:
    path = job.path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.fixture(autouse=True)
def no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sparkscore.driver.mirror._RETRY_SECONDS", (0.01, 0.02))


def make_mirror(folder: JobFolder) -> JobMirror:
    return JobMirror(folder, MirrorMessage(URI), home_has=("inputs.jsonl",))


def wait_for(store: Store, name: str) -> None:
    deadline = time.monotonic() + 20
    while name not in store.list_names() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert name in store.list_names()


def test_home__has_the_plan_before_the_waves(folder: JobFolder, store: Store) -> None:
    mirror = make_mirror(folder)
    mirror.start()
    wait_for(store, "logs/a.txt")
    names = store.list_names()
    order = [names.index(name) for name in ("plan/files.parquet", "plan/plan.json")]
    order += [names.index("staging/inherited.1.json")]
    order += [names.index("staging/wave-00000.1/_committed.json")]
    assert order == sorted(order)
    assert {"logs/a.txt", "events.jsonl"} <= set(names)
    assert "inputs.jsonl" not in names
    mirror.finish()
    assert "inputs.jsonl" not in store.list_names()


def test_home__gets_nothing_from_a_driver_that_lost_it(folder: JobFolder, store: Store) -> None:
    def refuse() -> None:
        raise StateError("lost", condition="LEASE_LOST")

    mirror = make_mirror(folder)
    mirror.start(refuse)
    mirror.abandon()
    mirror._thread.join()
    assert store.list_names() == []


def test_home__loses_what_is_staged_after_the_summary(folder: JobFolder, store: Store) -> None:
    mirror = make_mirror(folder)
    mirror.start()
    wait_for(store, "staging/wave-00000.1/_committed.json")
    assert mirror.finish(drops_staging=True) == ()
    assert "staging/wave-00000.1/_committed.json" in store.list_names()
    write(folder, "summary.json")
    assert mirror.finish_account() == ()
    assert "summary.json" in store.list_names()
    assert not any(name.startswith("staging/") for name in store.list_names())


def test_home__knows_the_output_before_it_appears(folder: JobFolder, store: Store) -> None:
    mirror = make_mirror(folder)
    write(folder, "publish.json")
    mirror.keep_announcement()
    assert {"publish.json", "staging/wave-00000.1/_committed.json"} <= set(store.list_names())


def test_home_that_is_left__gets_waves_and_nothing_after(folder: JobFolder, store: Store) -> None:
    mirror = make_mirror(folder)
    mirror.leave()
    names = store.list_names()
    assert {"plan/plan.json", "staging/wave-00000.1/_committed.json", "logs/a.txt"} <= set(names)
    assert not {"status.json", "summary.json"} & set(names)
    write(folder, "summary.json")
    assert len(mirror.finish_account()) == 1
    assert mirror.find_untold() == URI
    assert "summary.json" not in store.list_names()


def test_home_without_the_summary__keeps_what_is_staged(
    folder: JobFolder, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_file = MemoryFileSystem.put_file

    def refuse(self: Any, lpath: str, rpath: str, **arguments: Any) -> None:
        if rpath.endswith("summary.json"):
            raise OSError("no route")
        put_file(self, lpath, rpath, **arguments)

    monkeypatch.setattr(MemoryFileSystem, "put_file", refuse)
    mirror = make_mirror(folder)
    mirror.start()
    wait_for(store, "staging/wave-00000.1/_committed.json")
    mirror.finish(drops_staging=True)
    write(folder, "summary.json")
    assert len(mirror.finish_account()) == 1
    assert mirror.find_untold() == URI
    assert "staging/wave-00000.1/_committed.json" in store.list_names()


def test_home_out_of_reach__nothing_appears(folder: JobFolder, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    mirror = JobMirror(folder, MirrorMessage(str(tmp_path / "file" / "job")), home_has=())
    write(folder, "publish.json")
    with pytest.raises(StorageError) as caught:
        mirror.keep_announcement()
    assert caught.value.condition == "STAGING_NOT_WRITABLE"


class Driver:
    """A driver of the job on a machine of its own, as far as its waves and their copies go."""

    def __init__(self, place: Path, token: int) -> None:
        self.folder = JobFolder(place)
        RemoteFolder(URI, {}).restore(place)
        self.folder.make()
        self.waves = StagedWaves(self.folder.staging, token=token)
        self.waves.restore()
        self._mirror = make_mirror(self.folder)

    def score(self, *ids: int) -> Path:
        """A wave that is not committed yet."""
        _, wave = self.waves.take_folder()
        rows = [
            row
            for number in ids
            for row in staged_rows(number, results_table([number]).table, part_bytes=1024)
        ]
        write_staged(wave / "part-00000-0.parquet", rows)
        (wave / "_SUCCESS").touch()
        return wave

    def copy(self) -> None:
        """What its thread does again and again."""
        self._mirror._copy_new()


def test_driver_that_comes_back__adds_nothing(store: Store, tmp_path: Path) -> None:
    first = Driver(tmp_path / "first", 1)
    for name in ("plan/files.parquet", "plan/plan.json"):
        write(first.folder, name)
    write(first.folder, "status.json", json.dumps({"status": "Running"}))
    first.waves.commit(first.score(0, 1))
    first.copy()
    late = first.score(2, 3)  # cut off from here on
    second = Driver(tmp_path / "second", 2)
    assert second.waves.mini_batch_ids == [0, 1]
    second.waves.commit(second.score(2, 3))
    second.copy()
    first.waves.commit(late)
    first.copy()
    assert f"staging/{late.name}/_committed.json" in store.list_names()
    third = Driver(tmp_path / "third", 3)
    assert third.waves.mini_batch_ids == [0, 1, 2, 3]
    assert late.name not in {file.parent.name for file in third.waves.files}


@pytest.fixture
def launch() -> LaunchMessage:
    return make_launch(
        URI,
        inputs="s3://bucket/in",
        output="s3://bucket/out",
        scoring=make_scoring(job_name="one", model_name="words"),
        staged=True,
        relay=True,
    )


def take(job: RemoteJob) -> Any:
    return job.take_lease(check=lambda: None, on_cancel=lambda: None)


def test_start__code_and_model_are_fetched(store: Store, launch: LaunchMessage) -> None:
    store.put("launch.json", to_json(launch))
    store.put("code/score.py", "code")
    store.put("model/words/good.txt", "good")
    found, job = load_launch(read_arguments([f"{URI}/launch.json"]))
    assert job is not None
    lease = take(job)
    assert lease.token == 1
    assert (Path(found.scoring.model_folder) / "words" / "good.txt").read_text() == "good"
    assert found.scoring.code_folder is not None
    assert (Path(found.scoring.code_folder) / "score.py").read_text() == "code"
    assert found.mirror == MirrorMessage(URI)
    assert job.find_ended() is None
    lease.release()
    job.remove()
    assert not job.place.exists()


def test_start__each_run_is_a_job_of_its_own(store: Store, launch: LaunchMessage) -> None:
    store.put("launch.json", to_json(launch))
    found, job = load_launch(read_arguments([f"{URI}/launch.json", "--run", "7"]))
    assert job is not None
    assert (found.job_name, found.mirror) == ("one-7", MirrorMessage(f"{URI}/runs/7"))
    assert found.output.path == "s3://bucket/out/7"
    job.remove()


def test_start__a_job_that_has_ended_is_left_alone(store: Store, launch: LaunchMessage) -> None:
    summary = SummaryMessage(
        job="one",
        status=FAILED,
        inputs=InputCounts(1, 0, 1),
        error={"condition": "X", "message": "x", "exit_code": 4},
    )
    store.put("launch.json", to_json(launch))
    store.put("summary.json", to_json(summary))
    _, job = load_launch(read_arguments([f"{URI}/launch.json"]))
    assert job is not None
    take(job).release()
    assert job.find_ended() == summary
    assert not (job.place / "model").exists()
    job.remove()


def test_start__from_a_folder_that_is_mounted(tmp_path: Path, launch: LaunchMessage) -> None:
    home = tmp_path / "staging" / "one"
    (home / "code").mkdir(parents=True)
    (home / "launch.json").write_text(to_json(dataclasses.replace(launch, job_folder=str(home))))
    _, job = load_launch(read_arguments([str(home / "launch.json")]))
    assert job is not None
    lease = take(job)
    assert (home / "lease" / "000001.json").exists()
    lease.release()
    job.remove()


def test_start__a_folder_that_is_not_there(store: Store) -> None:
    del store
    with pytest.raises(SparkscoreError) as caught:
        load_launch(read_arguments(["memory://nowhere/launch.json"]))
    assert caught.value.condition == "STAGING_NOT_READABLE"
    with pytest.raises(StorageError):
        RemoteFolder("memory://nowhere", {}).read_launch()
