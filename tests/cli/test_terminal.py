"""What is different at a terminal: questions, colours, the redrawn line, Ctrl-C."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.cli.conftest import START, Answer, Run, RunCli


def talk(*arguments: str, say: str = "") -> tuple[int, str]:
    """Run a command on a terminal of its own; gives its exit code and what the screen showed."""
    child, terminal = pty.fork()
    if child == 0:
        os.execv(sys.executable, [sys.executable, "-c", START, *arguments])
    os.write(terminal, say.encode())
    screen = b""
    while True:
        try:
            part = os.read(terminal, 4096)
        except OSError:
            break
        if not part:
            break
        screen += part
    _, status = os.waitpid(child, 0)
    os.close(terminal)
    return os.waitstatus_to_exitcode(status), screen.decode()


def test_delete__says_what_goes_and_asks(run: Run, endpoint: str, run_cli: RunCli) -> None:
    run("batch-deployment create -f second.yml")
    code, screen = talk("batch-endpoint", "delete", "-n", endpoint, say="n\n")
    assert code == 2
    assert "first, second go with it; its jobs stay" in screen
    assert f"Are you sure you want to delete endpoint {endpoint}? (y/n): " in screen
    assert "NOT_CONFIRMED" in screen
    assert run_cli("batch-endpoint", "show", "-n", endpoint).exit_code == 0
    code, _ = talk("batch-endpoint", "delete", "-n", endpoint, say="y\n")
    assert code == 0
    assert run_cli("batch-endpoint", "show", "-n", endpoint).exit_code == 5


def test_delete__yes_asks_nothing(endpoint: str) -> None:
    code, screen = talk("batch-deployment", "delete", "-n", "first", "-e", endpoint, "-y")
    assert (code, screen) == (0, "")


def test_jsonc__is_coloured(place: Path) -> None:
    _, screen = talk("compute", "list", "-o", "jsonc")
    assert "\x1b[" in screen
    _, plain = talk("compute", "list")
    assert "\x1b[" not in plain


def finish(process: subprocess.Popen[str]) -> Answer:
    out, err = process.communicate(timeout=60)
    return Answer(process.returncode, out, err)


def wait_until_it_watches(process: subprocess.Popen[str]) -> None:
    """It sleeps from look to look; while it starts it runs, or waits for a processor."""
    deadline, asleep = time.monotonic() + 60, 0
    while asleep < 20:
        assert time.monotonic() < deadline
        asleep = asleep + 1 if psutil.Process(process.pid).status() == "sleeping" else 0
        time.sleep(0.02)


def test_stream__ctrl_c_leaves_the_job_running(
    run: Run, endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_DRIVER", "wait")
    invoke = f"batch-endpoint invoke -n {endpoint} --input in --query name -o tsv"
    name = run(invoke)
    command = [sys.executable, "-W", "error", "-c", START, "job", "stream", "-n", name]
    pipe = subprocess.PIPE
    process = subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True)
    deadline = time.monotonic() + 60
    while run(f"job show -n {name} --query status -o tsv") != "Running":
        assert time.monotonic() < deadline
        time.sleep(0.1)
    wait_until_it_watches(process)
    process.send_signal(signal.SIGINT)
    answer = finish(process)
    assert (answer.exit_code, answer.out) == (130, "")
    assert f"job {name} goes on" in answer.err
    assert "Traceback" not in answer.err
    assert run(f"job show -n {name} --query status -o tsv") == "Running"


def test_stream__terminal_shows_progress_and_the_summary(run: Run, endpoint: str) -> None:
    invoke = f"batch-endpoint invoke -n {endpoint} --input in --query name -o tsv"
    name = run(invoke)
    code, screen = talk("job", "stream", "-n", name)
    assert code == 0
    assert f"{name}: Completed" in screen


def test_output__closed_early_is_no_traceback(place: Path) -> None:
    command = [sys.executable, "-c", START, "compute", "list"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        said = process.stderr.read()
    assert b"Traceback" not in said
