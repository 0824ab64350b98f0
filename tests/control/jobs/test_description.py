"""What a job was told, without what is nobody's business."""

from __future__ import annotations

from pathlib import Path

import pytest

from sparkscore.control.jobs import Job
from sparkscore.control.jobs.description import HIDDEN, find_launch, hide_secrets
from sparkscore.control.workspace import Workspace
from tests.studio.finished_jobs import make_record, write_launch


def test_secrets__are_hidden_wherever_they_stand() -> None:
    content = {
        "scoring": {"environment_variables": {"A": "hush", "EMPTY": ""}, "timeout_seconds": 30},
        "spark_conf": {"spark.hadoop.fs.secret": "hush", "spark.ui.enabled": "false"},
        "input": {"uri": "https://h/p?sig=hush", "list": ["https://u:hush-hush@h/x"]},
        "settings": {"settings": {"environment_variables": {"B": ["hush"]}}},
    }
    found = hide_secrets(content)
    assert "hush" not in str(found)
    assert found["scoring"] == {
        "environment_variables": {"A": HIDDEN, "EMPTY": ""},
        "timeout_seconds": 30,
    }
    assert found["spark_conf"]["spark.ui.enabled"] == "false"
    assert found["input"]["uri"].startswith("https://h/p?sig=")


def test_launch__of_a_job(workspace: Workspace, tmp_path: Path) -> None:
    record = make_record(workspace, folder=str(tmp_path))
    write_launch(record, inputs=tmp_path)
    found = find_launch(Job(record, workspace))
    assert found is not None
    assert found["job_name"] == record.name
    assert "hush-hush" not in str(found)


@pytest.mark.parametrize("content", [None, "", "{torn", "[]"])
def test_launch__that_cannot_be_read(
    workspace: Workspace, tmp_path: Path, content: str | None
) -> None:
    if content is not None:
        (tmp_path / "launch.json").write_text(content)
    record = make_record(workspace, folder=str(tmp_path))
    assert find_launch(Job(record, workspace)) is None
