"""A scoring script whose mini-batches take a known time. Runs in the script host."""

from __future__ import annotations

import os
import time

SECONDS = int(os.environ["MILLISECONDS"]) / 1000


def init() -> None:
    """Nothing to load."""


def run(mini_batch: list[str]) -> list[str]:
    """Sleep, then one result for each file."""
    time.sleep(SECONDS)
    return [os.path.basename(path) for path in mini_batch]
