"""How a driver ends what it has started, and what comes to it from processes that were killed."""

from __future__ import annotations

import subprocess
import sys

DRIVER = """
import signal, subprocess, sys, time
from sparkscore.driver.children import end_children
from sparkscore.executor.processes import become_subreaper, find_children
become_subreaper()
earlier = subprocess.Popen(["sleep", "600"])
before = find_children()
subprocess.Popen(["sleep", "600"])
subprocess.Popen(["sleep", "600"]).send_signal(signal.SIGSTOP)
subprocess.Popen(["sleep", "600"], start_new_session=True).send_signal(signal.SIGSTOP)
shell = "trap 'echo asked' TERM; for i in 1 2 3 4 5 6 7 8 9 10; do sleep 0.1; done; echo done"
nested = "import subprocess, sys; subprocess.Popen(['bash', '-c', sys.argv[1]], "
nested += "start_new_session=True)"
subprocess.run([sys.executable, "-c", nested, shell])
started = time.monotonic()
end_children(but=before)
assert time.monotonic() - started < 14, "it waited for what never ends"
assert find_children() == before, find_children()
assert earlier.poll() is None
earlier.kill()
"""


def test_end_children__ends_all_and_lets_guards_finish() -> None:
    """What has a session of its own ends by itself, as guards do that let scripts shut down."""
    ended = subprocess.run(
        [sys.executable, "-c", DRIVER], capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.split() == ["done"]
