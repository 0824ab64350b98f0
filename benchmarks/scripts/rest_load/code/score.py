"""Waits, so that its job runs while the others queue."""

import os
import time


def init() -> None:
    """Nothing to load."""


def run(mini_batch: list[str]) -> list[str]:
    """Give the file names back, after a while."""
    time.sleep(float(os.environ.get("REST_LOAD_SECONDS", "0")))
    return [os.path.basename(file) for file in mini_batch]
