"""Scoring script: tells the digit in each image. Runs in the script host."""

from __future__ import annotations

import os
from pathlib import Path

import joblib
import pandas as pd
from digit_images import read_pixels
from sklearn.svm import SVC

model: SVC


def init() -> None:
    """Load the classifier, once in each worker process."""
    global model
    model = joblib.load(Path(os.environ["AZUREML_MODEL_DIR"]) / "model" / "digits.joblib")


def run(mini_batch: list[str]) -> pd.DataFrame:
    """One row for each image: its file name and its digit."""
    names = [Path(path).name for path in mini_batch]
    return pd.DataFrame({"file": names, "digit": model.predict(read_pixels(mini_batch))})
