"""What a hand-written Spark job gives to ``mapInPandas``. Runs in Python workers.

A module of its own: workers import it by name, so its cache lives as long as the worker process.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import mlflow.pyfunc
import pandas as pd


@cache
def load_model(path: str) -> Any:
    """The model, loaded once in each process."""
    return mlflow.pyfunc.load_model(path)


def make_mapper(path: str) -> Callable[[Iterator[pd.DataFrame]], Iterator[pd.DataFrame]]:
    """A function for ``mapInPandas`` that predicts with the model at ``path``."""

    def score(batches: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        model = load_model(path)
        for batch in batches:
            yield pd.DataFrame({"prediction": model.predict(batch)})

    return score
