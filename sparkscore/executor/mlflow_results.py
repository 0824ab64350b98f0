"""Turns what models return into the result table of the MLflow script. Script host."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from sparkscore.executor.mlflow_files import to_arrow


def iter_results(prediction: Any, names: list[str]) -> Iterator[tuple[str, Any]]:
    """What a model returned as named Arrow arrays; ``names`` are those of its signature."""
    if isinstance(prediction, list) and prediction and all(isinstance(p, dict) for p in prediction):
        keys = dict.fromkeys(key for item in prediction for key in item)
        prediction = {key: [item.get(key) for item in prediction] for key in keys}
    if isinstance(prediction, pd.api.extensions.ExtensionArray):
        prediction = pd.Series(prediction)
    if hasattr(prediction, "__array__") and not isinstance(prediction, (pd.DataFrame, pd.Series)):
        prediction = np.asarray(prediction)
        if prediction.ndim == 2:
            prediction = pd.DataFrame(prediction)
    if isinstance(prediction, pd.DataFrame):
        labels = name_columns(prediction, names)
        items: Iterable[tuple[Any, Any]] = (
            (label, prediction.iloc[:, index]) for index, label in enumerate(labels)
        )
    elif isinstance(prediction, dict):
        items = prediction.items()
    else:
        items = [(names[0] if len(names) == 1 else "prediction", prediction)]
    for name, values in items:
        yield str(name), own_array(values)


def name_columns(frame: pd.DataFrame, names: list[str]) -> list[str]:
    """The frame's own column names, else the signature's, else prediction or prediction_0..."""
    own: list[Any] = list(frame.columns)
    if own != list(range(len(own))):
        return ["prediction" if label in (None, "") else str(label) for label in own]
    if len(names) == len(own):
        return names
    return ["prediction"] if len(own) == 1 else [f"prediction_{label}" for label in own]


def own_array(values: Any) -> Any:
    """Values as an Arrow array in memory of its own: a model may use its buffer again."""
    if isinstance(values, pd.Series):
        return to_arrow(values.copy())
    if hasattr(values, "__array__"):
        values = np.atleast_1d(np.array(values))
        return to_arrow(values if values.ndim == 1 else values.tolist())
    if isinstance(values, (list, tuple)):
        return to_arrow(values)
    if pd.api.types.is_scalar(values):
        return to_arrow([values])
    raise TypeError(f"a {type(values).__name__} is no result")


def compose(positions: Any, results: list[tuple[str, Any]], *, file: str) -> Any:
    """The table of a file's results; a name that is taken gets the suffix _1, then _2..."""
    codes = pa.array(np.zeros(len(positions), np.int32))
    columns = {
        "file": pa.DictionaryArray.from_arrays(codes, pa.array([file])),
        "row": pa.array(positions, pa.int64()),
    }
    for name, values in results:
        suffixes = (f"{name}_{number}" for number in range(1, len(columns) + 1))
        columns[next(free for free in (name, *suffixes) if free not in columns)] = values
    return pa.table(columns)


def concatenate(parts: list[Any]) -> Any:
    """The results of several files; types widen, a column without a common type becomes text."""
    filled = [part for part in parts if part.num_rows] or parts[:1]
    if not filled:
        return compose(np.zeros(0, np.int64), [], file="")
    try:
        table = pa.concat_tables(filled, promote_options="permissive")
    except (pa.ArrowTypeError, pa.ArrowInvalid):
        table = pa.concat_tables(as_text(filled), promote_options="permissive")
    return table.unify_dictionaries()


def as_text(parts: list[Any]) -> Iterator[Any]:
    """The parts with text in columns whose types differ."""
    types: dict[str, set[Any]] = {}
    for field in (field for part in parts for field in part.schema):
        types.setdefault(field.name, set()).add(field.type)
    for part in parts:
        for index, field in enumerate(part.schema):
            if len(types[field.name]) > 1:
                texts = [None if v is None else str(v) for v in part.column(index).to_pylist()]
                part = part.set_column(index, field.name, pa.array(texts, pa.string()))
        yield part
