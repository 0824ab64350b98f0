"""Scoring script: tells the digit in each image. Runs in the script host."""

from __future__ import annotations

import os
from pathlib import Path

import joblib
import pandas as pd
from digit_images import read_pixels
from sklearn.base import ClassifierMixin

model: ClassifierMixin


def init() -> None:
    """Load the classifier, once in each worker process."""
    global model
    # The folder below has the base name of the model's own folder, whichever that is.
    (file,) = Path(os.environ["AZUREML_MODEL_DIR"]).glob("*/digits.joblib")
    model = joblib.load(file)


def run(mini_batch: list[str]) -> pd.DataFrame:
    """One row for each image: its file name and its digit."""
    names = [Path(path).name for path in mini_batch]
    return pd.DataFrame({"file": names, "digit": model.predict(read_pixels(mini_batch))})
