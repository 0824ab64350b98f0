"""Folders for the files of attempts."""

from __future__ import annotations

import os
from pathlib import Path

from sparkscore.executor.attempt_folders import AttemptFolders


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
