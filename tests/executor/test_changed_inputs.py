"""Inputs deleted or replaced after the plan: failed by name, and nobody else's failure."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import fsspec
import pytest

from sparkscore.executor.inputs import InputStage
from sparkscore.listing import list_inputs
from sparkscore.messages.mini_batch import MiniBatch
from sparkscore.messages.outcome import FAILED, SUCCEEDED
from tests.executor.conftest import MakeRunner, MakeScoring

SCRIPT = """
import os
def run(batch):
    print("called with", len(batch), flush=True)
    return [os.path.basename(path) for path in batch]
"""


def plan(uri: str) -> MiniBatch:
    files = list_inputs(uri).files
    return MiniBatch(0, tuple(files["path"].to_pylist()), tuple(files["etag"].to_pylist()))


def rewrite(file: Path) -> None:
    """Another text of the same length, at another time."""
    status = file.stat()
    file.write_text("TEXT")
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns + 1))


def append(file: Path) -> None:
    """More text, and the time that it had."""
    status = file.stat()
    file.write_text("text, and more")
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "in"
    folder.mkdir()
    for name in "abcd":
        (folder / f"{name}.txt").write_text("text")
    return folder


@pytest.mark.parametrize(
    ("change", "condition"),
    [
        (Path.unlink, "INPUT_NOT_FOUND"),
        (rewrite, "INPUT_CHANGED"),
        (append, "INPUT_CHANGED"),
    ],
)
def test_changed_input__fails_alone_and_without_retry(
    make_scoring: MakeScoring,
    make_runner: MakeRunner,
    folder: Path,
    tmp_path: Path,
    change: Callable[[Path], None],
    condition: str,
) -> None:
    mini_batch = plan(str(folder))
    change(folder / "b.txt")
    runner = make_runner(make_scoring(SCRIPT, max_retries=3))
    stage = InputStage(str(folder), "direct", scratch=str(tmp_path))
    outcome = runner.score(mini_batch, stage, schema=None).outcome
    assert (outcome.status, outcome.inputs, outcome.failed) == (SUCCEEDED, 4, 1)
    assert (outcome.attempts, outcome.retries, outcome.rows) == (1, 0, 3)
    assert [(one.path, one.condition) for one in outcome.failures] == [("b.txt", condition)]
    assert outcome.error is None


def test_changed_input__all_of_them(
    make_scoring: MakeScoring, make_runner: MakeRunner, folder: Path, tmp_path: Path
) -> None:
    mini_batch = plan(str(folder))
    for file in folder.iterdir():
        file.unlink()
    runner = make_runner(make_scoring(SCRIPT))
    stage = InputStage(str(folder), "direct", scratch=str(tmp_path))
    outcome = runner.score(mini_batch, stage, schema=None).outcome
    assert (outcome.status, outcome.failed, outcome.attempts) == (FAILED, 4, 0)
    assert outcome.error is not None
    assert outcome.error.condition == "INPUT_NOT_FOUND"


def test_changed_input__folder_in_place_of_one(
    make_scoring: MakeScoring, make_runner: MakeRunner, folder: Path, tmp_path: Path
) -> None:
    mini_batch = plan(str(folder))
    (folder / "a.txt").unlink()
    (folder / "a.txt").mkdir()
    stage = InputStage(str(folder), "direct", scratch=str(tmp_path))
    outcome = make_runner(make_scoring(SCRIPT)).score(mini_batch, stage, schema=None).outcome
    assert [one.condition for one in outcome.failures] == ["INPUT_CHANGED"]


@pytest.mark.parametrize(
    ("change", "condition"),
    [("remove", "INPUT_NOT_FOUND"), ("replace", "INPUT_CHANGED"), ("none", None)],
)
def test_changed_input__in_a_store(
    make_scoring: MakeScoring,
    make_runner: MakeRunner,
    tmp_path: Path,
    change: str,
    condition: str | None,
) -> None:
    files = fsspec.filesystem("memory")
    files.store.clear()
    for name in "abcd":
        files.pipe(f"/bucket/in/{name}.txt", b"text")
    mini_batch = plan("memory://bucket/in")
    if change == "remove":
        files.rm("/bucket/in/b.txt")
    elif change == "replace":
        files.pipe("/bucket/in/b.txt", b"another text")
    stage = InputStage("memory://bucket/in", "fetch", scratch=str(tmp_path))
    runner = make_runner(make_scoring(SCRIPT, max_retries=2))
    outcome = runner.score(mini_batch, stage, schema=None).outcome
    stage.close()
    assert (outcome.status, outcome.attempts) == (SUCCEEDED, 1)
    found = [(one.path, one.condition) for one in outcome.failures]
    assert found == ([] if condition is None else [("b.txt", condition)])
    files.store.clear()


def test_changed_input__nothing_is_asked_without_an_etag(
    make_scoring: MakeScoring, make_runner: MakeRunner, folder: Path, tmp_path: Path
) -> None:
    """A link that led nowhere when it was listed fails in the script, as any unreadable file."""
    (folder / "broken").symlink_to("nowhere")
    stage = InputStage(str(folder), "direct", scratch=str(tmp_path))
    assert stage.find_gone(("broken", "a.txt"), ("", "")) == {}
