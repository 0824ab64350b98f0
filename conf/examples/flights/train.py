"""Fit a model of the arrival delay and save it with MLflow to ``model/``.

Trains on every fifth day of each month, on what is known when a flight leaves. The signature has
strings, longs and a double that may be missing (canceled flights never left). Runs before scoring,
after ``make_data.py``.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import mlflow
import pandas as pd
import sklearn
import skops
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, Schema
from sklearn.compose import make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import Ridge
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

HERE = Path(__file__).parent
TEXTS = ["carrier", "origin", "dest"]
PERIODS = ["month", "hour"]
DISTANCE = "distance"
DELAY = "dep_delay"
FEATURES = [*TEXTS, *PERIODS, DISTANCE, DELAY]
SIGNATURE = ModelSignature(
    inputs=Schema(
        [
            *(ColSpec("string", name) for name in TEXTS),
            *(ColSpec("long", name) for name in [*PERIODS, DISTANCE]),
            ColSpec("double", DELAY, required=False),
        ]
    ),
    outputs=Schema([ColSpec("double")]),
)


def read_training_flights() -> pd.DataFrame:
    """The flights of days 5, 10, 15, ... that have arrived."""
    months = [pd.read_csv(path) for path in sorted((HERE / "data").glob("*.csv"))]
    flights = pd.concat(months, ignore_index=True)
    return flights[(flights["day"] % 5 == 0) & flights["arr_delay"].notna()]


def make_model() -> Pipeline:
    """A linear model on one-hot texts and periods and on scaled numbers."""
    numbers = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    columns = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), [*TEXTS, *PERIODS]),
        (numbers, [DISTANCE, DELAY]),
    )
    return make_pipeline(columns, Ridge())


def main() -> None:
    """Fit, and replace ``model/``."""
    flights = read_training_flights()
    model = make_model().fit(flights[FEATURES], flights["arr_delay"])
    folder = HERE / "model"
    shutil.rmtree(folder, ignore_errors=True)
    mlflow.sklearn.save_model(
        model,
        folder,
        signature=SIGNATURE,
        serialization_format="skops",
        skops_trusted_types=["numpy.dtype"],
        pip_requirements=[
            f"mlflow=={mlflow.__version__}",
            f"scikit-learn=={sklearn.__version__}",
            f"skops=={skops.__version__}",
        ],
    )
    print(f"a model fitted on {len(flights)} flights is in {folder}")


if __name__ == "__main__":
    main()
