"""Files that scripts wrote become one new folder."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from sparkscore.driver.publish.gate import PublishGate
from sparkscore.driver.publish.published import PublishedOutput
from sparkscore.driver.publish.script_files import publish_folder
from sparkscore.errors import (
    AlreadyExistsError,
    CanceledError,
    OutputNotWritableError,
    PublishError,
)
from sparkscore.messages.launch import OutputMessage


def write(folder: Path, files: dict[str, str]) -> str:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return str(folder)


def publish(target: Path, folders: list[tuple[int, tuple[str, ...]]]) -> PublishedOutput:
    output = OutputMessage(str(target), "summary_only", "csv")
    return publish_folder(folders=folders, output=output, job_name="job")


def texts_in(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): path.read_text()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_publish_folder__merges_the_attempts(tmp_path: Path) -> None:
    first = write(tmp_path / "a", {"x.txt": "1", "deep/er/y.txt": "2"})
    second = write(tmp_path / "b", {"deep/z.txt": "3"})
    target = tmp_path / "new" / "out"
    found = publish(target, [(1, (second,)), (0, (first,))])
    assert texts_in(target) == {"x.txt": "1", "deep/er/y.txt": "2", "deep/z.txt": "3"}
    assert (found.files, found.bytes, found.renamed) == (3, 3, 0)
    assert [path.name for path in target.parent.iterdir()] == ["out"]
    assert texts_in(Path(first)) == {"x.txt": "1", "deep/er/y.txt": "2"}


def test_publish_folder__first_mini_batch_keeps_the_name(tmp_path: Path) -> None:
    folders = {
        number: write(tmp_path / f"a{number}", {"out/x.tar.gz": str(number), "plain": str(number)})
        for number in (0, 3, 7)
    }
    again = write(tmp_path / "again", {"plain": "again"})
    target = tmp_path / "out"
    found = publish(target, [(7, (folders[7],)), (0, (folders[0],)), (3, (folders[3], again))])
    assert texts_in(target) == {
        "out/x.tar.gz": "0",
        "out/x.tar-mb3.gz": "3",
        "out/x.tar-mb7.gz": "7",
        "plain": "0",
        "plain-mb3": "3",
        "plain-mb3-2": "again",
        "plain-mb7": "7",
    }
    assert (found.files, found.renamed) == (7, 5)
    assert found.to_summary()["renamed"] == 5


def test_publish_folder__file_where_another_made_a_folder(tmp_path: Path) -> None:
    first = write(tmp_path / "a", {"x": "file", "y/z": "in folder"})
    second = write(tmp_path / "b", {"x/z": "in folder", "y": "file"})
    target = tmp_path / "out"
    publish(target, [(0, (first,)), (1, (second,))])
    assert texts_in(target) == {
        "x": "file",
        "y/z": "in folder",
        "x-mb1/z": "in folder",
        "y-mb1": "file",
    }


def test_publish_folder__nothing_written(tmp_path: Path) -> None:
    assert publish(tmp_path / "out", []).files == 0
    assert list((tmp_path / "out").iterdir()) == []


def test_publish_folder__empty_folder_may_exist(tmp_path: Path) -> None:
    target = tmp_path / "out"
    target.mkdir(mode=0o750)
    publish(target, [(0, (write(tmp_path / "a", {"x": "1"}),))])
    assert texts_in(target) == {"x": "1"}
    assert target.stat().st_mode & 0o777 == 0o750


@pytest.mark.parametrize("kind", ["file", "folder with content"])
def test_publish_folder__target_exists(tmp_path: Path, kind: str) -> None:
    target = tmp_path / "out"
    before = write(target, {"old": "old"}) if kind != "file" else target.write_text("old")
    with pytest.raises(AlreadyExistsError) as caught:
        publish(target, [(0, (write(tmp_path / "a", {"x": "1"}),))])
    assert caught.value.condition == "OUTPUT_EXISTS"
    assert before
    assert texts_in(target) == ({"old": "old"} if target.is_dir() else {})
    assert {path.name for path in tmp_path.iterdir()} == {"a", "out"}


def test_publish_folder__content_that_came_meanwhile_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "out"
    link = os.link

    def link_while_another_job_writes(*arguments: Any, **options: Any) -> None:
        write(target, {"theirs": "1"})
        link(*arguments, **options)

    monkeypatch.setattr(os, "link", link_while_another_job_writes)
    with pytest.raises(AlreadyExistsError) as caught:
        publish(target, [(0, (write(tmp_path / "a", {"x": "1"}),))])
    assert caught.value.condition == "OUTPUT_EXISTS"
    assert texts_in(target) == {"theirs": "1"}
    assert {path.name for path in tmp_path.iterdir()} == {"a", "out"}


def test_publish_folder__attempt_folder_is_gone(tmp_path: Path) -> None:
    first = write(tmp_path / "a", {"x": "1"})
    with pytest.raises(PublishError) as caught:
        publish(tmp_path / "new" / "out", [(0, (first,)), (1, (str(tmp_path / "gone"),))])
    assert caught.value.condition == "STAGING_DAMAGED"
    assert caught.value.attributes["file"] == str(tmp_path / "gone")
    assert not (tmp_path / "new").exists()


def test_publish_folder__canceled_within_the_files_of_one_mini_batch(tmp_path: Path) -> None:
    first = write(tmp_path / "a", {str(number): "" for number in range(9)})
    placed: list[int] = []

    def check() -> None:
        placed.append(len(list(tmp_path.glob(".out.*/*"))))
        if len(placed) == 3:
            raise CanceledError("the job was canceled")

    output = OutputMessage(str(tmp_path / "out"), "summary_only", "csv")
    with pytest.raises(CanceledError):
        publish_folder(
            folders=[(0, (first,))], output=output, job_name="job", gate=PublishGate(check=check)
        )
    assert placed == [0, 1, 2]
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_publish_folder__repeat_after_a_killed_publish(tmp_path: Path) -> None:
    write(tmp_path / ".out.job.1.tmp", {"half": "half"})
    publish(tmp_path / "out", [(0, (write(tmp_path / "a", {"x": "1"}),))])
    assert texts_in(tmp_path / "out") == {"x": "1"}
    assert not (tmp_path / ".out.job.1.tmp").exists()


@pytest.mark.parametrize("inside", [False, True])
def test_publish_folder__what_a_successor_builds_is_left_alone(
    tmp_path: Path, inside: bool
) -> None:
    target = tmp_path / "out"
    name = ".job" if inside else ".out.job"
    for token in (1, 3):
        write((target if inside else tmp_path) / f"{name}.{token}.tmp", {"half": "half"})
    attempt = write(tmp_path / "a", {"x": "1"})
    output = OutputMessage(str(target), "summary_only", "csv")
    gate = PublishGate(token=2)
    if inside:
        with pytest.raises(AlreadyExistsError):
            publish_folder(folders=[(0, (attempt,))], output=output, job_name="job", gate=gate)
    else:
        publish_folder(folders=[(0, (attempt,))], output=output, job_name="job", gate=gate)
        assert not (tmp_path / f"{name}.1.tmp").exists()
    assert texts_in((target if inside else tmp_path) / f"{name}.3.tmp") == {"half": "half"}


def test_publish_folder__copies_where_links_do_not_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_links(*_: object, **__: object) -> None:
        raise OSError(errno.EXDEV, "another file system")

    monkeypatch.setattr(os, "link", no_links)
    publish(tmp_path / "out", [(0, (write(tmp_path / "a", {"x": "1"}),))])
    assert texts_in(tmp_path / "out") == {"x": "1"}


def test_publish_folder__links_pipes_and_hidden_files(tmp_path: Path) -> None:
    folder = tmp_path / "a"
    write(folder, {".hidden": "h", "x": "1"})
    (folder / "link").symlink_to(folder / "x")
    (folder / "broken").symlink_to("nowhere")
    (folder / "up").symlink_to("..", target_is_directory=True)
    os.mkfifo(folder / "pipe")
    publish(tmp_path / "out", [(0, (str(folder),))])
    found = tmp_path / "out"
    assert {path.name for path in found.iterdir()} == {".hidden", "x", "link", "broken", "up"}
    assert not (found / "link").is_symlink()
    assert (found / "link").read_text() == "1"
    assert (found / "broken").readlink() == Path("nowhere")


def test_publish_folder__file_in_the_way_of_its_parent(tmp_path: Path) -> None:
    (tmp_path / "parent").write_text("a file")
    with pytest.raises(OutputNotWritableError) as caught:
        publish(tmp_path / "parent" / "out", [])
    assert caught.value.condition == "OUTPUT_NOT_WRITABLE"


def test_publish_folder__no_space_while_linking(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(os, "link", full)
    with pytest.raises(Exception, match="no space") as caught:
        publish(tmp_path / "out", [(0, (write(tmp_path / "a", {"x": "1"}),))])
    assert getattr(caught.value, "condition", None) == "NO_SPACE_LEFT"
    assert not (tmp_path / "out").exists()
