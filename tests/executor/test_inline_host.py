"""The user's code in the worker itself: only what it raises is bounded."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

from sparkscore.executor.host_ends import HostTimeoutError
from sparkscore.executor.inline_host import InlineHost

SCRIPT = """
import os
import signal
delay = 0.0
def init():
    pass
def run(batch):
    global delay
    delay += 2e-7
    signal.setitimer(signal.ITIMER_REAL, 1e-6 + delay)
    return batch
"""


def test_inline__alarm_at_any_moment_is_a_timeout_or_nothing(tmp_path: Path) -> None:
    (tmp_path / "score.py").write_text(SCRIPT)
    host = InlineHost({}, stdout=os.devnull, stderr=os.devnull)
    host.start()
    init = {"type": "init", "code_folder": str(tmp_path), "scoring_script": "score.py"}
    before = signal.getsignal(signal.SIGALRM)
    assert host.ask({**init, "logging_level": "info"}, timeout_seconds=10).header["ok"]
    request: dict[str, Any] = {
        "type": "run",
        "paths": ["a"],
        "schema": None,
        "merged": False,
        "environment": {},
    }
    ends = set()
    for _ in range(3000):
        try:
            ends.add(host.ask(request, timeout_seconds=10).header["ok"])
        except HostTimeoutError:
            ends.add(None)
    assert ends == {True, None}
    assert signal.getsignal(signal.SIGALRM) is before
