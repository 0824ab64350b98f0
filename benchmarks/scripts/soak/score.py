"""Scoring script of soak.py: images, tables and text; slow or failing where files say so."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

SECONDS = float(os.environ.get("SECONDS_EACH", "0"))


def init() -> None:
    """Print something, as scripts do."""
    print("ready", flush=True)


def run(mini_batch: list[str]) -> pd.DataFrame:
    """One row for each file: its name, and a number that is made of what it holds."""
    time.sleep(SECONDS)
    print(f"{len(mini_batch)} files", flush=True)
    return pd.DataFrame([{"file": Path(path).name, "value": measure(path)} for path in mini_batch])


def measure(path: str) -> float:
    """The mean grey value of an image, the sum of a table; a text with no number fails."""
    if path.endswith(".png"):
        with Image.open(path) as image:
            return float(np.asarray(image.convert("L")).mean())
    if path.endswith(".csv"):
        return float(pd.read_csv(path).to_numpy().sum())
    return float(Path(path).read_text(encoding="utf-8"))
