"""What ``isolation: inline`` does not promise, against the same in ``process``.

docs/scoring-scripts.md names these tests. The code runs in a Python process of its own, because it
changes environment, signals and logging of the process that it runs in.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sparkscore.messages.codec import to_json

ROOT = Path(__file__).parents[2]

CHILD = """
import json, os, sys, time
from sparkscore.executor.attempt_folders import AttemptFolders
from sparkscore.executor.host_environment import host_environment
from sparkscore.executor.inline_host import InlineHost
from sparkscore.executor.inputs import InputStage
from sparkscore.executor.runner import MiniBatchRunner
from sparkscore.executor.script_log import open_script_log
from sparkscore.messages.codec import from_json
from sparkscore.messages.launch import ScoringMessage
from sparkscore.messages.mini_batch import MiniBatch

scoring = from_json(ScoringMessage, sys.argv[1], where="test")
folder = os.getcwd()
folders = AttemptFolders(os.path.join(folder, "files"))
environment = host_environment(
    scoring, worker=os.environ, input_root=folder, output_folder=folders.current, cpus=1
)
log = open_script_log(os.path.join(folder, "logs"), raw=os.path.join(folder, ".log"))
host = InlineHost(environment, stdout=log.stdout, stderr=log.stderr)
runner = MiniBatchRunner(host, scoring, folders=folders, log=log)
stage = InputStage(folder, "direct", scratch=folder)
started = time.monotonic()
outcome = runner.score(MiniBatch(0, ("a.txt",)), stage, schema=None).outcome
answer = {
    "failed": [failure.condition for failure in outcome.failures],
    "seconds": time.monotonic() - started,
}
with open("answer.json", "w") as file:
    json.dump(answer, file)
print("the worker's own")
"""


@pytest.fixture
def score_inline(make_scoring: Any, tmp_path: Path) -> Any:
    """Scores one input inline in a new process; gives its answer, with its standard output."""

    def score(script: str, *, environment: dict[str, str] | None = None, **changes: Any) -> Any:
        message = make_scoring(script, isolation="inline", max_retries=0, **changes)
        done = subprocess.run(
            [sys.executable, "-c", CHILD, to_json(message)],
            cwd=tmp_path,
            env={**os.environ, **(environment or {}), "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=60,
        )
        answer_file = tmp_path / "answer.json"
        answer = json.loads(answer_file.read_text()) if answer_file.exists() else {}
        return {**answer, "exit_code": done.returncode, "stdout": done.stdout}

    return score


def test_inline_host__time_limit_ends_python_code(score_inline: Any) -> None:
    answer = score_inline(
        "import time\ndef run(batch):\n    time.sleep(30)\n    return batch\n", timeout_seconds=1
    )
    assert answer["failed"] == ["SCRIPT_TIMEOUT"]
    assert answer["seconds"] < 10


def test_inline_host__time_limit_waits_for_code_that_blocks_signals(score_inline: Any) -> None:
    answer = score_inline(
        """
        import signal, time
        def run(batch):
            signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
            time.sleep(3)
            return batch
        """,
        timeout_seconds=1,
    )
    assert answer["seconds"] >= 3


def test_inline_host__crash_ends_the_worker(score_inline: Any) -> None:
    answer = score_inline("import os\ndef run(batch):\n    os._exit(7)\n")
    assert answer["exit_code"] == 7
    assert "failed" not in answer


def test_inline_host__memory_limit_does_not_hold(score_inline: Any) -> None:
    answer = score_inline(
        """
        import time
        def run(batch):
            data = bytearray(b"1") * (300 << 20)
            time.sleep(1)
            return batch
        """,
        memory_limit_bytes=64 << 20,
    )
    assert answer["failed"] == []


def test_inline_host__started_processes_outlive_a_failed_attempt(
    score_inline: Any, tmp_path: Path
) -> None:
    answer = score_inline(
        """
        import subprocess, time
        def run(batch):
            child = subprocess.Popen(
                ["sleep", "60"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL, start_new_session=True,
            )
            open("pid.txt", "w").write(str(child.pid))
            time.sleep(30)
        """,
        timeout_seconds=1,
    )
    left = int((tmp_path / "pid.txt").read_text())
    os.kill(left, signal.SIGKILL)  # ProcessLookupError if it were gone
    assert answer["failed"] == ["SCRIPT_TIMEOUT"]


def test_inline_host__script_sees_the_environment_of_the_worker(score_inline: Any) -> None:
    answer = score_inline(
        """
        import os
        def run(batch):
            return batch if "PYTHON_WORKER_FACTORY_SECRET" in os.environ else None
        """,
        environment={"PYTHON_WORKER_FACTORY_SECRET": "secret"},
    )
    assert answer["failed"] == []


def test_inline_host__prints_are_marked_and_cut(score_inline: Any, tmp_path: Path) -> None:
    answer = score_inline(
        """
        import os, subprocess, sys
        def init():
            print("loading")
        def run(batch):
            print("python", flush=True)
            print("careful", file=sys.stderr)
            subprocess.run(["echo", "child"])
            os.write(1, b"no end\\n")
            print("x" * (12 << 20))
            return batch
        """
    )
    assert answer["failed"] == []
    assert answer["stdout"] == "the worker's own\n"
    (stdout,) = (tmp_path / "logs").rglob("*.stdout.txt")
    (stderr,) = (tmp_path / "logs").rglob("*.stderr.txt")
    lines = stdout.read_text().splitlines()
    mark = "[mb 000000 try 1] "
    assert lines[:2] == ["[init] loading", mark + "python"]
    assert lines[2:4] == [mark + "child", mark + "no end"]
    assert "was cut" in lines[-1]
    assert 10 << 20 <= stdout.stat().st_size < (10 << 20) + 1000
    assert stderr.read_text() == mark + "careful\n"


def test_inline_host__output_of_the_worker_is_its_own_after_a_timeout(
    score_inline: Any, tmp_path: Path
) -> None:
    answer = score_inline(
        """
        import os, time
        def run(batch):
            print("before")
            os.close(2)
            time.sleep(30)
        """,
        timeout_seconds=1,
    )
    assert (answer["failed"], answer["exit_code"]) == (["SCRIPT_TIMEOUT"], 0)
    assert answer["stdout"] == "the worker's own\n"
    (stdout,) = (tmp_path / "logs").rglob("*.stdout.txt")
    assert stdout.read_text() == "[mb 000000 try 1] before\n"
