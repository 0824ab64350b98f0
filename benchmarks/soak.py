"""Jobs back to back for half an hour: nothing grows but job folders, records and runs.

Each cycle runs jobs of a workspace (completed, failed, canceled, killed and resumed, each a driver
process of its own) and jobs in one session that lives all the time. Between cycles, when no job
runs, memory, descriptors, processes and disk are measured. After a warm-up the slope of each figure
is the median of the slopes between all pairs of cycles; the growth that it means over the whole
stretch has to stay within a bound.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from rounds import DATA, HERE, RESULTS, render_table, write_result
from soak_inputs import KINDS, MARK, write_inputs
from soak_jobs import WorkspaceJobs
from soak_samples import BOUNDS, Places, Sample, find_slope, take_sample

WARM_UP = 1 / 3
SESSION_ROUNDS = 3
PAGE_MARK = "<!-- figures -->\n"


class Session:
    """The process of ``soak_session.py``."""

    def __init__(self, places: Places) -> None:
        command = [sys.executable, str(HERE / "soak_session.py")]
        command += [str(places.inputs), str(places.session)]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.heap_megabytes = 0.0

    @property
    def process_id(self) -> int:
        return self._process.pid

    def run_jobs(self) -> int:
        """Run jobs of all kinds; how many."""
        kinds = list(KINDS) * SESSION_ROUNDS
        for kind in kinds:
            answer = self._ask(kind)
            self.heap_megabytes = answer["heap_megabytes"]
            if answer["status"] != answer["expected"]:
                sys.exit(f"a job on {kind} is {answer['status']}: {answer['error']}")
        return len(kinds)

    def _ask(self, kind: str) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{kind}\n")
        self._process.stdin.flush()
        for line in self._process.stdout:
            if line.startswith(MARK):
                answer: dict[str, Any] = json.loads(line.removeprefix(MARK))
                return answer
        sys.exit("the session has ended")

    def stop(self) -> None:
        """End the process in order."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(60)


def run_cycles(places: Places, *, minutes: float) -> list[Sample]:
    """Run cycles until the time is over; a sample after each, with the jobs until then."""
    jobs = WorkspaceJobs(places.workspace, places.inputs)
    session = Session(places)
    samples: list[Sample] = []
    count = 0
    deadline = time.monotonic() + minutes * 60
    try:
        while time.monotonic() < deadline:
            count += jobs.run_cycle() + session.run_jobs()
            jobs.wait_for_processes()
            gc.collect()
            sample = take_sample(places, session.process_id, heap_megabytes=session.heap_megabytes)
            samples.append({"jobs": float(count), **sample})
            print(f"cycle {len(samples)}: {json.dumps(samples[-1])}", flush=True)
    finally:
        session.stop()
    return samples


def render_page_table(rows: list[dict[str, Any]]) -> str:
    """The rows as a table of Markdown."""
    lines = [
        "| what | first | after warm-up | at the end | growth | allowed |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        cells = (f"{row[name]:,.1f}" for name in ("first", "warm", "last", "growth", "allowed"))
        lines.append(f"| {BOUNDS[row['figure']].about} | {' | '.join(cells)} |")
    return "\n".join(lines)


def write_page(page: Path, rows: list[dict[str, Any]], *, said: str) -> None:
    """Replace what stands between the marks of the page."""
    before, mark, rest = page.read_text(encoding="utf-8").partition(PAGE_MARK)
    after = rest.partition(PAGE_MARK)[2]
    figures = f"\n{said}\n\n{render_page_table(rows)}\n"
    page.write_text(f"{before}{mark}{figures}{mark}{after}", encoding="utf-8")


def judge(samples: list[Sample]) -> list[dict[str, Any]]:
    """One line a figure: where it stood after the warm-up and at the end, and its growth."""
    kept = samples[round(len(samples) * WARM_UP) :]
    jobs = kept[-1]["jobs"] - kept[0]["jobs"]
    rows = []
    for name, bound in BOUNDS.items():
        growth = find_slope([(one["jobs"], one[name]) for one in kept]) * jobs
        rows.append(
            {
                "figure": name,
                "first": samples[0][name],
                "warm": kept[0][name],
                "last": kept[-1][name],
                "growth": growth,
                "allowed": bound.get_allowed(jobs),
                "within": growth <= bound.get_allowed(jobs),
            }
        )
    return rows


def prepare(root: Path) -> Places:
    """New folders, which everything that is started is told to use."""
    shutil.rmtree(root, ignore_errors=True)
    places = Places(root)
    for folder in (places.temporary, places.user, places.session, places.inputs):
        folder.mkdir(parents=True)
    os.environ["TMPDIR"] = str(places.temporary)
    os.environ["SPARKSCORE_CONFIG_DIR"] = str(places.user)
    os.environ["PYSPARK_PYTHON"] = sys.executable
    write_inputs(places.inputs)
    return places


def main() -> None:
    """Run, write the table, fail if something has grown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--data", type=Path, default=DATA, help="folder to work in")
    parser.add_argument("--result", type=Path, default=RESULTS / "soak.json")
    parser.add_argument("--page", type=Path, help="page whose table is replaced")
    arguments = parser.parse_args()
    samples = run_cycles(prepare(arguments.data.resolve() / "soak"), minutes=arguments.minutes)
    if len(samples) < 3:
        sys.exit(f"{len(samples)} cycles tell nothing: give more --minutes")
    rows = judge(samples)
    facts = {"minutes": arguments.minutes, "cycles": len(samples), "jobs": samples[-1]["jobs"]}
    write_result(arguments.result, rows, **facts, samples=samples)
    if arguments.page is not None:
        said = (
            f"{arguments.minutes:g} minutes, {samples[-1]['jobs']:.0f} jobs in {len(samples)} "
            f"cycles, the first {round(len(samples) * WARM_UP)} of them warm-up."
        )
        write_page(arguments.page, rows, said=said)
    grown = [row for row in rows if not row["within"]]
    if grown:
        sys.exit(f"these have grown:\n{render_table(grown)}")


if __name__ == "__main__":
    main()
