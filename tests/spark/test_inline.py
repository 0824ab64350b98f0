"""``isolation: inline``: which rows of the design's table of semantics hold without a process."""

from __future__ import annotations

from typing import Any

SCRIPT = """
import os, time
def run(batch):
    names = [os.path.basename(path) for path in batch]
    if "0003.txt" in names:
        raise ValueError("bad")
    if "0006.txt" in names:
        time.sleep(60)
    return [f"{name} {os.getpid()}" for name in names]
"""


def test_inline__failures_timeouts_and_rows_are_accounted(run_job: Any) -> None:
    job = run_job(SCRIPT, 10, isolation="inline", max_retries=0, timeout_seconds=1)
    assert job.summary.status == "Completed"
    assert {row["path"]: row["condition"] for row in job.failed_inputs()} == {
        "0003.txt": "SCRIPT_RAISED",
        "0006.txt": "SCRIPT_TIMEOUT",
    }
    assert [line.split()[0] for line in job.predictions()] == [
        f"{n:04d}.txt" for n in range(10) if n not in (3, 6)
    ]


def test_inline__init_failures_end_the_job(run_job: Any) -> None:
    job = run_job(
        "def init():\n    raise RuntimeError('no model')\ndef run(batch):\n    return batch\n",
        4,
        isolation="inline",
    )
    assert job.summary.status == "Failed"
    assert job.summary.error is not None
    assert job.summary.error["condition"] == "INIT_FAILED"


def test_inline__crash_takes_the_worker_and_fails_the_job(run_job: Any) -> None:
    """What ``process`` prevents: docs say that this row does not hold inline."""
    job = run_job("import os\ndef run(batch):\n    os._exit(3)\n", 2, isolation="inline")
    assert job.summary.status == "Failed"
    assert job.summary.error is not None
    assert job.summary.error["condition"] == "SPARK_JOB_FAILED"
    assert job.summary.unprocessed_inputs == 2
    assert not job.output.exists()
