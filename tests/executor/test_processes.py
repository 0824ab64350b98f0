"""Processes that are stopped, and children of processes that were killed."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from sparkscore.executor.processes import StopWatch


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "600"]) as process:
        yield process
        process.kill()


def test_stop_watch__tells_of_a_process_that_stays_stopped(
    sleeper: subprocess.Popen[bytes],
) -> None:
    watch = StopWatch(sleeper.pid, seconds=2)
    sleeper.send_signal(signal.SIGSTOP)
    started = time.monotonic()
    while not watch.find_over():
        assert time.monotonic() - started < 60
        time.sleep(0.01)
    assert time.monotonic() - started > 0.8
    assert watch.find_over() == [sleeper.pid]


def test_stop_watch__looks_at_siblings_of_the_same_command_only(
    sleeper: subprocess.Popen[bytes],
) -> None:
    watch = StopWatch(sleeper.pid, seconds=1)
    with subprocess.Popen(["sleep", "600"]) as alike, subprocess.Popen(["sleep", "601"]) as other:
        alike.send_signal(signal.SIGSTOP)
        other.send_signal(signal.SIGSTOP)
        deadline = time.monotonic() + 60
        while not watch.find_over():
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert watch.find_over() == [alike.pid]
        alike.kill()
        other.kill()


def test_stop_watch__counts_anew_once_the_process_goes_on(
    sleeper: subprocess.Popen[bytes],
) -> None:
    watch = StopWatch(sleeper.pid, seconds=3)
    for _ in range(3):
        sleeper.send_signal(signal.SIGSTOP)
        until = time.monotonic() + 1.2
        while time.monotonic() < until:
            assert watch.find_over() == []
            time.sleep(0.05)
        sleeper.send_signal(signal.SIGCONT)
        until = time.monotonic() + 1.2
        while time.monotonic() < until:
            assert watch.find_over() == []
            time.sleep(0.05)


def test_stop_watch__of_a_process_that_is_gone_never_tells() -> None:
    process = subprocess.Popen(["true"])
    process.wait()
    watch = StopWatch(process.pid, seconds=1)
    time.sleep(1)
    assert watch.find_over() == []


KILLER = """
import os, subprocess, sys, time
from sparkscore.executor.processes import become_subreaper, find_children, kill_children
become_subreaper()
kept = subprocess.Popen(["sleep", "600"])
others = find_children()
nested = "import subprocess, time; print(subprocess.Popen(['sleep', '600'], "
nested += "start_new_session=True, stdout=subprocess.DEVNULL).pid, flush=True); time.sleep(600)"
parent = subprocess.Popen([sys.executable, "-c", nested], stdout=subprocess.PIPE, text=True)
orphan = int(parent.stdout.readline())
parent.kill()
parent.wait()
kill_children(but=others)
print(kept.poll() is None, os.path.exists(f"/proc/{orphan}"))
kept.kill()
kept.wait()
"""


def test_kill_children__finds_orphans_of_killed_children() -> None:
    done = subprocess.run(
        [sys.executable, "-c", KILLER], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.split() == ["True", "False"]
