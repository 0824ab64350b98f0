"""Write the handwritten digits that scikit-learn ships as PNG files, with their labels aside.

``data/images/0000.png`` and so on are what is scored; ``data/labels.csv`` tells the digit of each
file and whether training may look at it. Runs before scoring; running it again changes nothing.
"""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits

DATA = Path(__file__).parent / "data"
BRIGHTEST = 16
TRAINING_SHARE = 0.5


def write_images(folder: Path, images: np.ndarray) -> list[str]:
    """Write each image as an 8-bit grey PNG and return the file names."""
    folder.mkdir(parents=True, exist_ok=True)
    names = [f"{number:04d}.png" for number in range(len(images))]
    levels = np.rint(images * (255 / BRIGHTEST)).astype(np.uint8)
    for name, pixels in zip(names, levels, strict=True):
        Image.fromarray(pixels).save(folder / name)
    return names


def draw_parts(count: int) -> list[str]:
    """``train`` or ``test`` for each image, the same draw every time."""
    draw = np.random.default_rng(2013).random(count)
    return ["train" if number < TRAINING_SHARE else "test" for number in draw]


def write_labels(path: Path, names: list[str], labels: np.ndarray) -> None:
    """Write file, label and part of each image."""
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["file", "label", "part"])
        writer.writerows(zip(names, labels.tolist(), draw_parts(len(names)), strict=True))


def main() -> None:
    """Write images, then labels: where the labels stand, the images are complete."""
    labels = DATA / "labels.csv"
    if labels.exists():
        print(f"{labels} is already there")
        return
    digits = load_digits()
    names = write_images(DATA / "images", digits.images)
    write_labels(labels, names, digits.target)
    print(f"{len(names)} images written to {DATA / 'images'}")


if __name__ == "__main__":
    main()
