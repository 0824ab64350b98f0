"""Driver processes that tests start, kill and start again."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil

from sparkscore.control.jobs.processes import is_alive
from sparkscore.messages import codec
from sparkscore.messages.launch import LaunchMessage
from sparkscore.state import JobRecord

_STARTED: list[subprocess.Popen[bytes]] = []

ONE_SLOT = {"instance_count": 1, "max_concurrency_per_instance": 1}


class DriverProcess:
    """A driver of the job of ``launch``; what it says goes to logs/driver.log."""

    def __init__(self, launch: LaunchMessage) -> None:
        self.folder = Path(launch.job_folder)
        (self.folder / "logs").mkdir(parents=True, exist_ok=True)
        (self.folder / "launch.json").write_text(codec.to_json(launch))
        with open(self.folder / "logs" / "driver.log", "ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "sparkscore.driver", str(self.folder / "launch.json")],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._seen: dict[int, psutil.Process] = {}
        _STARTED.append(self.process)

    @property
    def said(self) -> str:
        """The end of what it has said."""
        return (self.folder / "logs" / "driver.log").read_text(errors="replace")[-3000:]

    def wait_until(self, happened: Callable[[], Any], *, seconds: float = 120) -> None:
        """Wait for something while the driver runs."""
        deadline = time.monotonic() + seconds
        while not happened():
            assert self.process.poll() is None, self.said
            assert time.monotonic() < deadline, self.said
            time.sleep(0.01)

    def kill(self) -> None:
        """SIGKILL, and wait until all that it had started has ended too."""
        self._note_children()
        self.process.kill()
        self.process.wait()
        self.wait_for_children()

    def cancel(self, number: int = signal.SIGTERM) -> float:
        """Send a signal and wait for the end; returns the seconds that took."""
        self._note_children()
        started = time.monotonic()
        self.process.send_signal(number)
        self.process.wait(timeout=60)
        return time.monotonic() - started

    def end(self, *, seconds: float = 150) -> int:
        """Wait for the end; returns the exit code."""
        return self.process.wait(timeout=seconds)

    def wait_for_children(self, *, seconds: float = 20) -> None:
        """Nothing that the driver had started is left."""
        _, alive = psutil.wait_procs(self._seen.values(), timeout=seconds)
        assert [process.cmdline()[:4] for process in alive] == []

    def _note_children(self) -> None:
        with contextlib.suppress(psutil.NoSuchProcess):
            for child in psutil.Process(self.process.pid).children(recursive=True):
                self._seen[child.pid] = child


def write_home(launch: LaunchMessage, **changes: Any) -> Path:
    """The launch message of a staged job, in its folder as the control plane fills it."""
    home = Path(launch.job_folder)
    shutil.copytree(str(launch.scoring.code_folder), home / "code", dirs_exist_ok=True)
    (home / "model").mkdir(exist_ok=True)
    scoring = replace(launch.scoring, code_folder="code", model_folder="model")
    staged = replace(launch, staged=True, relay=True, scoring=scoring, **changes)
    (home / "launch.json").write_text(codec.to_json(staged))
    return home / "launch.json"


class FarDriver:
    """A driver of the staged job ``message``, as its platform starts it."""

    def __init__(self, message: Path, log: Path) -> None:
        self._log = log
        with open(log, "wb") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "sparkscore.driver", str(message)],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )
        _STARTED.append(self.process)

    @property
    def said(self) -> str:
        """All that it has said."""
        return self._log.read_text(errors="replace")

    def end_jvm(self) -> None:
        """SIGTERM to its JVM, as a platform ends a container."""
        children = psutil.Process(self.process.pid).children(recursive=True)
        (machine,) = [child for child in children if child.name() == "java"]
        machine.terminate()

    def wait_until(self, happened: Callable[[], Any]) -> None:
        """Wait for something while the driver runs."""
        deadline = time.monotonic() + 120
        while not happened():
            assert self.process.poll() is None, self.said
            assert time.monotonic() < deadline, self.said
            time.sleep(0.02)

    def end(self) -> int:
        """Wait for the end; returns the exit code."""
        return self.process.wait(timeout=150)


def kill_drivers() -> None:
    """End the drivers that failed tests have left."""
    while _STARTED:
        process = _STARTED.pop()
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def kill_processes(record: JobRecord) -> None:
    """SIGKILL to launcher and driver of a job; returns when both are gone."""
    processes = (record.launcher, record.driver)
    for process in processes:
        assert process is not None
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.process_id, signal.SIGKILL)
    wait_until(lambda: not any(map(is_alive, processes)))


def wait_until(happened: Callable[[], Any], *, seconds: float = 120) -> None:
    """Wait for something that a job does."""
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def find_events(folder: Path, kind: str) -> list[dict[str, Any]]:
    """The events of one type so far."""
    file = folder / "events.jsonl"
    lines = file.read_text().splitlines() if file.exists() else []
    events = [json.loads(line) for line in lines if line.endswith("}")]
    return [event["details"] for event in events if event["type"] == kind]


def read_summary(folder: Path) -> dict[str, Any]:
    """The job's summary."""
    return json.loads((folder / "summary.json").read_text())  # type: ignore[no-any-return]


def list_below(folder: Path) -> set[str]:
    """Files below a folder, by relative path."""
    return {
        os.path.relpath(os.path.join(parent, name), folder)
        for parent, _, names in os.walk(folder)
        for name in names
    }
