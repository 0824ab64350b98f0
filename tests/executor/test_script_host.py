"""Guard and host processes under signals."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from sparkscore.executor.host_ends import HostCrashedError, HostTimeoutError, render_death
from sparkscore.executor.host_launch import HostLaunch
from sparkscore.executor.script_host import ScriptHost


def guard_of(host: int) -> psutil.Process:
    guard = psutil.Process(host).parent()
    assert guard is not None
    return guard


def is_alive(pid: int) -> bool:
    """Whether the process runs; one that nobody has reaped yet does not."""
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def ask_init(host: ScriptHost, folder: Path, script: str) -> dict[str, Any]:
    (folder / "score.py").write_text(script)
    request = {
        "type": "init",
        "code_folder": str(folder),
        "scoring_script": "score.py",
        "logging_level": "info",
    }
    return host.ask(request, timeout_seconds=30).header


ECHO = "def init():\n    pass\ndef run(batch):\n    return batch\n"

LEAVES = """
import subprocess
def init():
    subprocess.Popen(["sleep", "600"], start_new_session=True)
def run(batch):
    return batch
"""
WORKER_WITH_A_KILLED_GUARD = """
import os, time, psutil
from sparkscore.executor.host_launch import HostLaunch
from sparkscore.executor.processes import become_subreaper
from sparkscore.executor.script_host import ScriptHost
become_subreaper()
host = ScriptHost()
host.use(HostLaunch({{**os.environ}}, {folder!r}, os.devnull, os.devnull))
process = psutil.Process(host.start())
request = dict(type="init", code_folder={folder!r}, scoring_script="score.py", logging_level="info")
host.ask(request, timeout_seconds=30)
(left,) = process.children()
process.parent().kill()
while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
    time.sleep(0.01)
try:
    host.ask(dict(type="run"), timeout_seconds=30)
except Exception as error:
    print(type(error).__name__, left.pid)
"""


def ask_run(host: ScriptHost, timeout_seconds: float = 10) -> dict[str, Any]:
    request: dict[str, Any] = {
        "type": "run",
        "paths": ["a"],
        "schema": None,
        "merged": True,
        "environment": {},
    }
    return host.ask(request, timeout_seconds=timeout_seconds).header


def test_script_host__killed_guard_is_replaced(script_host: ScriptHost, tmp_path: Path) -> None:
    first = script_host.start()
    ask_init(script_host, tmp_path, ECHO)
    guard_of(first).kill()
    while is_alive(first):
        time.sleep(0.01)
    with pytest.raises(HostCrashedError, match="guard"):
        ask_run(script_host)
    assert not script_host.is_running()
    second = script_host.start()
    assert second != first
    assert ask_init(script_host, tmp_path, ECHO)["ok"]
    assert not is_alive(first)


def test_script_host__killed_guard_leaves_nothing_that_the_script_started(tmp_path: Path) -> None:
    (tmp_path / "score.py").write_text(LEAVES)
    worker = WORKER_WITH_A_KILLED_GUARD.format(folder=str(tmp_path))
    done = subprocess.run(
        [sys.executable, "-c", worker], capture_output=True, text=True, timeout=60, check=True
    )
    condition, left = done.stdout.split()
    assert condition == "HostCrashedError"
    assert not is_alive(int(left))


def test_script_host__guard_that_died_with_its_host_is_noticed(
    script_host: ScriptHost, tmp_path: Path
) -> None:
    host = script_host.start()
    ask_init(script_host, tmp_path, ECHO)
    guard = guard_of(host)
    guard.kill()
    deadline = time.monotonic() + 10
    while is_alive(guard.pid) or is_alive(host):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    with pytest.raises(HostCrashedError, match="guard"):
        ask_run(script_host)


def test_script_host__that_cannot_start_says_so_and_leaks_no_descriptor(tmp_path: Path) -> None:
    logs = (str(tmp_path / "out"), str(tmp_path / "err"))
    host = ScriptHost()
    host.use(HostLaunch({}, str(tmp_path), *logs, python=str(tmp_path / "gone")))
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        with pytest.raises(HostCrashedError, match="gone"):
            host.start()
    assert len(os.listdir("/proc/self/fd")) == before
    host.close()


def test_script_host__stopped_host_is_killed_at_its_deadline(
    script_host: ScriptHost, tmp_path: Path
) -> None:
    host = script_host.start()
    ask_init(script_host, tmp_path, ECHO)
    os.kill(host, signal.SIGSTOP)
    with pytest.raises(HostTimeoutError):
        ask_run(script_host, timeout_seconds=0.5)
    assert not is_alive(host)


def test_script_host__stopped_guard_is_replaced(
    script_host: ScriptHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sparkscore.executor.script_host._GUARD_SECONDS", 0.5)
    host = script_host.start()
    ask_init(script_host, tmp_path, "import time\ndef init(): pass\ndef run(b): time.sleep(60)\n")
    guard_of(host).suspend()
    with pytest.raises(HostTimeoutError):
        ask_run(script_host, timeout_seconds=0.5)
    assert script_host.start() != host
    assert not is_alive(host)


def test_script_host__death_while_idle_is_noticed_before_the_next_request(
    script_host: ScriptHost, tmp_path: Path
) -> None:
    host = script_host.start()
    ask_init(script_host, tmp_path, ECHO)
    assert script_host.is_running()
    os.kill(host, signal.SIGKILL)
    deadline = time.monotonic() + 10
    while script_host.is_running() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not script_host.is_running()


@pytest.mark.parametrize(
    "number", [signal.SIGKILL, pytest.param(signal.SIGSTOP, marks=pytest.mark.slow)]
)
def test_script_host__nothing_is_left_after_the_worker_was_killed(
    tmp_path: Path, number: signal.Signals
) -> None:
    """A worker that stays stopped is killed by its guard."""
    (tmp_path / "score.py").write_text(
        "import os, subprocess, sys\n"
        "def init():\n"
        "    child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'],"
        " start_new_session=True)\n"
        f"    open({str(tmp_path / 'pids')!r}, 'w').write(f'{{os.getpid()}} {{os.getppid()}} "
        "{child.pid}')\n"
        "def run(batch):\n    return batch\n"
    )
    worker = subprocess.Popen(
        [
            sys.executable,
            "-c",
            (
                "import os, sys, time\n"
                "from sparkscore.executor.host_launch import HostLaunch\n"
                "from sparkscore.executor.script_host import ScriptHost\n"
                f"folder = {str(tmp_path)!r}\n"
                "host = ScriptHost()\n"
                "host.use(HostLaunch({}, folder, folder + '/out', folder + '/err'))\n"
                "host.start()\n"
                "host.ask({'type': 'init', 'code_folder': folder, 'scoring_script': 'score.py',"
                " 'logging_level': 'info'}, timeout_seconds=60)\n"
                "print('ready', flush=True)\n"
                "time.sleep(600)\n"
            ),
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert worker.stdout is not None
    assert worker.stdout.readline() == "ready\n"
    pids = [int(pid) for pid in (tmp_path / "pids").read_text().split()]
    worker.send_signal(number)
    assert worker.wait(timeout=60) == -signal.SIGKILL
    worker.stdout.close()
    deadline = time.monotonic() + 10
    while any(map(is_alive, pids)) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not any(map(is_alive, pids))


def test_script_host__ten_restarts_leak_no_descriptor(
    script_host: ScriptHost, tmp_path: Path
) -> None:
    def count() -> int:
        return len(os.listdir("/proc/self/fd"))

    script_host.start()
    before = count()
    for _ in range(10):
        script_host.kill()
        script_host.start()
    assert count() == before
    guard = guard_of(script_host.start())
    assert guard.num_fds() < 20


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (3, "exit code 3"),
        (-9, "SIGKILL (usually out of memory)"),
        (-11, "SIGSEGV (a fault in native code)"),
        (-60, "signal 60"),
        (None, "unknown"),
    ],
)
def test_death__is_told_with_its_usual_meaning(code: Any, words: str) -> None:
    assert words in render_death(code)


def test_script_host__guard_serves_the_next_job_with_its_own_surroundings(
    script_host: ScriptHost, tmp_path: Path
) -> None:
    script = (
        "import os\n"
        "def init():\n    print('hello', os.environ.get('MINE'))\n"
        "def run(batch):\n    return [os.environ.get('MINE'), os.getcwd()]\n"
        f"def shutdown():\n    open({str(tmp_path / 'gone')!r}, 'w').close()\n"
    )
    first = script_host.start()
    guard = guard_of(first).pid
    ask_init(script_host, tmp_path, script)
    script_host.release()
    assert (tmp_path / "gone").exists()
    assert not is_alive(first)
    folder = tmp_path / "second"
    folder.mkdir()
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "MINE": "second"}
    logs = (str(folder / "out"), str(folder / "err"))
    script_host.use(HostLaunch(environment, str(folder), *logs, preload=("decimal",)))
    second = script_host.start()
    assert guard_of(second).pid == guard
    assert ask_init(script_host, tmp_path, script)["ok"]
    assert (folder / "out").read_text() == "hello second\n"
    assert os.readlink(f"/proc/{second}/cwd") == str(folder)


def test_script_host__variables_that_count_at_start_get_a_new_guard(
    script_host: ScriptHost, tmp_path: Path
) -> None:
    guard = guard_of(script_host.start()).pid
    script_host.release()
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "OMP_NUM_THREADS": "3"}
    logs = (str(tmp_path / "out"), str(tmp_path / "err"))
    script_host.use(HostLaunch(environment, str(tmp_path), *logs))
    assert guard_of(script_host.start()).pid != guard
    assert not is_alive(guard)
