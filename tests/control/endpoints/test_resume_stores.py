"""Jobs are resumed by several processes at once, on both databases."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from sparkscore.control.endpoints.request import InvokeRequest
from sparkscore.control.workspace import Workspace
from tests.control.endpoints.samples import deployment

STAND_IN = Path(__file__).parents[1] / "jobs" / "stand_in"
PROCESSES = 5
RESUME = """\
import sys
from sparkscore.control.workspace import Workspace
from sparkscore.errors import SparkscoreError
workspace = Workspace.open(sys.argv[1])
sys.stdin.readline()
try:
    print(workspace.jobs.resume("job", overrides=["error_threshold=" + sys.argv[2]]).name)
except SparkscoreError as error:
    print(error.condition)
"""


@pytest.mark.slow
def test_resume__by_many_processes_at_once(
    any_workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(STAND_IN))
    monkeypatch.setenv("FAKE_DRIVER", "fail")
    any_workspace.batch_deployments.create(deployment("mood-v1"), set_default=True)
    request = InvokeRequest(input="in", job_name="job")
    assert any_workspace.batch_endpoints.invoke("mood", request).wait(60).status == "Failed"
    monkeypatch.setenv("FAKE_DRIVER", "complete")
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", RESUME, str(any_workspace.folder), str(number)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(PROCESSES)
    ]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    answers = [process.communicate()[0].strip() for process in processes]
    assert answers.count("job") == 1
    assert {*answers} <= {"job", "JOB_NOT_ENDED", "JOB_COMPLETED"}
    job = any_workspace.jobs.get("job").wait(60)
    assert (job.status, len(job.record.earlier_runs)) == ("Completed", 1)
    settings = job.record.deployment["settings"]
    assert settings["error_threshold"] == answers.index("job")
    assert [path.name for path in Path(job.record.folder).glob("launch-*.json")] == [
        "launch-1.json"
    ]
