"""The copy of a job folder in a store."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from sparkscore.driver.job_folder import JobFolder
from sparkscore.driver.mirror import JobMirror
from sparkscore.messages.launch import MirrorMessage

URI = "memory://jobs/one"


class FlakyFileSystem(MemoryFileSystem):  # type: ignore[misc]
    """A store that fails as often as it is told to, and is slow."""

    protocol = "flaky"
    cachable = False
    failures_left = 0
    seconds = 0.0

    begun: ClassVar[list[str]] = []

    def put_file(self, lpath: str, rpath: str, **arguments: Any) -> None:
        self.begun.append(rpath)
        time.sleep(type(self).seconds)
        if type(self).failures_left > 0:
            type(self).failures_left -= 1
            raise OSError(f"no connection with token=abcdefgh to {rpath}")
        super().put_file(lpath, rpath, **arguments)


@pytest.fixture
def store(store: Any) -> Iterator[Any]:
    fsspec.register_implementation("flaky", FlakyFileSystem, clobber=True)
    FlakyFileSystem.failures_left, FlakyFileSystem.seconds = 0, 0.0
    yield store
    FlakyFileSystem.failures_left, FlakyFileSystem.seconds = 0, 0.0


@pytest.fixture
def folder(tmp_path: Path) -> JobFolder:
    job = JobFolder(tmp_path / "job")
    job.make()
    write(job, "launch.json", "{}")
    write(job, "submit.sh", "#!")
    write(job, "code/score.py", "code")
    write(job, "model/weights", "large")
    write(job, "status.json", json.dumps({"status": "Running"}))
    return job


def write(job: JobFolder, name: str, text: str = "x") -> None:
    path = job.path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def names_in(store: Any) -> set[str]:
    return {name.rpartition("jobs/one/")[2] for name in store.store}


def wait_for(store: Any, name: str) -> None:
    deadline = time.monotonic() + 20
    while name not in names_in(store) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert name in names_in(store)


def test_mirror__none_does_nothing(folder: JobFolder) -> None:
    mirror = JobMirror(folder, None)
    mirror.start()
    assert mirror.finish() == ()
    assert mirror.finish_account() == ()


def test_mirror__follows_the_job(folder: JobFolder, store: Any) -> None:
    mirror = JobMirror(folder, MirrorMessage(URI))
    mirror.start()
    wait_for(store, "status.json")
    assert names_in(store) == {"launch.json", "submit.sh", "code/score.py", "status.json"}
    write(folder, "staging/wave-00000.1/part-0.parquet")
    write(folder, "staging/wave-00001.1/part-0.parquet")
    write(folder, "staging/wave-00000.1/_committed.json")
    wait_for(store, "staging/wave-00000.1/_committed.json")
    assert "staging/wave-00000.1/part-0.parquet" in names_in(store)
    assert "staging/wave-00001.1/part-0.parquet" not in names_in(store)
    write(folder, "status.json", json.dumps({"status": "Finalizing"}))
    deadline = time.monotonic() + 4
    while b"Finalizing" not in store.cat(f"{URI}/status.json") and time.monotonic() < deadline:
        time.sleep(0.02)
    assert b"Finalizing" in store.cat(f"{URI}/status.json")
    mirror.finish()


def test_mirror__ends_with_the_whole_account(folder: JobFolder, store: Any) -> None:
    mirror = JobMirror(folder, MirrorMessage(URI))
    mirror.start()
    for name in (
        *("failed_inputs.csv", "ledger/outcomes.parquet", "ledger/live.jsonl"),
        *("logs/user/a.txt", "scratch/x"),
    ):
        write(folder, name)
    write(folder, ".status.json.tmp")
    assert mirror.finish() == ()
    write(folder, "summary.json")
    write(folder, "events.jsonl")
    assert mirror.finish_account() == ()
    assert names_in(store) == {
        *("launch.json", "submit.sh", "code/score.py", "status.json", "summary.json"),
        *("events.jsonl", "failed_inputs.csv", "ledger/outcomes.parquet", "logs/user/a.txt"),
    }


def test_mirror__staging_goes_where_it_went_locally(folder: JobFolder, store: Any) -> None:
    mirror = JobMirror(folder, MirrorMessage(URI))
    write(folder, "staging/wave-00000.1/part-0.parquet")
    write(folder, "staging/wave-00000.1/_committed.json")
    mirror.start()
    wait_for(store, "staging/wave-00000.1/_committed.json")
    assert mirror.finish(drops_staging=True) == ()
    assert not any(name.startswith("staging") for name in names_in(store))


def test_mirror__staged_file_does_not_land_after_the_removal(folder: JobFolder, store: Any) -> None:
    write(folder, "staging/wave-00000.1/part-1.parquet")
    write(folder, "staging/wave-00000.1/_committed.json")
    mirror = JobMirror(folder, MirrorMessage(uri="flaky://jobs/one"))
    FlakyFileSystem.begun.clear()
    FlakyFileSystem.seconds = 0.2
    mirror.start()
    deadline = time.monotonic() + 20
    while not any("staging" in name for name in FlakyFileSystem.begun):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    FlakyFileSystem.seconds = 0.0
    assert mirror.finish(drops_staging=True) == ()
    time.sleep(0.5)
    assert not any("staging" in name for name in names_in(store))


def test_mirror__failures_are_tried_again(folder: JobFolder, store: Any) -> None:
    FlakyFileSystem.failures_left = 3
    mirror = JobMirror(folder, MirrorMessage("flaky://jobs/one"))
    assert mirror.finish() == ()
    assert {"launch.json", "code/score.py"} <= names_in(store)


def test_mirror__warns_of_what_is_missing(folder: JobFolder, store: Any) -> None:
    FlakyFileSystem.failures_left = 10**6
    mirror = JobMirror(folder, MirrorMessage("flaky://jobs/one"))
    mirror.start()
    (warning,) = mirror.finish()
    assert warning.startswith("MIRROR_INCOMPLETE: ")
    assert "no connection" in warning
    assert "abcdefgh" not in warning


def test_mirror__that_cannot_be_opened_warns(folder: JobFolder) -> None:
    mirror = JobMirror(folder, MirrorMessage("gopher://jobs"))
    mirror.start()
    (warning,) = mirror.finish()
    assert "gopher" in warning


def test_mirror__hanging_store_does_not_hold_the_job(folder: JobFolder, store: Any) -> None:
    FlakyFileSystem.seconds = 2.0
    mirror = JobMirror(folder, MirrorMessage("flaky://jobs/one"))
    started = time.monotonic()
    mirror.start()
    assert time.monotonic() - started < 1
    (warning,) = mirror.finish(timeout_seconds=0.2)
    assert time.monotonic() - started < 2
    assert "too long" in warning
    assert threading.active_count() >= 1
