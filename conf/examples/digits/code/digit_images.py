"""Read digit images as the classifier wants them. Used by training and by the scoring script."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image


def read_pixels(paths: Sequence[str]) -> np.ndarray:
    """One row of 64 grey values from 0 to 1 for each file."""
    return np.stack([_grey_values(path) for path in paths])


def _grey_values(path: str) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("L"), dtype=np.float64).ravel() / 255
