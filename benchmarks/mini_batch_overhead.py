"""What a mini-batch costs beside the script: 50,000 of one file each, ``run`` returns at once.

The overhead of a mini-batch and slot is the seconds of scoring, times the slots, over the
mini-batches. Publishing is shown beside it.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
from pathlib import Path

from rounds import HERE, make_parser, write_result
from scoring_jobs import Benchmark, make_runner
from sessions import start_session

from sparkscore.messages.status import SummaryMessage

TARGET_MILLISECONDS = 2.0


def write_files(folder: Path, *, count: int) -> None:
    """Write files of one byte, unless they are there."""
    if folder.exists():
        return
    partial = folder.with_name(f"{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    for number in range(count):
        (partial / f"{number:06d}.txt").write_bytes(b"1")
    partial.rename(folder)


def overhead_milliseconds(summary: SummaryMessage, *, slots: int) -> float:
    """Milliseconds of one slot that one mini-batch takes."""
    return summary.seconds["score"] * slots / summary.mini_batches.total * 1000


def parse_arguments() -> argparse.Namespace:
    parser = make_parser("mini_batch_overhead", about=__doc__)
    parser.add_argument("--mini-batches", type=int, default=50_000)
    return parser.parse_args()


def main() -> None:
    """Make the files, run the job a few times after a warm-up, write the table."""
    arguments = parse_arguments()
    data = arguments.data.resolve() / "overhead"
    files = data / f"{arguments.mini_batches}-files"
    write_files(files, count=arguments.mini_batches)
    (data / "model.txt").write_text("1\n", encoding="utf-8")
    spark = start_session("mini-batch-overhead", slots=arguments.slots)
    benchmark = Benchmark(
        name="overhead",
        inputs=files,
        model=data / "model.txt",
        mini_batch_size=1,
        output_file_name="predictions.csv",
        slots=arguments.slots,
        code=HERE / "scripts" / "at_once",
    )
    run_job = make_runner(spark, benchmark, folder=data / "job")
    summaries = [run_job() for _ in range(arguments.rounds + 1)][1:]
    spark.stop()
    overheads = [overhead_milliseconds(it, slots=arguments.slots) for it in summaries]
    row = {
        "mini_batches": arguments.mini_batches,
        "slots": arguments.slots,
        "score_seconds": statistics.median(it.seconds["score"] for it in summaries),
        "publish_seconds": statistics.median(it.seconds["publish"] for it in summaries),
        "milliseconds_each": statistics.median(overheads),
    }
    target = f"under {TARGET_MILLISECONDS} milliseconds each"
    write_result(arguments.result, [row], target=target, milliseconds_each=overheads)


if __name__ == "__main__":
    main()
