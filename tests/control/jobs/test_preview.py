"""A look at files and at the first rows of results, of each format."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sparkscore.control.jobs import Job
from sparkscore.control.jobs.files import JobFile
from sparkscore.control.jobs.preview import LINE_COUNT, preview_file, read_first_rows
from sparkscore.control.workspace import Workspace
from sparkscore.errors import NotFoundError, StateError, StorageError
from tests.control.jobs.conftest import make_record

TABLE = pa.table({"file": ["a.png", "b.png"], "digit": [1, None]})
ROWS = (("a.png", "1"), ("b.png", None))


def make_job(workspace: Workspace, output: dict[str, Any] | None, **settings: Any) -> Job:
    record = make_record(
        status="Completed",
        summary={"output": output},
        deployment={"settings": settings},
        outputs={"score": {"path": "", "options": {}}},
    )
    return Job(record, workspace)


def write_parquet(file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(TABLE, file)


def test_rows__csv_with_the_settings_of_the_job(workspace: Workspace, tmp_path: Path) -> None:
    (tmp_path / "out.csv").write_text("a.png 1\nb.png \n")
    output = {"path": str(tmp_path / "out.csv"), "format": "csv"}
    job = make_job(workspace, output, output_separator=" ", output_header=False)
    found = read_first_rows(job)
    assert found is not None
    assert (found.columns, found.rows) == (("1", "2"), (("a.png", "1"), ("b.png", "")))


def test_rows__json_lines(workspace: Workspace, tmp_path: Path) -> None:
    file = tmp_path / "out.jsonl"
    file.write_text('{"file": "a.png", "digit": 1}\n{"file": "b.png", "digit": null}\n')
    found = read_first_rows(make_job(workspace, {"path": str(file), "format": "jsonl"}), count=1)
    assert found is not None
    assert (found.columns, found.rows, found.has_more) == (("file", "digit"), ROWS[:1], True)


@pytest.mark.parametrize("name", ["out.parquet", "folder/part-0.parquet"])
def test_rows__parquet_file_or_folder(workspace: Workspace, tmp_path: Path, name: str) -> None:
    write_parquet(tmp_path / name)
    path = str(tmp_path / name.partition("/")[0])
    found = read_first_rows(make_job(workspace, {"path": path, "format": "parquet"}))
    assert found is not None
    assert (found.columns, found.rows, found.has_more) == (("file", "digit"), ROWS, False)


def test_rows__first_version_of_a_delta_table(workspace: Workspace, tmp_path: Path) -> None:
    write_parquet(tmp_path / "t" / "part 0.parquet")
    actions: list[dict[str, Any]] = [{"commitInfo": {}}, {"add": {"path": "part%200.parquet"}}]
    log = tmp_path / "t" / "_delta_log" / f"{0:020d}.json"
    log.parent.mkdir()
    log.write_text("\n".join(map(json.dumps, actions)))
    output = {"path": str(tmp_path / "t"), "format": "delta", "version": 0}
    found = read_first_rows(make_job(workspace, output))
    assert found is not None
    assert found.rows == ROWS


@pytest.mark.parametrize("path", ["../other.parquet", "a/../../other.parquet", "/other.parquet"])
def test_rows__of_a_delta_table_that_names_files_elsewhere(
    workspace: Workspace, tmp_path: Path, path: str
) -> None:
    write_parquet(tmp_path / "other.parquet")
    log = tmp_path / "t" / "_delta_log" / f"{0:020d}.json"
    log.parent.mkdir(parents=True)
    log.write_text(json.dumps({"add": {"path": path}}))
    with pytest.raises(StorageError) as caught:
        read_first_rows(
            make_job(workspace, {"path": str(tmp_path / "t"), "format": "delta", "version": 0})
        )
    assert caught.value.condition == "OUTPUT_NOT_READABLE"


@pytest.mark.parametrize(
    "output",
    [
        {"path": "t", "format": "delta", "version": 3},
        {"path": None, "format": "delta", "table": "a.b", "version": 0},
    ],
)
def test_rows__of_other_versions_need_a_session(
    workspace: Workspace, output: dict[str, Any]
) -> None:
    with pytest.raises(StateError) as caught:
        read_first_rows(make_job(workspace, output))
    assert caught.value.condition == "SESSION_NEEDED"


@pytest.mark.parametrize("output", [None, {"path": "x", "format": "files"}])
def test_rows__of_a_job_without_any(workspace: Workspace, output: dict[str, Any] | None) -> None:
    assert read_first_rows(make_job(workspace, output)) is None


def test_rows__of_an_output_that_was_removed(workspace: Workspace, tmp_path: Path) -> None:
    output = {"path": str(tmp_path / "none.csv"), "format": "csv"}
    with pytest.raises(NotFoundError) as caught:
        read_first_rows(make_job(workspace, output))
    assert caught.value.condition == "OUTPUT_NOT_FOUND"


def parquet_bytes() -> bytes:
    sink = io.BytesIO()
    pq.write_table(TABLE, sink)
    return sink.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("a.csv", b"a,b\n1,2\n", "table"),
        ("a.jsonl", b'{"a": 1}\n', "table"),
        ("a.PARQUET", parquet_bytes(), "table"),
        ("broken.parquet", b"PAR1\0nothing", "none"),
        ("text.parquet", b"no such thing", "text"),
        ("page.html", b"<script>alert(1)</script>", "text"),
        ("drawing.svg", b"<svg xmlns='http://www.w3.org/2000/svg'/>", "text"),
        ("empty", b"", "text"),
        ("model.bin", b"\x01\0\x02", "none"),
        ("really.csv", b"\x89PNG\r\n\x1a\n....", "image"),
    ],
)
def test_preview__goes_by_content_too(tmp_path: Path, name: str, content: bytes, kind: str) -> None:
    (tmp_path / name).write_bytes(content)
    file = JobFile(f"artifacts/{name}", len(content), "job", str(tmp_path / name))
    assert preview_file(file).kind == kind


def test_preview__shows_the_first_lines(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("line\n" * (LINE_COUNT + 1))
    found = preview_file(JobFile("artifacts/log", 1, "job", str(tmp_path / "log")))
    assert found.text == "line\n" * LINE_COUNT
    assert found.has_more
