"""``batch-deployment run --resume`` as users see it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import RunCli, StartCli
from tests.cli.test_run import finish, get_flags

RESUME = ("batch-deployment", "run", "--resume")


def test_resume__of_a_failed_job(start_cli: StartCli, tmp_path: Path) -> None:
    assert finish(start_cli(*get_flags(tmp_path), behaviour="fail")).exit_code == 4
    folder = str(tmp_path / "job")
    flags = ("--set", "error_threshold=-1", "--conf", "spark.a=1", "--compute", "local[2]")
    answer = finish(start_cli(*RESUME, folder, *flags, behaviour="complete"))
    assert answer.exit_code == 0, answer.err
    assert answer.err.startswith(f"job job goes on in {folder}")
    launch = json.loads((tmp_path / "job" / "launch.json").read_text())
    assert launch["scoring"]["error_threshold"] == -1
    assert (launch["spark_conf"], launch["master"]) == ({"spark.a": "1"}, "local[2]")

    answer = finish(start_cli(*RESUME, folder, behaviour="fail"))
    assert answer.exit_code == 0
    assert "job job has completed: nothing to resume" in answer.err
    assert "job: Completed" in answer.out


def test_resume__of_a_killed_job(start_cli: StartCli, tmp_path: Path) -> None:
    killed = finish(start_cli(*get_flags(tmp_path), behaviour="kill_itself"))
    assert killed.exit_code == 3
    answer = finish(start_cli(*RESUME, str(tmp_path / "job"), "-o", "json", behaviour="complete"))
    assert answer.exit_code == 0, answer.err
    assert json.loads(answer.out)["status"] == "Completed"


def test_resume__beside_another_driver(start_cli: StartCli, tmp_path: Path) -> None:
    answer = finish(start_cli(*get_flags(tmp_path), behaviour="find_lease_held"))
    assert answer.exit_code == 5
    assert answer.err.splitlines()[-1] == "sparkscore: LEASE_HELD: process 7 runs the job"


@pytest.mark.parametrize(
    "flags",
    [
        *(("--file", "x"), ("--input", "x"), ("--output-path", "x"), ("--job-folder", "x")),
        *(("--limit", "1"), ("--mini-batch-size", "1"), ("--plan",)),
    ],
)
def test_resume__takes_no_other_flags(run_cli: RunCli, flags: tuple[str, ...]) -> None:
    answer = run_cli(*RESUME, "folder", *flags)
    assert answer.exit_code == 2
    assert answer.err.startswith("sparkscore: CONFLICTING_FLAGS: ")


@pytest.mark.parametrize(
    ("flags", "condition"),
    [((), "FILE_NEEDED"), (("--file", "deployment.yml"), "INPUT_NEEDED")],
)
def test_run__without_what_it_needs(
    run_cli: RunCli, flags: tuple[str, ...], condition: str
) -> None:
    answer = run_cli("batch-deployment", "run", *flags)
    assert (answer.exit_code, answer.out) == (2, "")
    assert answer.err.startswith(f"sparkscore: {condition}: ")


def test_resume__no_job_folder(run_cli: RunCli, tmp_path: Path) -> None:
    answer = run_cli(*RESUME, str(tmp_path))
    assert answer.exit_code == 5
    assert answer.err.startswith("sparkscore: JOB_FOLDER_NOT_FOUND: ")
