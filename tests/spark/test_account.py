"""The account is exact: counts, thresholds, init, retries."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

NAMES = """
import os
def run(batch):
    return [os.path.basename(path) for path in batch]
"""

FAILING = """
import os
BAD = set(os.environ["BAD"].split(","))
def run(batch):
    names = [os.path.basename(path) for path in batch]
    bad = [name for name in names if name in BAD]
    if bad:
        raise ValueError(f"bad {bad}")
    return names
"""


def bad(*numbers: int) -> dict[str, str]:
    return {"BAD": ",".join(f"{number:04d}.txt" for number in numbers)}


def test_init__runs_once_per_script_host_over_many_waves(run_job: Any) -> None:
    job = run_job(
        """
        import os
        calls = 0
        def init():
            global calls
            calls += 1
        def run(batch):
            return [f"{os.getpid()} {calls}" for _ in batch]
        """,
        200,
        mini_batch_size=1,
    )
    summary = job.summary
    assert summary.mini_batches.total == 200
    assert len(job.events("wave_committed")) >= 2
    assert summary.init_calls == summary.worker_processes == len(set(job.predictions())) <= 2
    assert {line.split()[1] for line in job.predictions()} == {"1"}


def test_init__failing_three_times_fails_the_job_with_its_traceback(run_job: Any) -> None:
    job = run_job(
        """
        def init():
            raise RuntimeError("model is broken")
        def run(batch):
            return batch
        """,
        50,
    )
    assert job.summary.status == "Failed"
    error = job.summary.error
    assert error is not None
    assert (error["condition"], error["exit_code"]) == ("INIT_FAILED", 4)
    assert "model is broken" in error["message"]
    assert "score.py" in error["traceback"]
    assert job.summary.inputs.failed == 0
    assert not job.output.exists()


@pytest.mark.parametrize(
    ("threshold", "failing", "status"),
    [
        (-1, 5, "Completed"),
        (0, 0, "Completed"),
        (0, 1, "Failed"),
        (3, 3, "Completed"),
        (3, 4, "Failed"),
    ],
)
def test_error_threshold__is_exact_at_the_boundary(
    run_job: Any, threshold: int, failing: int, status: str
) -> None:
    job = run_job(
        FAILING,
        40,
        mini_batch_size=5,
        max_retries=0,
        error_threshold=threshold,
        environment_variables=bad(*range(3, 3 + 2 * failing, 2)),
    )
    assert job.summary.status == status
    assert len(job.failed_inputs()) == job.summary.inputs.failed
    if status == "Completed":
        assert job.summary.inputs.failed == failing
        assert len(job.rows()) == 40 - failing
    else:
        assert job.summary.inputs.failed > threshold
        assert job.summary.error is not None
        assert job.summary.error["condition"] == "ERROR_THRESHOLD_EXCEEDED"
        assert not job.output.exists()


def test_error_threshold__ends_a_long_job_within_seconds(run_job: Any, tmp_path: Path) -> None:
    decided = tmp_path / "decided"
    job = run_job(
        """
        import os, time
        def run(batch):
            time.sleep(0.5)
            name = os.path.basename(batch[0])
            if int(name[:4]) in (40, 41):
                with open(os.environ["DECIDED"], "a") as decided:
                    decided.write(f"{time.time()}\\n")
                raise ValueError(name)
            return [name]
        """,
        600,
        mini_batch_size=1,
        max_retries=0,
        error_threshold=1,
        environment_variables={"DECIDED": str(decided)},
    )
    assert job.summary.status == "Failed"
    assert job.summary.inputs.failed == 2
    assert job.summary.unprocessed_inputs > 400
    assert not job.output.exists()
    deciding_failure = float(decided.read_text().split()[1])
    assert job.events("status")[-1]["at"] - deciding_failure < 15


def test_mini_batch_error_threshold__counts_mini_batches(run_job: Any) -> None:
    job = run_job(
        FAILING,
        20,
        max_retries=0,
        mini_batch_error_threshold=1,
        environment_variables=bad(0, 1, 6),
    )
    assert job.summary.status == "Failed"
    assert job.summary.mini_batches.failed == 2
    assert job.summary.error is not None
    assert "mini-batches" in job.summary.error["message"]


def test_zero_successes__fails_append_row_whatever_the_threshold(run_job: Any) -> None:
    job = run_job(FAILING, 4, max_retries=0, environment_variables=bad(0, 1, 2, 3))
    assert job.summary.status == "Failed"
    assert job.summary.error is not None
    assert job.summary.error["condition"] == "NO_SUCCESSFUL_INPUT"
    assert (job.summary.inputs.failed, job.summary.unprocessed_inputs) == (4, 0)
    assert not job.output.exists()


def test_isolate_failures__off_counts_the_whole_mini_batch(run_job: Any) -> None:
    job = run_job(
        FAILING,
        20,
        mini_batch_size=5,
        max_retries=0,
        isolate_failures=False,
        environment_variables=bad(7),
    )
    assert job.summary.inputs.failed == 5
    assert job.summary.mini_batches.failed == 1
    assert [row["path"] for row in job.failed_inputs()] == [f"{n:04d}.txt" for n in range(5, 10)]


def test_isolate_failures__on_loses_one_input_and_one_mini_batch(run_job: Any) -> None:
    job = run_job(FAILING, 20, mini_batch_size=5, max_retries=2, environment_variables=bad(7))
    assert job.summary.inputs.failed == job.summary.mini_batches.failed == 1
    assert job.summary.retries == 2
    assert len(job.rows()) == 19


def test_retries__succeed_without_a_trace_in_the_rows(run_job: Any) -> None:
    job = run_job(
        """
        import os
        def run(batch):
            if os.environ["SPARKSCORE_ATTEMPT"] != "3":
                raise OSError("not yet")
            return [os.environ["SPARKSCORE_MINI_BATCH_ID"] for _ in batch]
        """,
        6,
        max_retries=3,
    )
    assert job.summary.status == "Completed"
    assert (job.summary.retries, job.summary.mini_batches.failed) == (6, 0)
    assert job.predictions() == ["0", "0", "1", "1", "2", "2"]


def test_ledger__has_each_mini_batch_once_and_adds_up(run_job: Any) -> None:
    job = run_job(FAILING, 50, max_retries=1, environment_variables=bad(3, 20))
    ledger = pq.read_table(job.folder / "ledger" / "outcomes.parquet").to_pylist()
    assert sorted(row["mini_batch_id"] for row in ledger) == list(range(25))
    assert sum(row["succeeded"] for row in ledger) == job.summary.inputs.succeeded == 48
    assert sum(row["rows"] for row in ledger) == job.summary.rows == 48
    (first,) = [row for row in ledger if row["mini_batch_id"] == 1]
    assert (first["status"], first["condition"]) == ("failed", "SCRIPT_RAISED")
    assert "ValueError" in first["traceback"]
    assert json.loads(first["failures"]) == [
        {"path": "0003.txt", "condition": "SCRIPT_RAISED", "count": 1}
    ]


def test_summary__names_the_first_distinct_errors_with_counts(run_job: Any) -> None:
    job = run_job(
        """
        import os
        def run(batch):
            number = int(os.path.basename(batch[0])[:4])
            if number < 3:
                raise ValueError("first kind")
            if number == 5:
                raise KeyError("second kind")
            return batch
        """,
        10,
        mini_batch_size=1,
        max_retries=0,
    )
    assert [(error["message"], error["count"]) for error in job.summary.errors] == [
        ("ValueError: first kind", 3),
        ("KeyError: 'second kind'", 1),
    ]


def test_session__is_left_running_and_usable(run_job: Any, spark: Any) -> None:
    assert run_job(NAMES).summary.status == "Completed"
    assert spark.range(3).count() == 3


def test_job_folder__holds_what_it_promises(run_job: Any) -> None:
    job = run_job(NAMES)
    summary = json.loads((job.folder / "summary.json").read_text())
    assert summary["inputs"] == {"total": 8, "succeeded": 8, "failed": 0}
    assert list(summary["seconds"]) == ["start", "plan", "score", "publish", "total"]
    status = json.loads((job.folder / "status.json").read_text())
    assert (status["status"], status["inputs_succeeded"]) == ("Completed", 8)
    assert [event["details"]["status"] for event in job.events("status")] == [
        "Running",
        "Finalizing",
        "Completed",
    ]
    assert not (job.folder / "staging").exists()
    assert (job.folder / "failed_inputs.csv").read_text().count("\n") == 1


def test_keep_staging__leaves_the_staged_rows(run_job: Any) -> None:
    job = run_job(NAMES, job={"keep_staging": True})
    assert (job.folder / "staging" / "wave-00000.1" / "_committed.json").exists()
