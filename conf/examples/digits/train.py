"""Fit a classifier on the training half of the digits and save it to ``model/``.

Reads the same PNG files with the same helper as the scoring script, so training and scoring see
equal pixels. Runs before scoring, after ``make_data.py``.
"""

from __future__ import annotations

import sys
from pathlib import Path

import joblib
import pandas as pd
from sklearn.svm import SVC

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "code"))

from digit_images import read_pixels  # noqa: E402  the code folder is put on the path above


def main() -> None:
    """Fit on the rows marked ``train`` and write ``model/digits.joblib``."""
    labels = pd.read_csv(HERE / "data" / "labels.csv")
    training = labels[labels["part"] == "train"]
    paths = [str(HERE / "data" / "images" / name) for name in training["file"]]
    model = SVC(gamma=0.25).fit(read_pixels(paths), training["label"])
    folder = HERE / "model"
    folder.mkdir(exist_ok=True)
    joblib.dump(model, folder / "digits.joblib")
    print(f"a classifier fitted on {len(training)} images is in {folder}")


if __name__ == "__main__":
    main()
