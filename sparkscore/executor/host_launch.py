"""How a script host is started, and by which guard. Python worker process."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

_PIPE_BYTES = 1 << 20
_F_SETPIPE_SZ = 1031
_FIXED = {"PATH", "HOME", "TMPDIR", "LANG", "LANGUAGE", "VIRTUAL_ENV", "CONDA_PREFIX"}
_FIXED_PREFIXES = (
    "LC_", "LD_", "PYTHON", "MALLOC_", "OMP_", "GOMP_", "KMP_", "MKL_", "OPENBLAS_", "NUMEXPR_",
)  # fmt: skip
"""Variables that count when a process starts: another value needs another guard."""


@dataclass(frozen=True)
class HostLaunch:
    """A host's environment, working folder and log files (local paths).

    ``preload`` is what its guard imports or calls, once for all hosts. ``memory_limit_bytes``
    bounds the resident memory of the host with all it starts, 0 is no limit. ``stack`` is the file
    for its stack at its end, None for standard error. ``log`` is ``ScriptLog.order``: with it the
    guard copies the rest of the log of a worker that was killed.
    """

    environment: Mapping[str, str]
    folder: str
    stdout: str
    stderr: str
    python: str = sys.executable
    preload: tuple[str, ...] = ()
    memory_limit_bytes: int = 0
    stack: str | None = None
    log: Mapping[str, Any] = field(default_factory=dict)

    @property
    def guard(self) -> tuple[str, dict[str, str]]:
        """The guard that can fork this host: its Python, and variables that count at its start."""
        fixed = {
            name: value
            for name, value in self.environment.items()
            if name in _FIXED or name.startswith(_FIXED_PREFIXES)
        }
        return self.python, fixed

    @property
    def order(self) -> dict[str, Any]:
        """What a guard is told to fork this host."""
        return {
            "folder": self.folder,
            "stdout": self.stdout,
            "stderr": self.stderr,
            "environment": dict(self.environment),
            "preload": list(self.preload),
            "stack": self.stack,
            "log": dict(self.log),
        }


def enlarge_pipe(descriptor: int) -> None:
    """Let a pipe hold more than its 64 KB, where the system can."""
    if sys.platform.startswith("linux"):
        import fcntl

        with contextlib.suppress(OSError):
            fcntl.fcntl(descriptor, _F_SETPIPE_SZ, _PIPE_BYTES)


def get_guard_code() -> str:
    """Starts the guard from wherever this package came: a folder or a zip of py-files."""
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    return (
        f"import sys; sys.path[0] = {root!r}\n"
        "from sparkscore.executor.guard import main\n"
        "main(sys.argv[1:])"
    )
