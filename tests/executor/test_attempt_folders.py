"""Folders for the files of attempts."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from sparkscore.executor.attempt_folders import AttemptFolders
from sparkscore.executor.written_files import ENTRY_BYTES


def test_attempt_folders__path_stays_and_content_moves(tmp_path: Path) -> None:
    folders = AttemptFolders(str(tmp_path))
    current = folders.current
    made = folders.begin()
    Path(current, "a.txt").write_text("a")
    kept = folders.keep(made, 3)
    assert kept is not None
    assert os.listdir(kept) == ["a.txt"]
    assert os.listdir(current) == []


def test_attempt_folders__nothing_written_keeps_nothing(tmp_path: Path) -> None:
    folders = AttemptFolders(str(tmp_path))
    made = folders.begin()
    os.makedirs(os.path.join(folders.current, "empty"))
    assert folders.keep(made, 0) is None


def test_attempt_folders__discard_keeps_the_folders_made_by_init(tmp_path: Path) -> None:
    folders = AttemptFolders(str(tmp_path))
    os.makedirs(os.path.join(folders.current, "masks", "deep"))
    made = folders.begin()
    Path(folders.current, "masks", "half.txt").write_text("half")
    folders.discard(made)
    assert os.listdir(os.path.join(folders.current, "masks")) == ["deep"]


def test_attempt_folders__two_workers_never_share(tmp_path: Path) -> None:
    assert AttemptFolders(str(tmp_path)).current != AttemptFolders(str(tmp_path)).current


DAMAGES = {
    "removed": lambda path: path.rmdir(),
    "replaced by a file": lambda path: (path.rmdir(), path.write_text("x")),
    "replaced by a link": lambda path: (path.rmdir(), path.symlink_to(path.parents[2])),
    "replaced by a broken link": lambda path: (path.rmdir(), path.symlink_to("nowhere")),
}


@pytest.mark.parametrize("succeeds", [True, False])
@pytest.mark.parametrize("name", DAMAGES)
def test_attempt_folders__are_there_again_whatever_a_script_did_to_them(
    tmp_path: Path, name: str, succeeds: bool
) -> None:
    outside = tmp_path / "outside.txt"
    outside.write_text("stays")
    folders = AttemptFolders(str(tmp_path / "files"))
    made = folders.begin()
    DAMAGES[name](Path(folders.current))
    if succeeds:
        assert folders.keep(made, 1) is None
    else:
        folders.discard(made)
    made = folders.begin()
    Path(folders.current, "next.txt").write_text("next")
    kept = folders.keep(made, 2)
    assert kept is not None
    assert os.listdir(kept) == ["next.txt"]
    assert outside.read_text() == "stays"


def test_measure__counts_what_would_be_sent(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "large.bin").write_bytes(b"0" * 100_000)
    folders = AttemptFolders(str(tmp_path / "files"))
    current = Path(folders.current)
    (current / "empty").touch()
    (current / "deep").mkdir()
    (current / "deep" / "ten").write_bytes(b"0" * 10)
    (current / "again").symlink_to("deep/ten")
    (current / "outside.bin").symlink_to(tmp_path / "outside" / "large.bin")
    (current / "outside").symlink_to(tmp_path / "outside")
    os.mkfifo(current / "pipe")
    assert folders.measure(most_bytes=1 << 30) == 3 * ENTRY_BYTES + 20


def test_measure__follows_no_link_and_stops_in_time(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    for number in range(9):
        (outside / str(number)).touch()
    folders = AttemptFolders(str(tmp_path / "files"))
    shutil.copytree(outside, folders.current, dirs_exist_ok=True)
    assert folders.measure(most_bytes=2 * ENTRY_BYTES) == 3 * ENTRY_BYTES
    shutil.rmtree(folders.current)
    os.symlink(outside, folders.current)
    assert folders.measure(most_bytes=1 << 30) == 0


def test_attempt_folders__of_a_job_that_has_ended_do_not_come_back(tmp_path: Path) -> None:
    staging = tmp_path / "staging"
    staging.mkdir()
    folders = AttemptFolders(str(staging / "files"))
    shutil.rmtree(staging)
    with pytest.raises(FileNotFoundError):
        folders.begin()
    with pytest.raises(FileNotFoundError):
        AttemptFolders(str(staging / "files"))
    assert not staging.exists()
