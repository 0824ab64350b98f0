"""Run contenders side by side, and write down what came out. Runs in the benchmark's process."""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent.resolve()
DATA = HERE / "data"
RESULTS = HERE / "results"
LIBRARIES = ("mlflow", "numpy", "pandas", "pyarrow", "pyspark")

Contender = Callable[[], float]
"""Does the whole work once and returns the seconds that count."""


def timed(work: Callable[[], object]) -> Contender:
    """A contender whose seconds are the wall time of ``work``."""

    def measure() -> float:
        started = time.perf_counter()
        work()
        return time.perf_counter() - started

    return measure


def run_rounds(
    contenders: Mapping[str, Contender], *, rounds: int, warm_ups: int = 1
) -> dict[str, list[float]]:
    """Seconds of each contender in each round; warm-ups are run and left out.

    Each round starts with the next contender, so that none is always first.
    """
    names = list(contenders)
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for number in range(-warm_ups, rounds):
        start = number % len(names)
        for name in names[start:] + names[:start]:
            took = contenders[name]()
            label = "warm-up" if number < 0 else f"round {number + 1} of {rounds}"
            print(f"{label}: {name} {took:.3f} s", flush=True)
            if number >= 0:
                seconds[name].append(took)
    return seconds


def medians(seconds: Mapping[str, list[float]]) -> dict[str, float]:
    """The median seconds of each contender."""
    return {name: statistics.median(values) for name, values in seconds.items()}


def describe_machine() -> dict[str, Any]:
    """What the figures depend on: cores, memory and versions."""
    memory_bytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "cores": os.cpu_count(),
        "memory_gb": round(memory_bytes / 2**30),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        **{name: version(name) for name in LIBRARIES},
    }


def render_table(rows: list[dict[str, Any]]) -> str:
    """The rows as aligned columns, headed by the keys of the first one."""
    lines = [list(rows[0]), *([_render_cell(value) for value in row.values()] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def _render_cell(value: object) -> str:
    return f"{value:,.3f}" if isinstance(value, float) else f"{value}"


def write_result(path: Path, rows: list[dict[str, Any]], **facts: object) -> None:
    """Print the rows as a table and write them with ``facts`` to ``path`` as JSON."""
    print(render_table(rows))
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {"name": path.stem, "rows": rows, **facts, "machine": describe_machine()}
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    print(f"written to {path}")


def make_parser(name: str, *, about: str | None, rounds: int = 3) -> argparse.ArgumentParser:
    """The options that all benchmarks have."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--data", type=Path, default=DATA, help="folder that keeps the inputs")
    parser.add_argument("--result", type=Path, default=RESULTS / f"{name}.json")
    parser.add_argument("--rounds", type=int, default=rounds, help="measured rounds")
    parser.add_argument("--slots", type=int, default=2, help="mini-batches at the same time")
    return parser
