"""A job cluster: one process that runs a task's Python file as a Databricks driver does.

The file alone is copied to the cluster if it lies in a store. Workers are Spark's local ones.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

MASTER = "local[2,4]"
RUNTIME = re.compile(r"(\d+\.\d+)\.x-")

_SECRET = re.compile(r"\{\{secrets/([^{}]+)\}\}")
_KEPT = ("HOME", "JAVA_HOME", "LANG", "PATH", "SPARK_LOCAL_DIRS", "TMPDIR", "TZ")


class Cluster:
    """``folder`` is the disk of the driver's machine."""

    def __init__(
        self, folder: Path, *, environment: Mapping[str, str], secrets: Mapping[str, str]
    ) -> None:
        self.folder = folder
        self._environment = environment
        self._secrets = secrets
        self.process: subprocess.Popen[bytes] | None = None
        self._log: Path | None = None

    def start(self, task: Mapping[str, Any], cluster: Mapping[str, Any], *, log: Path) -> None:
        """Start the task's file, output to ``log``."""
        self.folder.mkdir(parents=True)
        python = task["spark_python_task"]
        file = self._bring(python["python_file"])
        launch = {
            "file": str(file),
            "parameters": python["parameters"],
            "conf": {**cluster["spark_conf"], "spark.local.dir": str(self.folder / "local")},
            "master": MASTER,
        }
        (self.folder / "launch.json").write_text(json.dumps(launch))
        script = Path(__file__).with_name("databricks_driver.py")
        self._log = log
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, str(script), str(self.folder / "launch.json")],
                cwd=self.folder,
                env=self._variables(cluster),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def wait(self) -> str | None:
        """Wait for the end: None for success, else what the platform says of the failure."""
        assert self.process is not None
        code = self.process.wait()
        self.kill()
        if code == 0:
            return None
        assert self._log is not None
        lines = self._log.read_text(errors="replace").splitlines() or [""]
        return f"Task score failed with message: exit code {code}: {lines[-1]}"

    def kill(self) -> None:
        """Take the machine away, and all processes on it."""
        if self.process is not None:
            try:
                os.killpg(self.process.pid, signal.SIGKILL)
            except ProcessLookupError:
                return

    def _bring(self, python_file: str) -> Path:
        if "://" not in python_file:
            return Path(python_file)
        import fsspec

        copied = self.folder / "python_file.py"
        previous = {name: os.environ.get(name) for name in self._environment}
        os.environ.update(self._environment)
        try:
            with fsspec.open(python_file, "rb") as source:
                copied.write_bytes(source.read())
        finally:
            for name, value in previous.items():
                os.environ.pop(name) if value is None else os.environ.__setitem__(name, value)
        return copied

    def _variables(self, cluster: Mapping[str, Any]) -> dict[str, str]:
        found = RUNTIME.match(cluster["spark_version"])
        own = {
            name: _SECRET.sub(lambda match: self._secrets[match[1]], value)
            for name, value in cluster.get("spark_env_vars", {}).items()
        }
        return {
            **{name: os.environ[name] for name in _KEPT if name in os.environ},
            **self._environment,
            **own,
            "DATABRICKS_RUNTIME_VERSION": found[1] if found else "custom",
            "PYSPARK_PYTHON": sys.executable,
        }
