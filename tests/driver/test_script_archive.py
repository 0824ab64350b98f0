"""The files of scripts in a home: a driver elsewhere goes on with them as with their rows."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from sparkscore.driver import mirror
from sparkscore.driver.account import JobAccount
from sparkscore.driver.job_folder import JobFolder
from sparkscore.driver.mirror import JobMirror
from sparkscore.driver.remote_folder import RemoteFolder
from sparkscore.driver.staged_waves import StagedWaves, remove_unnamed
from sparkscore.driver.staging import read_outcomes
from sparkscore.executor.results import results_table
from sparkscore.messages.codec import to_json
from sparkscore.messages.launch import MirrorMessage
from tests.driver.conftest import outcome, staged_rows, write_staged
from tests.servers.store import StoreServer

URI = "memory://jobs/one"
WAVE = "staging/wave-00000.1"
FILES = {
    b"a.txt": b"a",
    b".hidden": b"hidden",
    b"_committed.json": b"{}",
    b"deep/er/empty": b"",
    b"odd \xff # ? \n.bin": bytes(range(256)) * 1000,
}


@pytest.fixture
def store(store: Any) -> Any:
    store.pipe_file("/jobs/one/launch.json", b"{}")
    return store


def list_names(store: Any) -> list[str]:
    return [name.rpartition("jobs/one/")[2] for name in store.store]


class Driver:
    """A driver on a machine of its own, as far as files and their copies go."""

    def __init__(self, place: Path, token: int, uri: str = URI) -> None:
        self.folder = JobFolder(place)
        RemoteFolder(uri, {}).restore(place)
        self.folder.make()
        self.mirror = JobMirror(self.folder, MirrorMessage(uri), home_has=())
        self.waves = StagedWaves(self.folder.staging, token=token)
        self.waves.restore()
        for name in ("plan/files.parquet", "plan/plan.json"):
            (place / name).write_text("x")
        (place / "status.json").write_text("{}")

    def score(self, number: int, files: dict[bytes, bytes]) -> None:
        """Commit a wave of one mini-batch whose script wrote ``files``."""
        _, wave = self.waves.take_folder()
        attempt = self.folder.staging / "files" / "worker" / f"{number}-attempt"
        attempt.mkdir(parents=True)
        for name, content in files.items():
            file = attempt / os.fsdecode(name)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
        ((_, part, _, payload),) = staged_rows(number, results_table([1]).table, part_bytes=1024)
        told = replace(outcome(number, rows=1), folders=(str(attempt),))
        write_staged(wave / "part-00000-0.parquet", [(number, part, to_json(told), payload)])
        self.waves.commit(wave)

    def find_folders(self) -> list[tuple[int, tuple[str, ...]]]:
        """As a resumed job does; what no outcome names is removed."""
        outcomes = read_outcomes(self.waves.files)
        remove_unnamed(self.folder.staging / "files", [f for o in outcomes for f in o.folders])
        account = JobAccount(self.folder)
        account.add(outcomes)
        account.close()
        self.lost = account.find_lost()
        return account.script_folders


def read_below(folder: str) -> dict[bytes, bytes]:
    root = os.fsencode(folder)
    return {
        os.path.relpath(os.path.join(parent, name), root): Path(
            os.fsdecode(os.path.join(parent, name))
        ).read_bytes()
        for parent, _, names in os.walk(root)
        for name in names
    }


def test_home__has_the_files_of_scripts_with_their_wave(store: Any, tmp_path: Path) -> None:
    first = Driver(tmp_path / "first", 1)
    first.score(0, FILES)
    first.score(1, {})
    first.mirror._copy_new()
    names = list_names(store)
    assert names.index(f"{WAVE}/files.tar.zst") < names.index(f"{WAVE}/_committed.json")
    assert not any(name.startswith("staging/files/") for name in names)
    second = Driver(tmp_path / "second", 2)
    (tmp_path / "first").rename(tmp_path / "gone")
    folders = second.find_folders()
    assert [number for number, _ in folders] == [0, 1]
    assert second.lost == set()
    ((_, (place,)), (_, (empty,))) = folders
    assert Path(place).is_relative_to(second.folder.staging)
    assert read_below(place) == FILES
    assert read_below(empty) == {}
    assert not list(second.folder.staging.glob("wave-*/files.tar.zst"))


def test_home__in_s3_takes_files_of_any_name_and_size(
    s3_store: StoreServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in s3_store.environment.items():
        monkeypatch.setenv(name, value)
    path = f"home-{uuid4().hex[:8]}"
    s3_store.put(f"{path}/launch.json", b"{}")
    files = {**FILES, b"large.bin": os.urandom(12 << 20)}
    first = Driver(tmp_path / "first", 1, uri=f"{s3_store.uri}/{path}")
    first.score(0, files)
    first.mirror._copy_new()
    second = Driver(tmp_path / "second", 2, uri=f"{s3_store.uri}/{path}")
    ((_, (place,)),) = second.find_folders()
    assert read_below(place) == files


def test_home__is_not_given_again_what_came_from_it(store: Any, tmp_path: Path) -> None:
    first = Driver(tmp_path / "first", 1)
    first.score(0, FILES)
    first.mirror.keep_announcement()
    second = Driver(tmp_path / "second", 2)
    store.pipe_file(f"/jobs/one/{WAVE}/files.tar.zst", b"as it was")
    second.score(1, {b"b": b"b"})
    second.mirror._copy_new()
    second.mirror.finish()
    assert store.cat(f"/jobs/one/{WAVE}/files.tar.zst") == b"as it was"
    assert "staging/wave-00001.2/files.tar.zst" in list_names(store)


def test_home__of_a_job_that_failed_has_its_waves_alone(store: Any, tmp_path: Path) -> None:
    """The mirror's thread had no time to copy them before the end."""
    driver = Driver(tmp_path / "job", 1)
    driver.score(0, FILES)
    (driver.folder.staging / "wave-00001.1").mkdir()
    (driver.folder.staging / "wave-00001.1" / "part-0.parquet").write_text("not committed")
    assert driver.mirror.finish() == ()
    staged = {name for name in list_names(store) if name.startswith("staging/")}
    assert staged == {
        "staging/inherited.1.json",
        *(f"{WAVE}/{name}" for name in ("part-00000-0.parquet", "files.tar.zst")),
        f"{WAVE}/_committed.json",
    }


def test_archive_that_was_cut__gives_nothing(store: Any, tmp_path: Path) -> None:
    first = Driver(tmp_path / "first", 1)
    first.score(0, {b"a": b"a", b"large": os.urandom(200_000), b"z": b"z"})
    first.score(1, {b"b": b"b"})
    first.mirror._copy_new()
    path = f"/jobs/one/{WAVE}/files.tar.zst"
    whole = store.cat(path)
    for size in (0, 10, len(whole) // 2, len(whole) - 20):
        store.pipe_file(path, whole[:size])
        second = Driver(tmp_path / f"second-{size}", 2)
        second.find_folders()
        assert second.lost == {0}
        assert [path.name for path in (second.folder.staging / "files").glob("*/*")] == [
            "1-attempt"
        ]


def test_copy__has_the_hidden_files_of_scripts_alone(store: Any, tmp_path: Path) -> None:
    driver = Driver(tmp_path / "job", 1)
    for name in ("files/.env", "files/deep/.x", "logs/.part.tmp", ".y.tmp"):
        file = driver.folder.path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("x")
    assert driver.mirror.finish() == ()
    names = set(list_names(store))
    assert {name for name in names if "/." in f"/{name}"} == {"files/.env", "files/deep/.x"}


def test_copy__follows_no_link_out_of_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mirror, "_RETRY_SECONDS", (0.0,))
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "kept").write_text("kept")
    home = tmp_path / "home"
    (home / "logs").mkdir(parents=True)
    driver = Driver(tmp_path / "job", 1, uri=str(home))
    for name in ("read.txt", "kept.txt", "precious/kept"):
        (driver.folder.logs / name).parent.mkdir(exist_ok=True)
        (driver.folder.logs / name).write_text("log")
    (driver.folder.logs / "read.txt").unlink()
    (driver.folder.logs / "read.txt").symlink_to(tmp_path / "secret")
    (home / "logs" / "kept.txt").symlink_to(tmp_path / "precious" / "kept")
    (home / "logs" / "precious").symlink_to(tmp_path / "precious")
    (warning,) = driver.mirror.finish()
    assert "precious" in warning
    assert not (home / "logs" / "read.txt").exists()
    assert (home / "logs" / "kept.txt").read_text() == "log"
    assert (tmp_path / "precious" / "kept").read_text() == "kept"
