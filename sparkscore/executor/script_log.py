"""The files that take a script's output, kept below a size. Python worker process."""

from __future__ import annotations

import contextlib
import os
import socket
from dataclasses import dataclass

MAX_LOG_BYTES = 10 * 1024 * 1024
_NOTE = b"\n[sparkscore: output beyond %d bytes was cut]\n" % MAX_LOG_BYTES


@dataclass(frozen=True)
class ScriptLog:
    """Log files of one worker's script hosts: standard output, standard error, ``logging``."""

    stdout: str
    stderr: str
    entry_script: str

    def cut(self) -> None:
        """Cut what has grown too large; called between mini-batches and while one runs."""
        for path in (self.stdout, self.stderr, self.entry_script):
            _cut(path)


def open_script_log(folder: str) -> ScriptLog:
    """The log files of this worker below ``folder``, laid out by kind, machine and process."""
    node, process = socket.gethostname(), f"process-{os.getpid()}"
    paths = {
        kind: os.path.join(folder, "user", kind, node, f"{process}.{suffix}")
        for kind, suffix in (
            ("stdout", "stdout.txt"),
            ("stderr", "stderr.txt"),
            ("entry_script_log", "log.txt"),
        )
    }
    for path in paths.values():
        os.makedirs(os.path.dirname(path), exist_ok=True)
    return ScriptLog(paths["stdout"], paths["stderr"], paths["entry_script_log"])


def _cut(path: str) -> None:
    """Truncating works while the script writes: its descriptors append.

    What the script did to its log files (removed them, say) is its own business.
    """
    with contextlib.suppress(OSError):
        if os.path.getsize(path) > MAX_LOG_BYTES + len(_NOTE):
            os.truncate(path, MAX_LOG_BYTES)
            with open(path, "ab") as log:
                log.write(_NOTE)
