"""Files a second for 20,000 PNG files, ten in each mini-batch, with a cheap model.

sparkscore and ``multiprocessing.Pool`` call ``run`` of the same scoring script, on equal
mini-batches. Start-up does not count: the pool is warm, and sparkscore's clock runs from the end of
its first mini-batch until its output is published. The pool keeps no account and writes nothing.
The images are the digits of scikit-learn in several sizes, as the time to decode a file decides how
much a mini-batch may cost beside it.
"""

from __future__ import annotations

import argparse
import io
import itertools
import multiprocessing
import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from multiprocessing.pool import Pool
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from pyspark.sql import SparkSession
from rounds import HERE, make_parser, medians, run_rounds, timed, write_result
from scoring_jobs import Benchmark, make_runner, published_seconds, startup_seconds
from sessions import start_session
from sklearn.datasets import load_digits

CODE = HERE / "scripts" / "images"
MINI_BATCH_SIZE = 10
OURS = "sparkscore"
OURS_WITH_STARTUP = "sparkscore, script hosts started"
POOL = "multiprocessing.Pool"
TARGET = 0.85


def encode_images(side: int) -> list[bytes]:
    """All digits as PNG, ``side`` pixels wide and high."""
    encoded = []
    for levels in np.rint(load_digits().images * (255 / 16)).astype(np.uint8):
        stream = io.BytesIO()
        Image.fromarray(levels).resize((side, side)).save(stream, format="png")
        encoded.append(stream.getvalue())
    return encoded


def write_images(folder: Path, *, count: int, side: int) -> None:
    """Write the digits again and again, unless they are there."""
    if folder.exists():
        return
    partial = folder.with_name(f"{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    for number, encoded in zip(range(count), itertools.cycle(encode_images(side)), strict=False):
        (partial / f"{number:06d}.png").write_bytes(encoded)
    partial.rename(folder)


def save_weights(path: Path) -> None:
    """Save the mean image of each digit as its weights."""
    path.parent.mkdir(parents=True, exist_ok=True)
    digits = load_digits()
    means = [digits.data[digits.target == digit].mean(axis=0) for digit in range(10)]
    columns = np.stack(means, axis=1)
    np.save(path, columns / np.linalg.norm(columns, axis=0))


def start_pool_worker(model: Path) -> None:
    """What a script host does before the first mini-batch."""
    os.environ["AZUREML_MODEL_DIR"] = str(model.parent)
    sys.path.insert(0, str(CODE))
    import_module("score").init()


def run_mini_batch(paths: list[str]) -> list[dict[str, Any]]:
    """Call the scoring script. Runs in a worker of the pool."""
    results: list[dict[str, Any]] = import_module("score").run(paths)
    return results


def score_with_pool(pool: Pool, images: Path) -> Callable[[], object]:
    """Map the script's ``run`` over mini-batches that are listed beforehand."""
    paths = sorted(str(path) for path in images.iterdir())
    starts = range(0, len(paths), MINI_BATCH_SIZE)
    mini_batches = [paths[start : start + MINI_BATCH_SIZE] for start in starts]
    return lambda: pool.map(run_mini_batch, mini_batches)


@dataclass(frozen=True)
class Bench:
    """What all sizes share."""

    spark: SparkSession
    pool: Pool
    data: Path
    model: Path
    slots: int
    rounds: int

    def run(self, images: Path) -> dict[str, list[float]]:
        """Seconds of both contenders on these images, in turn."""
        benchmark = Benchmark(
            name="images",
            inputs=images,
            model=self.model,
            mini_batch_size=MINI_BATCH_SIZE,
            output_file_name="predictions.csv",
            slots=self.slots,
            code=CODE,
        )
        folder = self.data / "job"
        run_job = make_runner(self.spark, benchmark, folder=folder)
        with_startup: list[float] = []

        def score() -> float:
            with_startup.append(published_seconds(run_job()))
            return with_startup[-1] - startup_seconds(folder)

        contenders = {OURS: score, POOL: timed(score_with_pool(self.pool, images))}
        seconds = run_rounds(contenders, rounds=self.rounds)
        return {**seconds, OURS_WITH_STARTUP: with_startup[-self.rounds :]}


def make_rows(seconds: dict[str, list[float]], *, side: int, count: int) -> list[dict[str, Any]]:
    """One line a contender: seconds, files a second, and how often the pool's rate."""
    middle = medians(seconds)
    return [
        {
            "pixels": f"{side} x {side}",
            "contender": name,
            "seconds": took,
            "files_per_second": round(count / took),
            "times_pool": middle[POOL] / took,
        }
        for name, took in middle.items()
    ]


def run_sizes(bench: Bench, *, sides: list[int], count: int) -> list[dict[str, Any]]:
    """The table of all sizes."""
    rows = []
    for side in sides:
        images = bench.data / f"{count}-files-{side}-pixels"
        write_images(images, count=count, side=side)
        print(f"{count} images of {side} x {side} pixels", flush=True)
        rows += make_rows(bench.run(images), side=side, count=count)
    return rows


def parse_arguments() -> argparse.Namespace:
    parser = make_parser("image_files", about=__doc__)
    parser.add_argument("--files", type=int, default=20_000)
    parser.add_argument("--sides", type=int, nargs="+", default=[8, 28, 224], help="pixels")
    return parser.parse_args()


def main() -> None:
    """Run both in turn on each size, write the table."""
    arguments = parse_arguments()
    slots = arguments.slots
    data = arguments.data.resolve() / "images"
    model = data / "model" / "weights.npy"
    save_weights(model)
    context = multiprocessing.get_context("fork")
    with context.Pool(slots, start_pool_worker, (model,)) as pool:
        spark = start_session("image-files", slots=slots)
        bench = Bench(spark, pool, data, model, slots, arguments.rounds)
        rows = run_sizes(bench, sides=arguments.sides, count=arguments.files)
        spark.stop()
    target = f"{OURS} at least {TARGET} times {POOL}"
    write_result(arguments.result, rows, target=target, files=arguments.files, slots=slots)


if __name__ == "__main__":
    main()
