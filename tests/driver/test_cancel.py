"""A job can be asked to stop at any time, also twice at once."""

from __future__ import annotations

import subprocess
import sys

SCRIPT = """
import signal, time
from sparkscore.driver.cancel import Cancellation
cancellation = Cancellation()
signal.signal(signal.SIGALRM, lambda *_: cancellation.ask())
signal.setitimer(signal.ITIMER_REAL, 1e-3, 1e-3)
end = time.monotonic() + 2
while time.monotonic() < end:
    cancellation.ask()
signal.setitimer(signal.ITIMER_REAL, 0)
print(cancellation.is_asked())
"""


def test_ask__from_a_signal_handler_during_another_ask_does_not_block() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == "True\n"
