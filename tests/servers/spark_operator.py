"""A Spark operator on the tests' Kubernetes server: runs drivers as processes of this machine.

It does what Kubeflow's and Apache's do: it starts the driver of a resource with the variables of
its secrets, starts it again after a failure as the restart policy says, and ends it when the
resource is deleted.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.servers.kubernetes import Key, KubernetesServer
from tests.servers.operator_words import AskedRun, iter_statuses, read_asked

ROOT = Path(__file__).parents[2]
GRACE_SECONDS = 30.0
KEPT_VARIABLES = ("PATH", "HOME", "JAVA_HOME", "LANG", "TMPDIR")
"""What a pod has too; all else comes from secrets."""

MakeCommand = Callable[[AskedRun, Path], list[str]]
"""A container's command; the folder is for its files."""


def make_spark_command(asked: AskedRun, folder: Path) -> list[str]:
    """What the driver's container runs in our image, on two threads of this machine."""
    conf = {
        **asked.conf,
        "spark.master": "local[2]",
        "spark.driver.host": "127.0.0.1",
        "spark.ui.enabled": "false",
    }
    properties = folder / "spark.properties"
    properties.write_text("".join(f"{key} {value}\n" for key, value in conf.items()))
    return [
        *(str(ROOT / "docker" / "scripts" / "spark-entrypoint"), "driver"),
        *("--properties-file", str(properties)),
        *("--class", "org.apache.spark.deploy.PythonRunner"),
        *(f"local://{find_in_image(asked.entry_point)}", *asked.arguments),
    ]


def find_in_image(uri: str) -> Path:
    """The image has the repository's folder jobs below /opt/sparkscore."""
    return ROOT / uri.removeprefix("local:///opt/sparkscore/")


@dataclass
class SparkOperator:
    """``folder`` gets the drivers' logs. ``images`` are those that can be pulled."""

    server: KubernetesServer
    folder: Path
    images: set[str]
    make_command: MakeCommand = make_spark_command
    processes: dict[Key, subprocess.Popen[bytes]] = field(default_factory=dict)
    _threads: list[threading.Thread] = field(default_factory=list)

    def on_created(self, key: Key, resource: dict[str, Any]) -> None:
        thread = threading.Thread(target=self._run, args=(key, resource), daemon=True)
        self._threads.append(thread)
        thread.start()

    def on_deleted(self, key: Key) -> None:
        """As a kubelet ends a pod: SIGTERM to its first process, later SIGKILL to all."""
        if key in self.processes:
            self.evict_driver(key)

    def evict_driver(self, key: Key) -> None:
        """As when a node is drained; without effect on a driver that has ended."""
        process = self.processes[key]
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            threading.Thread(target=self._kill_late, args=(process,), daemon=True).start()

    def kill_driver(self, key: Key) -> None:
        """As when a node is lost."""
        process = self.processes[key]
        os.killpg(process.pid, signal.SIGKILL)

    def end(self) -> None:
        """End what still runs."""
        for key in list(self.server.resources):
            with self.server.lock:
                self.server.resources.pop(key, None)
        for process in list(self.processes.values()):
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        for thread in self._threads:
            thread.join()

    def _kill_late(self, process: subprocess.Popen[bytes]) -> None:
        with suppress(subprocess.TimeoutExpired):
            process.wait(GRACE_SECONDS)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)

    def _run(self, key: Key, resource: dict[str, Any]) -> None:
        asked = read_asked(key[0], resource["spec"])
        self._tell(key, "submitted")
        problem = self._find_problem(asked)
        if problem is not None:
            self._set_pod(key, asked, "Pending", {"waiting": problem})
            return
        for attempt in range(asked.retries + 1):
            if key not in self.server.resources:
                return
            code = self._run_driver(key, asked, attempt)
            if code == 0:
                self._tell(key, "completed", attempt=attempt)
                return
            error = f"driver container failed with ExitCode: {code}, Reason: Error"
            phase = "repeated" if attempt < asked.retries else "failed"
            self._tell(key, phase, attempt=attempt, error=error)

    def _run_driver(self, key: Key, asked: AskedRun, attempt: int) -> int:
        pod = _name_pod(key)
        log = self.folder / f"{pod}-{attempt}.log"
        with log.open("wb") as out:
            process = subprocess.Popen(
                self.make_command(asked, self.folder),
                env=self._build_environment(asked),
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.processes[key] = process
        self._set_pod(key, asked, "Running", {"running": {}})
        self._tell(key, "running", attempt=attempt)
        if key not in self.server.resources:  # deleted just before the driver was there
            self.on_deleted(key)
        code = process.wait()
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        ended = {"exitCode": code, "reason": "Completed" if code == 0 else "Error"}
        self.server.logs[key[1], pod] = log.read_text(encoding="utf-8", errors="replace")
        self._set_pod(key, asked, "Failed" if code else "Succeeded", {"terminated": ended})
        return code

    def _find_problem(self, asked: AskedRun) -> dict[str, str] | None:
        if asked.image not in self.images:
            message = f'Back-off pulling image "{asked.image}"'
            return {"reason": "ImagePullBackOff", "message": message}
        for name in asked.secrets:
            if name not in self.server.secrets:
                message = f'secret "{name}" not found'
                return {"reason": "CreateContainerConfigError", "message": message}
        return None

    def _build_environment(self, asked: AskedRun) -> dict[str, str]:
        kept = {name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ}
        secrets = {
            name: value
            for secret in asked.secrets
            for name, value in self.server.secrets[secret].items()
        }
        return {**kept, **_build_image_environment(), **secrets}

    def _tell(self, key: Key, phase: str, *, attempt: int = 0, error: str = "") -> None:
        before = self.server.resources.get(key, {}).get("status", {})
        for status in iter_statuses(
            key[0], before, phase, pod=_name_pod(key), attempt=attempt, error=error
        ):
            self.server.set_status(key, status)

    def _set_pod(self, key: Key, asked: AskedRun, phase: str, state: dict[str, Any]) -> None:
        self.server.set_pod(
            key[1],
            _name_pod(key),
            labels={**asked.labels, "spark-role": "driver"},
            status={"phase": phase, "containerStatuses": [{"state": state}]},
        )


def _name_pod(key: Key) -> str:
    return f"{key[2]}-driver"


def _build_image_environment() -> dict[str, str]:
    """What our image sets, and what Spark's pod adds."""
    import pyspark

    return {
        "PYSPARK_PYTHON": sys.executable,
        "PYTHONPATH": str(ROOT),
        "SPARK_HOME": str(Path(pyspark.__file__).parent),
        "SPARK_DRIVER_BIND_ADDRESS": "127.0.0.1",
    }


@contextmanager
def spark_operator(
    server: KubernetesServer,
    folder: Path,
    *,
    images: tuple[str, ...] = ("sparkscore:tests",),
    make_command: MakeCommand = make_spark_command,
) -> Iterator[SparkOperator]:
    """An operator that works on ``server`` meanwhile."""
    operator = SparkOperator(server, folder, set(images), make_command)
    server.operator = operator
    try:
        yield operator
    finally:
        server.operator = None
        operator.end()
