"""Standalone clusters that tests start: a master and workers, each a real process."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyspark

from sparkscore.targets.java import find_java
from tests.class_archive import jvm_options

SPARK_HOME = Path(pyspark.__file__).parent


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def find_scala_version() -> str:
    """The Scala that this Spark was built for: ``2.13``, of Spark 3.5 ``2.12``."""
    (core,) = SPARK_HOME.glob("jars/spark-core_*.jar")
    return core.name.split("_")[1].split("-")[0]


def cluster_environment() -> dict[str, str]:
    """The environment of Spark's own processes."""
    java = find_java(os.environ)
    return {
        **os.environ,
        "JAVA_HOME": str(java.home),
        "SPARK_HOME": str(SPARK_HOME),
        "SPARK_SCALA_VERSION": find_scala_version(),
        "SPARK_LOCAL_IP": "127.0.0.1",
        "PYSPARK_PYTHON": sys.executable,
    }


class Cluster:
    """A master with workers of one core each, on hosts of different names (127.0.0.1, .2, ...).

    ``network`` is what their addresses begin with; the master's ends with 1. ``variables`` are
    added to those of Spark's processes.
    """

    def __init__(
        self,
        folder: Path,
        *,
        network: str = "127.0.0.",
        first_worker: int = 1,
        variables: Mapping[str, str] | None = None,
    ) -> None:
        self._folder, self._network, self._host = folder, network, f"{network}1"
        self._environment = cluster_environment() | dict(variables or {})
        self._port, self._web_port = free_port(), free_port()
        self._started: list[subprocess.Popen[bytes]] = []
        self._next_host = first_worker
        self.url = f"spark://{self._host}:{self._port}"

    def start(self, *, workers: int) -> None:
        """Start master and workers; returns when they have found each other."""
        ports = ["--port", str(self._port), "--webui-port", str(self._web_port)]
        self._start(self._host, "master.Master", ["--host", self._host, *ports])
        for _ in range(workers):
            self.start_worker()
        self.wait_for_workers(workers)

    def start_worker(self, *, by: Sequence[str] = ()) -> subprocess.Popen[bytes]:
        """Start one more worker, on a host of its own; ``by`` is a command that runs it."""
        host = f"{self._network}{self._next_host}"
        self._next_host += 1
        work = str(self._folder / host)
        return self._start(
            host,
            "worker.Worker",
            [
                *("--host", host, "--cores", "1", "--memory", "1500m"),
                *("--webui-port", "0", "--work-dir", work, self.url),
            ],
            by=by,
        )

    def kill_worker(self) -> None:
        """SIGKILL to the worker that was started first."""
        worker = self._started.pop(1)
        worker.kill()
        worker.wait()

    def wait_for_workers(self, count: int) -> None:
        """Wait until so many workers are alive in the master's eyes."""
        deadline = time.monotonic() + 90
        while time.monotonic() < deadline:
            if len(self._alive_workers()) == count:
                return
            time.sleep(0.2)
        raise AssertionError("the cluster's workers did not register")

    def stop(self) -> None:
        """End master and workers, and wait for them."""
        for process in reversed(self._started):
            process.terminate()
            process.wait(20)

    def _alive_workers(self) -> list[Any]:
        with contextlib.suppress(OSError, ValueError):
            page = f"http://{self._host}:{self._web_port}/json/"
            with urllib.request.urlopen(page, timeout=5) as state:
                workers = json.load(state)["workers"]
            return [worker for worker in workers if worker["state"] == "ALIVE"]
        return []

    def _start(
        self, host: str, kind: str, arguments: list[str], *, by: Sequence[str] = ()
    ) -> subprocess.Popen[bytes]:
        temporary = self._folder / "tmp"
        temporary.mkdir(exist_ok=True)
        environment = self._environment | {
            "SPARK_LOCAL_IP": host,
            "SPARK_LOCAL_DIRS": str(self._folder / "local"),
            "JDK_JAVA_OPTIONS": (
                f"-Djava.io.tmpdir={temporary} -XX:+PerfDisableSharedMem {jvm_options()}"
            ),
        }
        java = Path(environment["JAVA_HOME"], "bin", "java")
        # As Spark's own scripts give it: the archive of classes is for this path alone.
        (first,) = SPARK_HOME.glob("jars/slf4j-api-*.jar")
        class_path = f"{SPARK_HOME}/conf/:{first}:{SPARK_HOME}/jars/*"
        main = f"org.apache.spark.deploy.{kind}"
        with open(self._folder / "cluster.log", "ab") as log:
            process = subprocess.Popen(
                [*by, str(java), "-Xmx256m", "-cp", class_path, main, *arguments],
                env=environment,
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self._started.append(process)
        return process
