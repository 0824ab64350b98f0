"""Fit two classifiers on the training half of the digits, for two deployments.

Reads the same PNG files with the same helper as the scoring script, so training and scoring see
equal pixels. Runs before scoring, after ``make_data.py``.
"""

from __future__ import annotations

import sys
from pathlib import Path

import joblib
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.svm import SVC

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "code"))

from digit_images import read_pixels  # noqa: E402  the code folder is put on the path above

MODELS = {
    "model": SVC(gamma=0.25),
    "model-linear": LogisticRegression(max_iter=1000),
}


def main() -> None:
    """Fit on the rows marked ``train`` and write ``digits.joblib`` below each model's folder."""
    labels = pd.read_csv(HERE / "data" / "labels.csv")
    training = labels[labels["part"] == "train"]
    pixels = read_pixels([str(HERE / "data" / "images" / name) for name in training["file"]])
    for name, model in MODELS.items():
        folder = HERE / name
        folder.mkdir(exist_ok=True)
        joblib.dump(model.fit(pixels, training["label"]), folder / "digits.joblib")
        print(f"a {type(model).__name__} fitted on {len(training)} images is in {folder}")


if __name__ == "__main__":
    main()
