"""Input images beside results: found by their names, and nothing else is given out."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sparkscore.control.jobs import Job
from sparkscore.control.jobs import images as images_module
from sparkscore.control.jobs.images import find_image_type, find_input_images, read_input_image
from sparkscore.control.jobs.tables import FirstRows
from sparkscore.control.workspace import Workspace
from sparkscore.errors import NotFoundError, StateError
from tests.studio.finished_jobs import PNG, make_record, write_launch, write_planned

FILES = {
    "a.png": PNG,
    "cat/x.jpg": b"\xff\xd8\xff" + b"0" * 20,
    "dog/x.jpg": b"\xff\xd8\xff" + b"1" * 20,
    "dog/only.gif": b"GIF89a",
    "page.png": b"<script>alert(1)</script>",
    "notes.txt": PNG,
}


@pytest.fixture
def job(workspace: Workspace, tmp_path: Path) -> Job:
    root = tmp_path / "in"
    for name, content in {**FILES, "unlisted.png": PNG}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    record = make_record(workspace, folder=str(tmp_path / "job"))
    Path(record.folder).mkdir()
    write_launch(record, inputs=root)
    write_planned(record, root=root, paths=sorted([*FILES, "gone.png"]))
    return Job(record, workspace)


def rows(*values: str | None) -> FirstRows:
    return FirstRows(("n", "name"), tuple((str(index), it) for index, it in enumerate(values)))


def test_column__is_found_by_names_of_inputs(job: Job, tmp_path: Path) -> None:
    given = ("only.gif", "cat/x.jpg", "x.jpg", None, "other.png", str(tmp_path / "in" / "a.png"))
    found = find_input_images(job, rows(*given))
    assert found is not None
    assert found.column == "name"
    assert found.paths == ("dog/only.gif", "cat/x.jpg", None, None, None, "a.png")


@pytest.mark.parametrize("values", [(), ("notes.txt",), ("other.png",), (None,)])
def test_column__is_none_without_images(job: Job, values: tuple[str | None, ...]) -> None:
    assert find_input_images(job, rows(*values)) is None


def test_column__is_none_without_a_plan(workspace: Workspace, tmp_path: Path) -> None:
    record = make_record(workspace, folder=str(tmp_path))
    assert find_input_images(Job(record, workspace), rows("a.png")) is None


def test_read__gives_what_the_plan_lists(job: Job) -> None:
    assert read_input_image(job, "a.png") == (PNG, "image/png")
    assert read_input_image(job, "cat/x.jpg")[1] == "image/jpeg"
    assert read_input_image(job, "notes.txt") == (PNG, "image/png")


@pytest.mark.parametrize(
    "path", ["unlisted.png", "page.png", "gone.png", "../job/launch.json", "/etc/passwd", "", "in"]
)
def test_read__gives_nothing_else(job: Job, path: str) -> None:
    with pytest.raises(NotFoundError) as caught:
        read_input_image(job, path)
    assert caught.value.condition == "INPUT_NOT_FOUND"


def test_read__refuses_what_is_too_large(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images_module, "MOST_IMAGE_BYTES", len(PNG) - 1)
    with pytest.raises(NotFoundError):
        read_input_image(job, "a.png")


def test_read__of_a_pruned_job(job: Job) -> None:
    record = make_record(job.workspace, properties={"sparkscore.pruned_at": "now"})
    with pytest.raises(StateError) as caught:
        read_input_image(Job(record, job.workspace), "a.png")
    assert caught.value.condition == "JOB_PRUNED"


def test_read__of_an_input_that_became_a_folder(job: Job, tmp_path: Path) -> None:
    os.remove(tmp_path / "in" / "a.png")
    (tmp_path / "in" / "a.png").mkdir()
    with pytest.raises(Exception) as caught:
        read_input_image(job, "a.png")
    assert getattr(caught.value, "condition", None) == "INPUT_NOT_READABLE"


def test_type__goes_by_the_first_bytes() -> None:
    assert find_image_type(b"RIFF\0\0\0\0WEBPVP8 ") == "image/webp"
    assert find_image_type(b"RIFF\0\0\0\0WAVE") is None
    assert find_image_type(b"<svg>") is None
    assert find_image_type(b"") is None


def test_type__of_a_text_that_begins_as_a_bitmap_does() -> None:
    assert find_image_type(b"BM\x36\0\0\0\0\0\0\0\x36\0\0\0") == "image/bmp"
    assert find_image_type(b"BMI,age,class\n22,40,1\n") is None


def test_read__of_an_input_behind_the_first(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images_module, "_SEARCHED_COUNT", 2)
    images_module._read_first_paths.cache_clear()
    assert find_input_images(job, rows("only.gif")) is None
    assert read_input_image(job, "dog/only.gif")[1] == "image/gif"
    with pytest.raises(NotFoundError):
        read_input_image(job, "unlisted.png")
    images_module._read_first_paths.cache_clear()
