"""``sparkscore serve`` and an OpenID Connect issuer as processes of their own."""

from __future__ import annotations

import os
import queue
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
START = (
    f"import sys; sys.path.insert(0, {str(ROOT)!r}); from sparkscore.cli.main import main; main()"
)
DEADLINE_SECONDS = 120


@dataclass
class Served:
    """A process that serves; ``lines`` is what it has printed."""

    process: subprocess.Popen[str]
    url: str
    lines: list[str] = field(default_factory=list)

    def stop(self) -> int:
        """Send SIGTERM and wait for the exit code."""
        self.process.terminate()
        return self.process.wait(DEADLINE_SECONDS)


def run_cli(workspace: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A command that ends by itself."""
    return subprocess.run(
        [sys.executable, "-c", START, *arguments, "-w", str(workspace)],
        capture_output=True,
        text=True,
        timeout=DEADLINE_SECONDS,
        stdin=subprocess.DEVNULL,
    )


@contextmanager
def serving_process(
    workspace: Path,
    *arguments: str,
    environment: Mapping[str, str] | None = None,
    command: str = "serve",
) -> Iterator[Served]:
    """``sparkscore serve`` on a free port of this machine, unless ``arguments`` say otherwise."""
    words = [sys.executable, "-c", START, command, "--port", "0", *arguments]
    with printing_process([*words, "-w", str(workspace)], environment, marker=" on http") as served:
        yield served


@contextmanager
def printing_process(
    command: list[str], environment: Mapping[str, str] | None = None, *, marker: str
) -> Iterator[Served]:
    """A process that prints a line that ends with its URL once it listens."""
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONUNBUFFERED": "1", **(environment or {})},
    )
    lines: list[str] = []
    printed: queue.Queue[str] = queue.Queue()
    reader = threading.Thread(target=_read, args=(process, lines, printed))
    reader.start()
    try:
        line = ""
        while marker not in line:
            line = printed.get(timeout=DEADLINE_SECONDS)
            if not line:
                raise AssertionError(f"it ended: {lines}")
        yield Served(process, line.split()[-1], lines)
    finally:
        process.terminate()
        process.wait(DEADLINE_SECONDS)
        reader.join()


def _read(process: subprocess.Popen[str], lines: list[str], printed: queue.Queue[str]) -> None:
    assert process.stdout is not None
    with process.stdout as stream:
        for line in stream:
            lines.append(line)
            printed.put(line)
    printed.put("")
