"""How long a million files take to be listed and planned, and how much memory that needs.

    python benchmarks/planning.py [--files 1000000] [--folder DIR]

Makes real empty files (1,000 a folder) in a temporary folder, then lists, plans and writes the
plan in a fresh process for each mini-batch size. Prints seconds and the peak of that process.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

MINI_BATCH_SIZES = (1, 10)
FILES_PER_FOLDER = 1_000
TARGET_SECONDS = 20.0
TARGET_BYTES = 1024**3


def main() -> int:
    """Measures and returns 0 if both targets were met."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--files", type=int, default=1_000_000)
    parser.add_argument("--folder", help="where the temporary folder is made")
    parser.add_argument("--measure", nargs=2, metavar=("INPUT", "SIZE"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        print(json.dumps(measure(arguments.measure[0], mini_batch_size=int(arguments.measure[1]))))
        return 0
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        make_files(Path(folder), file_count=arguments.files)
        results = [measure_apart(folder, mini_batch_size=size) for size in MINI_BATCH_SIZES]
    return 0 if all(report(result) for result in results) else 1


def make_files(root: Path, *, file_count: int) -> None:
    """Writes ``file_count`` empty files below ``root``."""
    started = time.perf_counter()
    for first in range(0, file_count, FILES_PER_FOLDER):
        folder = root / f"{first // FILES_PER_FOLDER:05}"
        folder.mkdir()
        for number in range(first, min(first + FILES_PER_FOLDER, file_count)):
            os.close(os.open(folder / f"input-{number:07}.png", os.O_CREAT | os.O_WRONLY))
    print(f"made {file_count:,} files in {time.perf_counter() - started:.1f} s", flush=True)


def measure_apart(folder: str, *, mini_batch_size: int) -> dict[str, float]:
    """The figures of a process of its own."""
    root = Path(__file__).resolve().parent.parent
    done = subprocess.run(
        [sys.executable, __file__, "--measure", folder, str(mini_batch_size)],
        capture_output=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(root)},
    )
    result: dict[str, float] = json.loads(done.stdout)
    return result


def measure(folder: str, *, mini_batch_size: int) -> dict[str, float]:
    """Seconds by phase and peak memory of listing, planning and writing in this process."""
    times = [time.perf_counter()]
    from sparkscore.listing import list_inputs
    from sparkscore.plan import explain_plan, plan_scoring, write_plan

    times.append(time.perf_counter())
    listing = list_inputs(folder)
    times.append(time.perf_counter())
    plan = plan_scoring(
        listing.files,
        mini_batch_size=mini_batch_size,
        root=listing.root,
        transport=listing.transport,
        slots=2,
    )
    times.append(time.perf_counter())
    with tempfile.TemporaryDirectory() as job_folder:
        write_plan(plan, job_folder)
    times.append(time.perf_counter())
    explain_plan(plan, slots=2, checkpoint_interval_seconds=600)
    times.append(time.perf_counter())
    names = ("import", "list", "plan", "write", "explain")
    seconds = {name: times[at + 1] - times[at] for at, name in enumerate(names)}
    return {
        "files": plan.input_count,
        "mini_batches": plan.mini_batch_count,
        **seconds,
        "total": times[-1] - times[0],
        "peak_bytes": read_peak_bytes(),
    }


def read_peak_bytes() -> int:
    """Peak resident memory of this process; macOS counts bytes, Linux KiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def report(result: dict[str, float]) -> bool:
    """Prints one line of figures; says whether they are within the targets."""
    is_met = result["total"] < TARGET_SECONDS and result["peak_bytes"] < TARGET_BYTES
    phases = ", ".join(
        f"{name} {result[name]:.2f}" for name in ("import", "list", "plan", "write", "explain")
    )
    print(
        f"{result['files']:,.0f} files in {result['mini_batches']:,.0f} mini-batches: "
        f"{result['total']:.2f} s ({phases}), peak {result['peak_bytes'] / 1024**2:.0f} MiB: "
        f"{'within' if is_met else 'MISSES'} {TARGET_SECONDS:g} s and "
        f"{TARGET_BYTES / 1024**3:g} GiB"
    )
    return is_met


if __name__ == "__main__":
    sys.exit(main())
