"""``batch-deployment run`` as users see it, with a real process in the driver's place."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.cli.conftest import Answer, StartCli
from tests.control.samples import list_files, write_deployment


def get_flags(tmp_path: Path, *more: str) -> list[str]:
    file = write_deployment(tmp_path / "deployment")
    job_folder = tmp_path / "job"
    given = ["--file", str(file), "--input", str(file.parent / "in")]
    return ["batch-deployment", "run", *given, "--job-folder", str(job_folder), *more]


def finish(process: subprocess.Popen[str]) -> Answer:
    out, err = process.communicate(timeout=60)
    return Answer(process.returncode, out, err)


def test_run__completes(start_cli: StartCli, tmp_path: Path) -> None:
    answer = finish(start_cli(*get_flags(tmp_path), behaviour="complete"))
    assert answer.exit_code == 0
    lines = answer.err.splitlines()
    assert lines[0].startswith("job job runs locally (compute azureml:cpu-cluster is recorded")
    assert "Running: 2/4 mini-batches, 4/8 inputs, 0 failed, 0.0 inputs/s" in lines
    rows = [line.split(maxsplit=1) for line in answer.out.splitlines()]
    assert ["job", "job: Completed"] in rows
    assert ["output", "out/predictions.csv (csv, 8 rows)"] in rows
    assert ["inputs", "8: 8 succeeded, 0 failed"] in rows


def test_run__json_is_the_summary_and_nothing_else(start_cli: StartCli, tmp_path: Path) -> None:
    answer = finish(start_cli(*get_flags(tmp_path, "-o", "json"), behaviour="complete"))
    assert answer.exit_code == 0
    assert answer.out.rstrip() == (tmp_path / "job" / "summary.json").read_text().rstrip()
    assert json.loads(answer.out)["status"] == "Completed"
    assert answer.out.startswith("{\n")
    assert "{" not in answer.err


def test_run__failed_job(start_cli: StartCli, tmp_path: Path) -> None:
    answer = finish(start_cli(*get_flags(tmp_path, "-o", "json"), behaviour="fail"))
    assert answer.exit_code == 4
    assert json.loads(answer.out)["status"] == "Failed"
    last = answer.err.splitlines()[-1]
    assert last == "sparkscore: ERROR_THRESHOLD_EXCEEDED: too many"


def test_run__driver_gone(start_cli: StartCli, tmp_path: Path) -> None:
    answer = finish(start_cli(*get_flags(tmp_path), behaviour="die"))
    assert (answer.exit_code, answer.out) == (3, "")
    lines = answer.err.splitlines()
    assert lines[-3].startswith("sparkscore: DRIVER_DIED: the driver ended with exit code 1")
    assert lines[-2:] == ["  | loading", "  | MemoryError: all of it"]


@pytest.mark.parametrize(("number", "exit_code"), [(signal.SIGINT, 130), (signal.SIGTERM, 6)])
def test_run__signal_cancels_the_job(
    start_cli: StartCli, tmp_path: Path, number: int, exit_code: int
) -> None:
    process = start_cli(*get_flags(tmp_path), behaviour="wait")
    wait_for_status(tmp_path / "job", "Running")
    process.send_signal(number)
    answer = finish(process)
    assert answer.exit_code == exit_code
    assert "Canceled" in answer.out
    assert json.loads((tmp_path / "job" / "summary.json").read_text())["status"] == "Canceled"


def test_run__second_signal_kills_the_driver(start_cli: StartCli, tmp_path: Path) -> None:
    process = start_cli(*get_flags(tmp_path), behaviour="resist")
    wait_for_status(tmp_path / "job", "Running")
    process.send_signal(signal.SIGINT)
    time.sleep(0.5)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    answer = finish(process)
    assert answer.exit_code == 130
    assert "sparkscore: CANCELED: " in answer.err


def test_run__several_values_after_set(start_cli: StartCli, tmp_path: Path) -> None:
    flags = get_flags(tmp_path, "--set", "mini_batch_size=3", "error_threshold=-1", "--limit", "4")
    flags += ["--include", "*.txt", "*.md", "--exclude", "9*"]
    assert finish(start_cli(*flags, behaviour="complete")).exit_code == 0
    launch = json.loads((tmp_path / "job" / "launch.json").read_text())
    assert launch["scoring"]["mini_batch_size"] == 3
    assert launch["input"]["limit"] == 4
    assert launch["input"]["include"] == ["*.txt", "*.md"]
    assert launch["input"]["exclude"] == ["9*"]


def test_run__output_path_holds_no_files_of_the_job(start_cli: StartCli, tmp_path: Path) -> None:
    flags = get_flags(tmp_path, "--output-path", str(tmp_path / "out"))
    assert finish(start_cli(*flags, behaviour="complete")).exit_code == 0
    assert not (tmp_path / "out").exists()
    assert "summary.json" in list_files(tmp_path / "job")


def wait_for_status(job_folder: Path, status: str) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            if json.loads((job_folder / "status.json").read_text())["status"] == status:
                return
        except FileNotFoundError:
            pass
        time.sleep(0.05)
    pytest.fail(f"the job never was {status}")
