"""Nested values as JSON text. Script host, Python worker.

Aware of NumPy and pandas; NaN and infinity, which JSON does not have, are null.
"""

from __future__ import annotations

import base64
import json
import math
from datetime import date, time
from typing import Any

import numpy as np
import pandas as pd

from sparkscore.errors import InvalidScoringResultError


def json_text(value: Any) -> str:
    """The value as one line of JSON, non-ASCII characters as they are."""
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False, default=_plain)
    except (ValueError, TypeError):
        return _careful_text(value)


def _careful_text(value: Any) -> str:
    try:
        return json.dumps(_cleaned(value), ensure_ascii=False, allow_nan=False)
    except (RecursionError, ValueError) as error:
        raise InvalidScoringResultError(
            f"a nested result of class {type(value).__name__} cannot be written as JSON: {error}",
            condition="RESULT_WITHOUT_TEXT",
            type=type(value).__name__,
        ) from error


def _cleaned(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _cleaned(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_cleaned(item) for item in value]
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if value is None or isinstance(value, (str, bool, int)):
        return value
    return _cleaned(_plain(value))


def _plain(value: Any) -> Any:
    if value is pd.NA or value is pd.NaT:
        return None
    if isinstance(value, (np.datetime64, np.timedelta64)):
        return str(value)
    if isinstance(value, np.generic):
        item = value.item()
        return str(item) if isinstance(item, (np.generic, complex)) else item
    if isinstance(value, (np.ndarray, pd.Series, pd.Index)):
        return value.tolist()
    if isinstance(value, pd.DataFrame):
        return value.to_dict(orient="records")
    if isinstance(value, (set, frozenset)):
        return sorted(value, key=str)
    if isinstance(value, (date, time)):
        return value.isoformat()
    if isinstance(value, (bytes, bytearray, memoryview)):
        return base64.b64encode(value).decode()
    return str(value)
