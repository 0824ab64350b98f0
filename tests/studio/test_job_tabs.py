"""Failures, logs, outputs and settings of a job, hostile content included. Without a browser."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

import pytest

from sparkscore.control.workspace import Workspace
from tests.studio.finished_jobs import (
    HOSTILE,
    IMAGE_NAMES,
    PNG,
    add_image_job,
    add_job,
    make_record,
)
from tests.studio.follower import Follower

TABS = ("failures", "logs", "outputs", "settings")


@pytest.fixture
def follower(studio: str) -> Follower:
    return Follower(studio)


@pytest.fixture
def done(workspace: Workspace) -> str:
    return add_job(workspace).name


@pytest.fixture
def pictures(workspace: Workspace, tmp_path: Path) -> str:
    return add_image_job(workspace, folder=tmp_path / "pics").name


def test_failures__are_grouped_and_escaped(follower: Follower, done: str) -> None:
    page = follower.text(f"/jobs/{done}/failures")
    assert "3 failed inputs of 2 kinds" in page
    assert "ValueError: &lt;n&gt; is &lt;b&gt;odd&lt;/b&gt;" in page
    assert "score.py:7" in page
    assert f"/studio/jobs/{done}/logs?mini_batch=1" in page
    assert "/files/artifacts/failed_inputs.csv" in page
    assert "<script>alert" not in page
    assert "hx-get" not in page.partition('id="failures"')[2].partition(">")[0]


def test_failures__of_the_job_itself(follower: Follower, workspace: Workspace) -> None:
    error = {"condition": "INIT_FAILED", "message": f"it <b>broke</b> {HOSTILE}", "exit_code": 4}
    add_job(workspace, "broken", status="Failed", error={**error, "traceback": "File x"})
    add_job(workspace, "stopped", status="Canceled", error={**error, "log_lines": ["<i>last"]})
    assert "The job was canceled" in follower.text("/jobs/stopped/failures")
    assert "&lt;i&gt;last" in follower.text("/jobs/stopped/failures")
    page = follower.text("/jobs/broken/failures")
    assert "The job failed: <code>INIT_FAILED</code>" in page
    assert "it &lt;b&gt;broke&lt;/b&gt;" in page
    assert "File x" in page


def test_failures__of_a_job_without_any(follower: Follower, workspace: Workspace) -> None:
    record = add_job(
        workspace, "fine", summary={"inputs": {"total": 1, "succeeded": 1, "failed": 0}}
    )
    Path(record.folder, "failed_inputs.csv").unlink()
    assert "No input failed" in follower.text("/jobs/fine/failures")


def test_logs__driver_first_then_any(follower: Follower, done: str) -> None:
    page = follower.text(f"/jobs/{done}/logs")
    assert "line 49" in page
    assert "&lt;script&gt;" in page.partition('id="log"')[2]
    path = quote("logs/user/stdout/vm/process-1.stdout.txt")
    page = follower.text(f"/jobs/{done}/logs?file={path}")
    assert ">mb 2 try 2</a>two" in page
    assert '<span class="log-mark">init</span>loading' in page


def test_logs__from_an_offset(follower: Follower, done: str) -> None:
    page = follower.text(f"/jobs/{done}/logs?file=logs/driver.log&from=7")
    assert "line 0" not in page
    assert "line 1<" in page


def test_logs__of_a_mini_batch(follower: Follower, done: str) -> None:
    page = follower.text(f"/jobs/{done}/logs?mini_batch=1")
    shown = page.partition('id="log"')[2]
    assert "one" in shown
    assert "three" in shown
    assert "two" not in shown
    assert "Nothing was said" in follower.text(f"/jobs/{done}/logs?mini_batch=3")


def test_logs__that_are_not_there(follower: Follower, done: str) -> None:
    for query, says in (
        ("mini_batch=99", b"has no mini-batch 99"),
        ("mini_batch=x", b"is no mini-batch"),
        ("file=logs/../launch.json", b"has no log"),
        ("file=launch.json", b"has no log"),
    ):
        answer = follower.get(f"/jobs/{done}/logs?{query}")
        assert answer.status == 422, query
        assert says in answer.raw, query


def test_logs__more_gives_new_lines_and_begins_anew_when_late(
    follower: Follower, done: str, workspace: Workspace
) -> None:
    size = Path(workspace.jobs.get(done).record.folder, "logs", "driver.log").stat().st_size
    answer = follower.get(f"/jobs/{done}/logs/more?file=logs/driver.log&start={size - 10}")
    assert "HX-Retarget" not in answer.headers
    assert b"hx-get" not in answer.raw
    answer = follower.get(f"/jobs/{done}/logs/more?file=logs/driver.log&start={size + 1}")
    assert answer.headers["HX-Retarget"] == "#log"
    assert b"line 0" in answer.raw


def test_outputs__show_rows_beside_images(follower: Follower, pictures: str) -> None:
    page = follower.text(f"/jobs/{pictures}/outputs")
    assert page.count("<img ") == len(IMAGE_NAMES)
    assert "<script>alert" not in page
    assert "labels.csv" in page
    for name in IMAGE_NAMES:
        answer = follower.get(f"/jobs/{pictures}/inputs/{quote(name)}")
        assert (answer.status, answer.raw) == (200, PNG)
        assert answer.headers["Content-Type"] == "image/png"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Content-Security-Policy"] == "default-src 'none'; sandbox"


def test_inputs__only_images_of_the_plan(follower: Follower, pictures: str) -> None:
    for name in ("unlisted.png", "fake.png", "gone.png", "..%2Fout%2Flabels.csv"):
        assert follower.get(f"/jobs/{pictures}/inputs/{name}").status == 404, name


def test_files__are_only_ever_saved(follower: Follower, done: str, workspace: Workspace) -> None:
    folder = Path(workspace.jobs.get(done).record.folder)
    (folder / "logs" / "page.html").write_text("<script>alert(1)</script>")
    address = f"/jobs/{done}/files/artifacts/logs/page.html"
    answer = follower.get(address)
    assert answer.headers["Content-Type"] == "application/octet-stream"
    assert answer.headers["Content-Disposition"].startswith("attachment")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    answer = follower.get(address, Range="bytes=1-6")
    assert (answer.status, answer.raw) == (206, b"script")
    page = follower.text(f"/jobs/{done}/preview/artifacts/logs/page.html")
    assert "&lt;script&gt;alert(1)" in page
    assert "<script>alert" not in page
    assert follower.get(f"/jobs/{done}/images/artifacts/logs/page.html").status == 404


def test_files__with_names_that_are_no_text(
    follower: Follower, done: str, workspace: Workspace
) -> None:
    folder = Path(workspace.jobs.get(done).record.folder)
    (folder / "logs" / "user" / "caf\udce9.txt").write_text("x")
    (folder / "logs" / "user" / f"{HOSTILE.replace('/', '')}.txt").write_text("x")
    page = follower.text(f"/jobs/{done}/outputs")
    assert "&lt;script&gt;alert" in page
    assert follower.get(f"/jobs/{done}/logs").status == 200


def test_preview__table_and_image(follower: Follower, done: str, workspace: Workspace) -> None:
    page = follower.text(f"/jobs/{done}/preview/artifacts/failed_inputs.csv")
    assert "SHORT_RESULT</td>" in page
    folder = Path(workspace.jobs.get(done).record.folder)
    (folder / "logs" / "plot.png").write_bytes(PNG)
    page = follower.text(f"/jobs/{done}/preview/artifacts/logs/plot.png")
    assert f"/studio/jobs/{done}/images/artifacts/logs/plot.png" in page
    assert follower.get(f"/jobs/{done}/images/artifacts/logs/plot.png").raw == PNG


def test_settings__without_secrets(follower: Follower, done: str) -> None:
    page = follower.text(f"/jobs/{done}/settings")
    assert "hush-hush" not in page
    assert "retry_settings.max_retries" in page
    assert "spark.ui.enabled" in page
    assert "/studio/models/weights/1" in page


def test_settings__link_to_the_page_of_the_platform(
    follower: Follower, workspace: Workspace
) -> None:
    run = {"platform": "databricks", "run_id": "7", "state": "running", "folder": "s3://b/jobs/a"}
    pages = {"far": "https://pages.example.com/7", "odd": "javascript:alert(1)"}
    with workspace.store.writing() as writer:
        for name, url in pages.items():
            writer.add_job(make_record(workspace, name, remote={**run, "url": url}))
    page = follower.text("/jobs/far/settings")
    assert 'href="https://pages.example.com/7"' in page
    assert "s3://b/jobs/a" in page
    assert "javascript:" not in follower.text("/jobs/odd/settings")


def test_tabs__of_a_job_without_folder(follower: Follower, workspace: Workspace) -> None:
    bare = make_record(workspace, "bare", display_name=HOSTILE, summary=None)
    pruned = make_record(workspace, "pruned", properties={"sparkscore.pruned_at": "2026"})
    with workspace.store.writing() as writer:
        writer.add_job(bare)
        writer.add_job(pruned)
    for tab in TABS:
        for name in ("bare", "pruned"):
            answer = follower.get(f"/jobs/{name}/{tab}")
            refused = (name, tab) == ("pruned", "logs")
            assert answer.status == (422 if refused else 200), (name, tab)
            assert b"<script>alert" not in answer.raw
        assert follower.get(f"/jobs/none/{tab}").status == 404
