"""A cheap MLflow model: twenty numbers times twenty weights. Loaded by MLflow from this file."""

from __future__ import annotations

from typing import Any

import mlflow
import numpy as np
import pandas as pd
from mlflow.pyfunc.model import PythonModel, PythonModelContext

COLUMNS = [f"x{number:02d}" for number in range(20)]


class LinearModel(PythonModel):
    """Predicts the weighted sum of a row."""

    def load_context(self, context: PythonModelContext) -> None:
        """Read the weights."""
        self.weights: np.ndarray = np.load(context.artifacts["weights"])

    def predict(
        self,
        context: PythonModelContext,
        model_input: pd.DataFrame,
        params: dict[str, Any] | None = None,
    ) -> np.ndarray:
        """One number for each row."""
        predictions: np.ndarray = model_input[COLUMNS].to_numpy() @ self.weights
        return predictions


mlflow.models.set_model(LinearModel())
