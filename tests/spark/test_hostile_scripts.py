"""User code cannot hurt the job: one job in which inputs do the worst they can."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import psutil
import pytest

SCRIPT = """
import ctypes, os, signal, subprocess, sys, time

def act(kind):
    if kind == "raise":
        raise ValueError("bad input")
    if kind == "hang":
        signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))
        ctypes.CDLL(None).sleep(600)
    if kind == "segfault":
        ctypes.string_at(0)
    if kind == "exit0":
        os._exit(0)
    if kind == "sysexit":
        sys.exit(1)
    if kind == "oom":
        os.kill(os.getpid(), signal.SIGKILL)
    if kind == "flood":
        for _ in range(100):
            print("x" * (1 << 20))
    if kind == "fd1":
        os.write(1, b"straight to descriptor 1\\n")
    if kind == "stdin":
        os.close(0)
    if kind == "children":
        child = [sys.executable, "-c", "import time; time.sleep(600)"]
        pid = subprocess.Popen(child, start_new_session=True).pid
        with open(os.path.join(os.environ["PIDS"], str(pid)), "w"):
            pass

def run(batch):
    rows = []
    for path in batch:
        with open(path) as file:
            kind = file.read()
        act(kind)
        if kind == "none":
            return None
        if kind == "generator":
            return (row for row in rows)
        if kind == "number":
            return 7
        rows.append({"file": os.path.basename(path), "kind": kind})
    return rows
"""

FATAL = {
    "raise": "SCRIPT_RAISED",
    "hang": "SCRIPT_TIMEOUT",
    "segfault": "SCRIPT_CRASHED",
    "exit0": "SCRIPT_CRASHED",
    "sysexit": "SCRIPT_RAISED",
    "oom": "SCRIPT_CRASHED",
    "none": "INVALID_RESULT_TYPE",
    "generator": "INVALID_RESULT_TYPE",
    "number": "INVALID_RESULT_TYPE",
}
HARMLESS = ["flood", "fd1", "stdin", "children", "fine"]


@pytest.fixture(scope="module")
def pids(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("pids")


def test_hostile_scripts__cost_their_own_inputs_only(run_job: Any, pids: Path) -> None:
    kinds = [*FATAL, *HARMLESS]
    texts = {f"{n:03d}-{kind}.txt": kind for n, kind in enumerate(kinds)}
    texts |= {f"9{n:02d}-fine.txt": "fine" for n in range(14)}
    job = run_job(
        SCRIPT,
        texts,
        mini_batch_size=3,
        max_retries=1,
        timeout_seconds=3,
        environment_variables={"PIDS": str(pids)},
    )
    summary = job.summary
    assert summary.status == "Completed"
    assert (summary.inputs.total, summary.inputs.failed) == (len(texts), len(FATAL))
    assert {row["path"]: row["condition"] for row in job.failed_inputs()} == {
        path: FATAL[kind] for path, kind in texts.items() if kind in FATAL
    }
    expected = [(path, kind) for path, kind in texts.items() if kind not in FATAL]
    assert [(row["file"], row["kind"]) for row in job.rows()] == sorted(expected)
    assert summary.rows == len(expected)
    assert summary.mini_batches.failed == 3
    assert summary.retries == 3
    assert not any(Path(f"/proc/{pid}/cmdline").exists() for pid in _left(pids))
    logs = list((job.folder / "logs").rglob("*stdout.txt"))
    assert logs
    assert all(log.stat().st_size < 12 << 20 for log in logs)


def _left(pids: Path) -> list[str]:
    """Children of hosts that were killed since; the last host of a worker still stands."""
    return [
        pid
        for pid in os.listdir(pids)
        if psutil.pid_exists(int(pid)) and not _guarded(psutil.Process(int(pid)))
    ]


def _guarded(process: psutil.Process) -> bool:
    """Whether a living guard still answers for the process."""
    return any("guard" in " ".join(parent.cmdline()) for parent in process.parents())


NESTED = """
import os
import numpy as np
VALUES = {"nan": float("nan"), "text": "a,b \\"q\\"", "list": [1, {"a": None}], "int": 3,
          "tuple": (1, 2), "array": np.arange(3), "none": None, "bytes": b"x", "float": 2.5}
def run(batch):
    return [VALUES[open(path).read()] for path in batch]
"""


def test_results__mixed_nested_and_missing_values_keep_every_row(run_job: Any) -> None:
    kinds = ["nan", "text", "list", "int", "tuple", "array", "none", "float"]
    job = run_job(NESTED, {f"{n}.txt": kind for n, kind in enumerate(kinds)}, mini_batch_size=1)
    assert job.summary.inputs.failed == 0
    assert job.predictions() == [
        "", 'a,b "q"', '[1, {"a": null}]', "3", "[1, 2]", "[0, 1, 2]", "", "2.5",
    ]  # fmt: skip


CHANGING = """
import os
import pandas as pd
def run(batch):
    number = int(os.path.basename(batch[0])[:4])
    value = "text" if number == 30 else number / 2 if number == 31 else number
    extra = {"extra": [1]} if number == 32 else {}
    return pd.DataFrame({"file": [os.path.basename(batch[0])], "value": [value], **extra})
"""


def test_results__column_of_another_type_fails_its_input_by_name(run_job: Any) -> None:
    job = run_job(CHANGING, 40, mini_batch_size=1, max_retries=0)
    failed = {row["path"]: row for row in job.failed_inputs()}
    assert set(failed) == {"0030.txt", "0031.txt", "0032.txt"}
    assert {row["condition"] for row in failed.values()} == {"RESULT_SCHEMA_MISMATCH"}
    assert "value" in failed["0030.txt"]["message"]
    assert "extra" in failed["0032.txt"]["message"]
    assert [row["value"] for row in job.rows()] == [
        str(n) for n in range(40) if n not in (30, 31, 32)
    ]


def test_results__wrong_length_keeps_rows_and_counts_the_difference(run_job: Any) -> None:
    job = run_job(
        """
        import os
        def run(batch):
            names = [os.path.basename(path) for path in batch]
            if names[0] == "0000.txt":
                return names[1:]
            return names + ["extra"] if names[0] == "0004.txt" else names
        """,
        8,
        mini_batch_size=4,
    )
    assert (job.summary.inputs.succeeded, job.summary.inputs.failed) == (7, 1)
    assert job.summary.mini_batches.failed == job.summary.retries == 0
    (failed,) = job.failed_inputs()
    assert (failed["path"], failed["condition"]) == ("0000.txt", "SHORT_RESULT")
    assert job.predictions() == [f"{n:04d}.txt" for n in range(1, 8)] + ["extra"]
