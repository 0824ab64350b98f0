"""Join published predictions with the labels and print the accuracy. Runs after scoring."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import pandas as pd

LABELS = Path(__file__).parent / "data" / "labels.csv"


def join_labels(predictions: pd.DataFrame, labels: pd.DataFrame) -> pd.DataFrame:
    """Each label with its prediction; exits unless every image was scored exactly once."""
    if sorted(predictions["file"]) != sorted(labels["file"]):
        sys.exit(f"{len(predictions)} predictions do not match {len(labels)} images one to one")
    return labels.merge(predictions, on="file")


def render_accuracy(scored: pd.DataFrame) -> str:
    """One line for each part: how many images, how many right."""
    right = (scored["digit"] == scored["label"]).groupby(scored["part"]).agg(["size", "sum"])
    lines = [
        f"  {part:<5}  {row['size']:>5} images  {row['sum']:>5} right  "
        f"accuracy {row['sum'] / row['size']:.3f}"
        for part, row in right.iterrows()
    ]
    return "\n".join(lines)


def main() -> None:
    """Print the accuracy on images the model has seen (train) and has not (test)."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("predictions", type=Path, help="the predictions.csv of a job")
    predictions = pd.read_csv(parser.parse_args().predictions)
    scored = join_labels(predictions, pd.read_csv(LABELS))
    print(f"{len(scored)} images, each scored once:")
    print(render_accuracy(scored))


if __name__ == "__main__":
    main()
