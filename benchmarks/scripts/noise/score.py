"""Returns MEGABYTES of noise for each file, which does not compress. Runs in the script host."""

from __future__ import annotations

import os

import pandas as pd

ROWS = int(os.environ["MEGABYTES"])


def init() -> None:
    """Nothing to load."""


def run(mini_batch: list[str]) -> pd.DataFrame:
    """One row a megabyte."""
    count = ROWS * len(mini_batch)
    return pd.DataFrame({"noise": [os.urandom(1 << 20) for _ in range(count)]})
