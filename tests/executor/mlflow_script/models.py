"""Models that tell what they got, saved with MLflow, and files for them to score."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

BIG = 2**53 + 1

Score = Callable[..., Any]
Start = Callable[..., Score]
Save = Callable[..., str]

SEEN: list[Any] = []
"""What the models got in this test."""


def probe_predict(answer: Callable[[Any], Any], data: Any) -> Any:
    SEEN.append(data)
    return answer(data)


def counts(data: Any) -> Any:
    return np.arange(len(data))


with warnings.catch_warnings(record=True):
    warnings.simplefilter("always")
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    from mlflow.pyfunc.model import PythonModel

    class Probe(PythonModel):
        def __init__(self, answer: Callable[[Any], Any]) -> None:
            self.answer = answer

        def predict(self, context, model_input, params=None):
            return probe_predict(self.answer, model_input)

    class Adds(PythonModel):
        def predict(self, context, model_input, params=None):
            return model_input["k"].to_numpy() + params["add"]


def save_quietly(flavor: Any, path: Path, **content: Any) -> None:
    """MLflow warns of all that it misses in a model when it saves one."""
    with warnings.catch_warnings(record=True):
        warnings.simplefilter("always")
        flavor.save_model(path=str(path), **content)


def write_file(folder: Path, name: str, content: Any) -> str:
    """Write ``content``; in ``name`` two underscores stand for a dot, three for a slash."""
    path = folder / name.replace("___", "/").replace("__", ".")
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, pa.Table):
        pq.write_table(content, path)
    elif isinstance(content, Image.Image):
        content.save(path)
    else:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return str(path)


def account(table: Any) -> Any:
    return json.loads(table.schema.metadata[b"sparkscore"])


def rows(table: Any) -> list[tuple[Any, ...]]:
    return [tuple(row.values()) for row in table.to_pylist()]
