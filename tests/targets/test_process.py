"""Drivers as child processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from sparkscore.errors import SubmitError
from sparkscore.targets.process import (
    EXIT_CODE_UNKNOWN,
    AdoptedDriver,
    DriverProcess,
    find_driver_group,
    find_python_process,
    start_process,
    stop_with_parent,
)

ANSWER_SIGTERM = """\
import signal, sys, time
from pathlib import Path
def stop(*_):
    Path(sys.argv[1] + ".stopped").touch()
    sys.exit(7)
signal.signal(signal.SIGTERM, stop)
Path(sys.argv[1]).touch()
time.sleep(60)
"""


def wait_until(condition: Callable[[], object], *, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it took too long"
        time.sleep(0.02)


def start(log_file: Path, *arguments: str) -> subprocess.Popen[bytes]:
    return start_process(arguments, environment=dict(os.environ), log_file=log_file)


def test_start_process__log_and_session(tmp_path: Path) -> None:
    code = "import os, sys; print(os.getsid(0) == os.getpid(), sys.stdin.read()); 1 / 0"
    process = start(tmp_path / "logs" / "driver.log", sys.executable, "-c", code)
    assert process.wait() == 1
    text = (tmp_path / "logs" / "driver.log").read_text()
    assert text.startswith("True \n")
    assert "ZeroDivisionError" in text


def test_start_process__program_missing(tmp_path: Path) -> None:
    with pytest.raises(SubmitError) as caught:
        start(tmp_path / "driver.log", str(tmp_path / "nope"))
    assert caught.value.attributes["command"] == [str(tmp_path / "nope")]


def test_driver_process__cancel_asks_the_driver(tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    process = start(tmp_path / "log", sys.executable, "-c", ANSWER_SIGTERM, str(ready))
    run = DriverProcess(process, marker=str(ready))
    wait_until(ready.exists)
    assert run.poll() is None
    run.cancel()
    wait_until(lambda: run.poll() is not None)
    assert run.poll() == 7
    run.cancel()
    run.kill()


def test_driver_process__cancel_reaches_a_driver_beneath_its_launcher(tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    script = tmp_path / "driver.py"
    script.write_text(ANSWER_SIGTERM)
    launcher = f'"{sys.executable}" "{script}" "{ready}"; echo launcher saw $?; exit 9'
    process = start(tmp_path / "log", "/bin/sh", "-c", launcher)
    run = DriverProcess(process, marker=str(ready))
    wait_until(ready.exists)
    run.cancel()
    assert process.wait(20) == 9
    assert (tmp_path / "log").read_text() == "launcher saw 7\n"


def test_driver_process__kill_ends_the_whole_group(tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    script = tmp_path / "driver.py"
    script.write_text(ANSWER_SIGTERM)
    process = start(
        tmp_path / "log", "/bin/sh", "-c", f'"{sys.executable}" "{script}" "{ready}"; true'
    )
    wait_until(ready.exists)
    driver = find_python_process(process.pid, marker=str(ready))
    assert driver not in (None, process.pid)
    DriverProcess(process, marker=str(ready)).kill()
    assert process.returncode == -signal.SIGKILL
    wait_until(lambda: find_python_process(process.pid, marker=str(ready)) is None)


def test_stop_with_parent__ends_the_program(tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    parent = (
        "import os, sys, time\n"
        "from pathlib import Path\n"
        "from sparkscore.targets.process import start_process, stop_with_parent\n"
        f"command = (sys.executable, '-c', {ANSWER_SIGTERM!r}, {str(ready)!r})\n"
        f"log = Path({str(tmp_path / 'log')!r})\n"
        "start_process(stop_with_parent(command), environment=dict(os.environ), log_file=log)\n"
        "time.sleep(60)\n"
    )
    repository = Path(__file__).parent.parent.parent
    process = subprocess.Popen([sys.executable, "-c", parent], cwd=repository)
    wait_until(ready.exists)
    process.kill()
    process.wait()
    wait_until(Path(f"{ready}.stopped").exists)


def test_stop_with_parent__keeps_exit_code_and_arguments(tmp_path: Path) -> None:
    code = "import sys; print(sys.argv[1:]); sys.exit(5)"
    command = stop_with_parent((sys.executable, "-c", code, "a b", "--c"))
    assert start(tmp_path / "log", *command).wait() == 5
    assert (tmp_path / "log").read_text() == "['a b', '--c']\n"


def adopt(process: subprocess.Popen[bytes], ready: Path) -> AdoptedDriver:
    return AdoptedDriver(process.pid, marker=str(ready), is_alive=lambda: process.poll() is None)


def test_adopted_driver__cancel_and_end(tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    process = start(tmp_path / "log", sys.executable, "-c", ANSWER_SIGTERM, str(ready))
    run = adopt(process, ready)
    wait_until(ready.exists)
    assert run.poll() is None
    assert find_driver_group(marker=str(ready)) == process.pid
    run.cancel()
    assert process.wait(20) == 7
    assert run.poll() == EXIT_CODE_UNKNOWN
    assert find_driver_group(marker=str(ready)) is None
    run.cancel()
    run.kill()


def test_adopted_driver__kill(tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    process = start(tmp_path / "log", sys.executable, "-c", ANSWER_SIGTERM, str(ready))
    wait_until(ready.exists)
    adopt(process, ready).kill()
    assert process.wait(20) == -signal.SIGKILL
