"""What jobs must leave alone: processes and temporary files outside their folders.

All that a test starts inherits a TMPDIR of its own. So its processes are known by their
environment, whoever their parent is, and what they put into it is known to be theirs.
"""

from __future__ import annotations

import os
import re
import time
from pathlib import Path

import psutil

_SHARED = (Path("/tmp"), Path("/dev/shm"))
_OURS = re.compile(
    r"sparkscore|spark|pyspark|blockmgr|artifacts|pymp|liblz4|libzstd|snappy|rocksdb"
)

_JOBS = {"sparkscore.driver", "org.apache.spark.deploy.SparkSubmit"}


class Surroundings:
    """``temporary``, a new and empty folder, is the TMPDIR of what the test starts."""

    def __init__(self, temporary: Path) -> None:
        self.temporary = temporary
        self._before = self._shared_names()

    def find_processes(self) -> list[psutil.Process]:
        """The processes that the test has started, directly or not, and that have not ended."""
        found = []
        for process in psutil.process_iter():
            try:
                if process.pid != os.getpid() and self._is_ours(process):
                    found.append(process)
            except psutil.Error:
                continue
        return found

    def check_nothing_left(self, *, seconds: float = 30) -> None:
        """No process and no temporary file is left; those that are about to end get some time."""
        deadline = time.monotonic() + seconds
        while (left := self.find_processes()) and time.monotonic() < deadline:
            time.sleep(0.1)
        assert [_describe(process) for process in left] == []
        assert sorted(os.listdir(self.temporary)) == []
        if not self._are_others_there():
            new = self._shared_names() - self._before
            assert sorted(name for name in new if os.path.exists(name)) == []

    def kill_all(self) -> None:
        """SIGKILL to all that is left."""
        for process in self.find_processes():
            try:
                process.kill()
            except psutil.Error:
                continue

    def _is_ours(self, process: psutil.Process) -> bool:
        return (
            process.environ().get("TMPDIR") == str(self.temporary)
            and process.status() != psutil.STATUS_ZOMBIE
        )

    def _are_others_there(self) -> bool:
        """Whether somebody else runs jobs here, who may have made files that look like ours."""
        commands = (process.info["cmdline"] or [] for process in psutil.process_iter(["cmdline"]))
        return any(not _JOBS.isdisjoint(command) for command in commands)

    def _shared_names(self) -> set[str]:
        """What looks like ours in folders that no variable moves; the JVM's files of those alive
        are left out."""
        names = {
            str(folder / name)
            for folder in _SHARED
            if folder.is_dir()
            for name in os.listdir(folder)
            if _OURS.match(name.lstrip("."))
        }
        dead = (
            str(file)
            for folder in Path("/tmp").glob("hsperfdata_*")
            for file in folder.iterdir()
            if file.name.isdigit() and not psutil.pid_exists(int(file.name))
        )
        return names | set(dead)


def _describe(process: psutil.Process) -> str:
    try:
        command = " ".join(process.cmdline()[-6:])
        return f"{process.pid} {process.status()} child of {process.ppid()}: {command[:300]}"
    except psutil.Error:
        return ""
