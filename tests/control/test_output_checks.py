"""Outputs and job folders are checked without leaving a trace."""

from __future__ import annotations

from pathlib import Path

import pytest

from sparkscore.control.output_checks import (
    check_job_folder,
    check_job_folder_outside_input,
    check_output,
    check_output_outside_input,
)
from sparkscore.errors import AlreadyExistsError, OutputNotWritableError, PlanError
from sparkscore.messages.launch import InputMessage, OutputMessage
from tests.control.samples import list_files


def make_output(path: Path | str, file_name: str = "predictions.csv") -> OutputMessage:
    return OutputMessage(path=str(path), action="append_row", format="csv", file_name=file_name)


@pytest.mark.parametrize("path", ["", "a", "a/b/c"])
def test_check_output__can_be_made(tmp_path: Path, path: str) -> None:
    check_output(make_output(tmp_path / path), job_folder=tmp_path.parent / "other")
    assert list_files(tmp_path) == []


def test_check_output__shares_a_folder_with_other_files(tmp_path: Path) -> None:
    (tmp_path / "others.csv").write_text("x")
    check_output(make_output(tmp_path), job_folder=tmp_path.parent / "other")


@pytest.mark.parametrize("kind", ["file", "folder", "dangling link"])
def test_check_output__file_exists(tmp_path: Path, kind: str) -> None:
    target = tmp_path / "predictions.csv"
    if kind == "file":
        target.write_text("x")
    elif kind == "folder":
        target.mkdir()
    else:
        target.symlink_to(tmp_path / "nowhere")
    with pytest.raises(AlreadyExistsError) as caught:
        check_output(make_output(tmp_path), job_folder=tmp_path.parent / "other")
    assert caught.value.condition == "OUTPUT_EXISTS"
    assert caught.value.attributes["path"] == str(target)


def test_check_output__folder_as_a_whole_must_be_empty(tmp_path: Path) -> None:
    folder = tmp_path / "table"
    folder.mkdir()
    check_output(make_output(folder, file_name=""), job_folder=tmp_path / "other")
    (folder / "part").write_text("x")
    with pytest.raises(AlreadyExistsError) as caught:
        check_output(make_output(folder, file_name=""), job_folder=tmp_path / "other")
    assert caught.value.condition == "OUTPUT_EXISTS"


@pytest.mark.parametrize("path", ["file", "file/below"])
def test_check_output__a_file_is_in_the_way(tmp_path: Path, path: str) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputNotWritableError):
        check_output(make_output(tmp_path / path), job_folder=tmp_path / "other")


@pytest.mark.parametrize("path", ["/proc/nope", "/proc/self/nope/deeper", "/dev/null/out"])
def test_check_output__not_writable_even_for_root(tmp_path: Path, path: str) -> None:
    with pytest.raises(OutputNotWritableError):
        check_output(make_output(path), job_folder=tmp_path / "job")


def test_check_output__name_too_long(tmp_path: Path) -> None:
    with pytest.raises(OutputNotWritableError):
        check_output(make_output(tmp_path / ("n" * 300)), job_folder=tmp_path / "job")


@pytest.mark.parametrize(
    ("output", "job", "condition"),
    [
        ("out", "out", "JOB_FOLDER_IN_OUTPUT"),
        ("out", "out/job", "JOB_FOLDER_IN_OUTPUT"),
        ("job/logs", "job", "OUTPUT_IN_JOB_FILES"),
        ("job/staging/x", "job", "OUTPUT_IN_JOB_FILES"),
    ],
)
def test_check_output__apart_from_the_job_folder(
    tmp_path: Path, output: str, job: str, condition: str
) -> None:
    with pytest.raises(PlanError) as caught:
        check_output(make_output(tmp_path / output), job_folder=tmp_path / job)
    assert caught.value.condition == condition


@pytest.mark.parametrize("output", ["job/score", "job/results/csv", "jobs"])
def test_check_output__beside_or_below_the_job_folder(tmp_path: Path, output: str) -> None:
    check_output(make_output(tmp_path / output), job_folder=tmp_path / "job")


def test_check_output__table_is_left_to_the_driver(tmp_path: Path) -> None:
    (tmp_path / "present").write_text("x")
    output = OutputMessage(path=str(tmp_path), action="append_row", format="delta", table="results")
    check_output(output, job_folder=tmp_path.parent / "job")


def test_check_job_folder__exists(tmp_path: Path) -> None:
    with pytest.raises(AlreadyExistsError) as caught:
        check_job_folder(tmp_path)
    assert caught.value.condition == "JOB_EXISTS"


def test_check_job_folder_outside_input__links_do_not_deceive(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "linked").symlink_to(tmp_path / "in")
    check_job_folder_outside_input(tmp_path / "job", input_path=tmp_path / "in")
    with pytest.raises(PlanError) as caught:
        check_job_folder_outside_input(tmp_path / "linked" / "job", input_path=tmp_path / "in")
    assert caught.value.condition == "JOB_FOLDER_IN_INPUT"


SEEN = [
    ("in", "in", {}),
    ("in/out", "in", {}),
    ("in/a/../out", "in", {}),
    ("link/out", "in", {}),
    ("in", "link", {}),
    ("in", "in/*.csv", {}),
    ("in/a", "in/**/*.csv", {}),
    ("in", "in", {"include": ("*.csv",)}),
    ("in/out", "in", {"exclude": ("other/",)}),
    ("s3://a/in/out", "s3://a/in", {}),
    ("s3://a/in", "s3://a/in/", {}),
]


@pytest.mark.parametrize(("output", "uri", "patterns"), SEEN, ids=str)
def test_check_output_outside_input__that_would_be_scored(
    tmp_path: Path, output: str, uri: str, patterns: dict[str, tuple[str, ...]]
) -> None:
    with pytest.raises(PlanError) as caught:
        check_apart(tmp_path, output, uri, patterns)
    assert caught.value.condition == "OUTPUT_IN_INPUT"


UNSEEN = [
    ("", "in", {}),
    ("out", "in", {}),
    ("in2", "in", {}),
    ("in/_out", "in", {}),
    ("in/.out/a", "in", {}),
    ("in", "in/a.txt", {}),
    ("in/out", "in/*.csv", {}),
    ("in", "in", {"include": ("*.txt",)}),
    ("in/out", "in", {"exclude": ("out/",)}),
    ("s3://a/in2", "s3://a/in", {}),
    ("s3://a/in/out", "in", {}),
    ("in", "s3://a/in", {}),
]


@pytest.mark.parametrize(("output", "uri", "patterns"), UNSEEN, ids=str)
def test_check_output_outside_input__that_no_job_would_score(
    tmp_path: Path, output: str, uri: str, patterns: dict[str, tuple[str, ...]]
) -> None:
    check_apart(tmp_path, output, uri, patterns)


def test_check_output_outside_input__tables_and_files_of_scripts(tmp_path: Path) -> None:
    given = InputMessage(uri=str(tmp_path), include=("*.png",))
    table = OutputMessage(str(tmp_path / "t"), action="append_row", format="delta")
    check_output_outside_input(table, given)
    with pytest.raises(PlanError):
        check_output_outside_input(table, InputMessage(uri=str(tmp_path)))
    files = OutputMessage(str(tmp_path / "t"), action="summary_only", format="csv")
    with pytest.raises(PlanError):
        check_output_outside_input(files, InputMessage(uri=str(tmp_path)))
    catalog = OutputMessage(str(tmp_path), action="append_row", format="delta", table="a.b")
    check_output_outside_input(catalog, InputMessage(uri=str(tmp_path)))


def check_apart(place: Path, output: str, uri: str, patterns: dict[str, tuple[str, ...]]) -> None:
    (place / "in" / "a").mkdir(parents=True)
    (place / "in" / "a.txt").touch()
    (place / "link").symlink_to(place / "in")
    given, wanted = (text if "://" in text else str(place / text) for text in (uri, output))
    include, exclude = patterns.get("include", ()), patterns.get("exclude", ())
    message = InputMessage(uri=given, include=include, exclude=exclude)
    check_output_outside_input(make_output(wanted), message)
