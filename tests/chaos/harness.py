"""Jobs over some hundred mini-batches, and the hand that kills and stops their processes."""

from __future__ import annotations

import csv
import random
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import psutil

from sparkscore.driver.job_folder import JobFolder
from sparkscore.messages.launch import LaunchMessage
from sparkscore.plan.scoring_plan import read_plan
from tests.chaos.checks import Line, check_job
from tests.chaos.conftest import Faults
from tests.chaos.surroundings import Surroundings
from tests.spark.conftest import write_launch
from tests.spark.drivers import DriverProcess

ROWS_PER_INPUT = 3
TIMEOUT_SECONDS = 5
MAX_RETRIES = 8

SCRIPT = """
import os, subprocess, time

def is_calm():
    return os.path.exists({folder!r} + "/calm")

def kind_of(path):
    return os.path.basename(path).split("-")[1].split(".")[0]

def is_new(name):
    try:
        os.close(os.open(os.path.join({folder!r}, "calls", name), os.O_CREAT | os.O_EXCL))
        return True
    except FileExistsError:
        if os.environ["SPARKSCORE_ATTEMPT"] == "1":
            with open({folder!r} + "/repeated", "a") as repeated:
                repeated.write(name + "\\n")
        return False

def run(batch):
    if is_new(os.path.basename(batch[0])) and kind_of(batch[0]) == "straggles":
        time.sleep({straggle})
    if not is_calm():
        time.sleep({seconds})
    rows = []
    for path in batch:
        kind = kind_of(path)
        if kind == "raises":
            raise ValueError("unlucky")
        if kind == "exits":
            os._exit(3)
        if kind == "leaves":
            subprocess.Popen(["sleep", "600"], start_new_session=True)
        rows += [{{"file": os.path.basename(path), "row": number}} for number in range({rows})]
    waited = 0.0
    while kind_of(batch[0]) == "last" and not is_calm() and waited < {wait}:
        time.sleep(0.1)
        waited += 0.1
    for path in batch if {writes} else ():
        name = os.path.basename(path)
        with open(os.path.join(os.environ["AZUREML_BI_OUTPUT_PATH"], name), "w") as file:
            file.write(name)
    return rows
"""
"""Rows tell which input they are of, and files too. The last mini-batches wait for the end of the
storm."""

MINI_BATCHES = 320
_LAST_SHARE = 0.2
_FAILING = {"raises": "SCRIPT_RAISED", "exits": "SCRIPT_CRASHED"}
_KILLED = ("SIGKILL", "guard was killed")
_YOUNG_SECONDS = 0.3
_MOST_YOUNG_KILLS = 2
"""``init()`` that is killed three times in a row ends a job, as it should."""


@dataclass(frozen=True)
class ChaosJob:
    """A job over mini-batches of two inputs each, some of which fail whatever is done."""

    place: Path
    launch: LaunchMessage
    inputs: tuple[str, ...]
    failing: dict[str, str]

    @property
    def folder(self) -> Path:
        """The job folder."""
        return Path(self.launch.job_folder)

    def calm(self) -> None:
        """The storm is over: what is left is scored quickly."""
        (self.place / "calm").touch()

    def count_repeated(self) -> int:
        """How many mini-batches were scored again from their first attempt on, by another task."""
        file = self.place / "repeated"
        return len(file.read_text().split()) if file.exists() else 0

    def check(self, *, status: str = "Completed", accepts_timeouts: bool = False) -> dict[str, Any]:
        """Everything that must hold of the ended job; returns its summary."""
        return check_job(
            self.folder,
            inputs=self.inputs,
            failing=self.failing,
            accepts=self.accepts(timeouts=accepts_timeouts),
            status=status,
            rows_per_input=ROWS_PER_INPUT,
        )

    def check_files(self) -> None:
        """Each input that succeeded has the file that its script wrote, and no other has one."""
        with (self.folder / "failed_inputs.csv").open(newline="") as lines:
            failed = {line["path"] for line in csv.DictReader(lines)}
        written = {file.name: file.read_text() for file in (self.folder / "files").iterdir()}
        assert written == {name: name for name in self.inputs if name not in failed}

    def accepts(self, *, timeouts: bool = False) -> Callable[[Line], bool]:
        """Which failures of other inputs may be a storm's work.

        A mini-batch that a storm hits in all its tries is halved, and so is one with an input that
        fails anyhow; each part then has one try. So kills may fail inputs, but only such, and the
        account must say how they ended.
        """
        is_planned = JobFolder(self.folder).has_plan()
        planned = read_plan(str(self.folder)).iter_mini_batches() if is_planned else ()
        failing = {
            path
            for mini_batch in planned
            if self.failing.keys() & set(mini_batch.paths)
            for path in mini_batch.paths
        }

        def accepts(line: Line) -> bool:
            was_killed = line["condition"] == "SCRIPT_CRASHED" and any(
                word in line["message"] for word in _KILLED
            )
            was_stopped = timeouts and line["condition"] == "SCRIPT_TIMEOUT"
            is_halved = line["path"] in failing or int(line["attempts"]) > 1 + MAX_RETRIES
            return is_halved and (was_killed or was_stopped)

        return accepts


def make_job(
    folder: Path,
    *,
    mini_batches: int = MINI_BATCHES,
    seconds: float = 0.1,
    straggle_seconds: float = 0.0,
    writes: bool = False,
    spark_conf: Mapping[str, str] | None = None,
    **job: Any,
) -> ChaosJob:
    """A job in ``folder`` whose ``run`` lasts ``seconds``; Spark repeats its tasks at will.

    Some mini-batches last ``straggle_seconds`` more when they are scored for the first time. With
    ``writes`` the script also writes a file for each input.
    """
    (folder / "calls").mkdir()
    count = 2 * mini_batches
    names = [f"{number:06d}-{_kind_of(number, count)}.txt" for number in range(count)]
    script = SCRIPT.format(
        folder=str(folder),
        straggle=straggle_seconds,
        seconds=seconds,
        rows=ROWS_PER_INPUT,
        writes=writes,
        wait=TIMEOUT_SECONDS / 2,
    )
    launch = write_launch(
        folder,
        script,
        dict.fromkeys(names, ""),
        job={"instance_count": 1, "max_concurrency_per_instance": 2, **job},
        max_retries=MAX_RETRIES,
        timeout_seconds=TIMEOUT_SECONDS,
    )
    conf = {"spark.task.maxFailures": "100", **(spark_conf or {})}
    failing = {name: _FAILING[kind] for name in names if (kind := name[7:-4]) in _FAILING}
    return ChaosJob(folder, replace(launch, spark_conf=conf), tuple(names), failing)


def _kind_of(number: int, count: int) -> str:
    if number >= count * (1 - _LAST_SHARE):
        return "last"
    for divisor, kind in ((53, "raises"), (97, "exits"), (41, "leaves"), (38, "straggles")):
        if number % divisor == 7:
            return kind
    return "plain"


class Injector:
    """Finds a job's processes and sends them signals, in an order that the seed decides."""

    def __init__(self, around: Surroundings, faults: Faults, chance: random.Random) -> None:
        self._around, self._faults, self._chance = around, faults, chance
        self.acts: dict[str, Callable[[], None]] = {}
        """Faults that are more than a signal to a process of the job, by kind."""
        self._young_kills: dict[int, int] = {}
        self._stopped: list[tuple[psutil.Process, float]] = []

    def find(self, role: str) -> list[psutil.Process]:
        """The running processes of a role: driver, jvm, master, node, executor, daemon, worker,
        guard or host."""
        found = [process for process in self._around.find_processes() if role_of(process) == role]
        return sorted(found, key=lambda process: process.pid)

    def storm(self, plan: Mapping[str, int], *, gap_seconds: float, driver: DriverProcess) -> None:
        """Inject so many faults of each kind ("kill host", "stop guard"), in random order with
        random gaps, all of them while the driver runs."""
        kinds = [kind for kind, count in plan.items() for _ in range(count)]
        self._chance.shuffle(kinds)
        for kind in kinds:
            time.sleep(self._chance.expovariate(1 / gap_seconds))
            driver.wait_until(partial(self.inject, kind))

    def inject(self, kind: str) -> bool:
        """One fault; returns whether there was something that it could hit."""
        if kind in self.acts:
            self.acts[kind]()
        elif not self._signal(*kind.split()):
            return False
        self._faults.add(kind)
        return True

    def _signal(self, verb: str, role: str) -> bool:
        able = [process for process in self.find(role) if _runs(process)]
        if not able:
            return False
        victim = self._chance.choice(able)
        try:
            if role == "host" and verb == "kill" and self._is_spared(victim):
                return False
            victim.send_signal(signal.SIGKILL if verb == "kill" else signal.SIGSTOP)
        except psutil.Error:
            return False
        if verb == "stop" and role != "guard":
            self._stopped.append((victim, time.monotonic()))
        return True

    def check_replaced(self, *, seconds: float) -> None:
        """Every worker and host that was stopped has ended so many seconds later, if not before."""
        for process, stopped_at in self._stopped:
            left = stopped_at + seconds - time.monotonic()
            _, alive = psutil.wait_procs([process], timeout=max(0.0, left))
            assert not alive, process

    def _is_spared(self, host: psutil.Process) -> bool:
        guard, age = host.ppid(), time.time() - host.create_time()
        if age > _YOUNG_SECONDS:
            self._young_kills[guard] = 0
        elif self._young_kills.get(guard, 0) >= _MOST_YOUNG_KILLS - 1:
            return True
        self._young_kills[guard] = self._young_kills.get(guard, 0) + 1
        return False


def role_of(process: psutil.Process) -> str:
    """What a process is to its job; "other" for what scripts start."""
    try:
        command, parent = process.cmdline(), process.parent()
        if "java" in process.name():
            return _java_role(" ".join(command))
        if "pyspark.daemon" in command:
            is_daemon = parent is not None and "java" in parent.name()
            return "daemon" if is_daemon else "worker"
        if any("sparkscore.executor.guard" in part for part in command):
            is_host = parent is not None and parent.cmdline() == command
            return "host" if is_host else "guard"
        return "driver" if "sparkscore.driver" in command else "other"
    except psutil.Error:
        return "other"


def _java_role(command: str) -> str:
    for word, role in (
        ("CoarseGrainedExecutorBackend", "executor"),
        ("deploy.worker.Worker", "node"),
        ("deploy.master.Master", "master"),
    ):
        if word in command:
            return role
    return "jvm"


def _runs(process: psutil.Process) -> bool:
    try:
        return bool(process.status() != psutil.STATUS_STOPPED)
    except psutil.Error:
        return False
