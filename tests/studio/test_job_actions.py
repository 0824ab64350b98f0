"""What people do with a job, by status and role. Without a browser."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from sparkscore.control import InvokeRequest
from sparkscore.control.workspace import Workspace
from sparkscore.rest.app import create_app
from sparkscore.rest.config import ServerConfig
from sparkscore.studio.app import add_studio
from tests.rest.serving import serving
from tests.studio.finished_jobs import add_image_job, add_job
from tests.studio.follower import Follower
from tests.studio.jobs import INPUT, invoke_and_wait

BUTTONS = ("Cancel", "Resume", "Retry failed", "Run again", "Download all", "Archive", "Restore")


@pytest.fixture
def follower(studio: str) -> Follower:
    return Follower(studio)


@pytest.fixture
def guarded(workspace: Workspace) -> Iterator[str]:
    """Studio with a login."""
    app = create_app(workspace, ServerConfig())
    add_studio(app)
    with serving(app) as address:
        yield f"{address}/studio"


def list_buttons(follower: Follower, job: str) -> set[str]:
    page = follower.text(f"/jobs/{job}/settings")
    part = page.partition('id="job-actions"')[2].partition('id="job-head"')[0]
    return {name for name in BUTTONS if f">{name}<" in part}


def test_buttons__fit_the_status(follower: Follower, workspace: Workspace) -> None:
    add_job(workspace, "done")
    add_job(workspace, "failed", status="Failed")
    add_job(workspace, "canceled", status="Canceled", summary=None, is_archived=True)
    add_job(workspace, "pruned", status="Failed", properties={"sparkscore.pruned_at": "2026"})
    assert list_buttons(follower, "done") == {
        "Retry failed",
        "Run again",
        "Download all",
        "Archive",
    }
    assert list_buttons(follower, "failed") == {
        *("Resume", "Retry failed", "Run again", "Download all", "Archive"),
    }
    assert list_buttons(follower, "canceled") == {"Resume", "Run again", "Download all", "Restore"}
    assert list_buttons(follower, "pruned") == {"Run again", "Archive"}


def test_buttons__fit_the_role(guarded: str, workspace: Workspace) -> None:
    add_job(workspace, "failed", status="Failed")
    reader, invoker = Follower(guarded), Follower(guarded)
    reader.log_in(str(workspace.tokens.create(name="reader", role="reader").secret))
    invoker.log_in(str(workspace.tokens.create(name="invoker", role="invoker").secret))
    assert list_buttons(reader, "failed") == {"Download all"}
    assert "Resume" in list_buttons(invoker, "failed")
    assert b'id="compute"' not in invoker.get("/jobs/failed/resume").raw
    for action in ("cancel", "resume", "retry", "archive", "restore"):
        assert reader.post(f"/jobs/failed/{action}").status == 403
    assert invoker.post("/jobs/failed/resume", compute="local[2]").status == 422


def test_cancel_and_archive(
    follower: Follower, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_DRIVER", "wait")
    job = workspace.batch_endpoints.invoke("mood", InvokeRequest(input=INPUT))
    assert list_buttons(follower, job.name) == {"Cancel", "Run again"}
    assert follower.post(f"/jobs/{job.name}/cancel").status == 200
    assert job.wait(60).status == "Canceled"
    assert follower.post(f"/jobs/{job.name}/archive").status == 200
    assert workspace.jobs.get(job.name).record.is_archived
    assert b"is in lists again" in follower.post(f"/jobs/{job.name}/restore").raw
    assert not workspace.jobs.get(job.name).record.is_archived
    assert follower.post(f"/jobs/{job.name}/cancel").status == 409


def test_resume__with_changed_settings(
    follower: Follower, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_DRIVER", "fail")
    job = invoke_and_wait(workspace)
    monkeypatch.setenv("FAKE_DRIVER", "complete")
    for typed in ("many", "-7"):
        answer = follower.post(f"/jobs/{job.name}/resume", error_threshold=typed, timeout="30")
        assert answer.status == 422
        assert b'<div class="field wrong" id="field-error_threshold">' in answer.raw
        assert f'value="{typed}"'.encode() in answer.raw
    answer = follower.post(
        f"/jobs/{job.name}/resume", error_threshold="9", timeout="31", max_retries="", compute=""
    )
    assert answer.status == 200
    assert workspace.jobs.get(job.name).wait(60).status == "Completed"
    assert "ERROR_THRESHOLD_EXCEEDED" in follower.text(f"/jobs/{job.name}/settings")
    settings = workspace.jobs.get(job.name).record.deployment["settings"]
    assert settings["error_threshold"] == 9
    assert settings["retry_settings"]["timeout"] == 31
    assert follower.post(f"/jobs/{job.name}/resume").status == 422


def test_retry__starts_a_job_on_what_failed(
    follower: Follower, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_DRIVER", "fail_inputs")
    job = invoke_and_wait(workspace)
    monkeypatch.setenv("FAKE_DRIVER", "complete")
    assert "mood-v1" in follower.text(f"/jobs/{job.name}/retry")
    answer = follower.post(f"/jobs/{job.name}/retry", deployment="none")
    assert answer.status == 422
    assert b'<div class="field wrong" id="field-deployment">' in answer.raw
    assert (
        follower.post(f"/jobs/{job.name}/retry", deployment="mood-v1", job_name="again").status
        == 200
    )
    again = workspace.jobs.get("again")
    assert again.record.retry_of == job.name
    assert again.wait(60).is_ended


def test_download__has_all(follower: Follower, workspace: Workspace, tmp_path: Path) -> None:
    name = add_image_job(workspace, folder=tmp_path / "pics").name
    answer = follower.get(f"/jobs/{name}/download")
    names = zipfile.ZipFile(io.BytesIO(answer.raw)).namelist()
    assert "named-outputs/score/labels.csv" in names
    assert "artifacts/logs/driver.log" in names
    assert answer.headers["Content-Disposition"].startswith("attachment")
