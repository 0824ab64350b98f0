"""``job resume``, ``retry-failed``, ``errors`` and ``logs --mini-batch`` as users see them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sparkscore.messages.input_list import read_input_list
from tests.cli.conftest import Run, RunCli
from tests.cli.test_verbs import wait_for_end


def invoke(run: Run, endpoint: str, name: str) -> str:
    """Runs a job; gives the status with which it ends."""
    run(f"batch-endpoint invoke -n {endpoint} --input in --job-name {name}")
    return wait_for_end(run, name)


@pytest.fixture
def partly_failed(run: Run, endpoint: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """A completed job with three failed inputs, one of them without a name."""
    monkeypatch.setenv("FAKE_DRIVER", "fail_inputs")
    assert invoke(run, endpoint, "first") == "Completed"
    monkeypatch.setenv("FAKE_DRIVER", "complete")
    return "first"


def test_resume__failed_job(
    run: Run, run_cli: RunCli, endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_DRIVER", "fail")
    assert invoke(run, endpoint, "early") == "Failed"
    answer = run_cli("job", "retry-failed", "-n", "early")
    assert answer.err.startswith("sparkscore: NO_FAILED_INPUTS: ")
    assert "sparkscore job resume -n early" in answer.err
    refused = run_cli("job", "resume", "-n", "early", "--set", "mini_batch_size=3")
    assert (refused.exit_code, refused.out) == (2, "")
    assert refused.err.startswith("sparkscore: NOT_RESUMABLE: ")
    monkeypatch.setenv("FAKE_DRIVER", "complete")
    changes = "--set error_threshold=3 timeout=9 --conf spark.a=1 --compute local[2]"
    assert run(f"job resume -n early {changes} --query status -o tsv") == "Queued"
    assert wait_for_end(run, "early") == "Completed"
    job = json.loads(run("job show -n early"))
    assert [run["condition"] for run in job["earlier_runs"]] == ["ERROR_THRESHOLD_EXCEEDED"]
    assert job["deployment"]["settings"]["retry_settings"]["timeout"] == 9
    launch = json.loads((Path(job["job_folder"]) / "launch.json").read_text())
    assert (launch["master"], launch["spark_conf"]["spark.a"]) == ("local[2]", "1")
    answer = run_cli("job", "resume", "-n", "early")
    assert answer.exit_code == 5
    assert answer.err.startswith("sparkscore: JOB_COMPLETED: ")


def test_retry_failed__links_both_jobs_and_says_what_it_leaves_out(
    run: Run, run_cli: RunCli, partly_failed: str
) -> None:
    line = f"job retry-failed -n {partly_failed} --job-name second --set error_threshold=1"
    answer = run_cli(*line.split())
    assert answer.exit_code == 0, answer.err
    job = json.loads(answer.out)
    assert (job["name"], job["retry_of"]) == ("second", "first")
    assert job["inputs"]["input"]["unnamed_left_out"] == 1
    assert answer.err.splitlines()[-2:] == [
        "job second scores 2 failed inputs of job first",
        "left out: 1 failed input without a name (SHORT_RESULT)",
    ]
    paths = read_input_list(Path(job["job_folder"]) / "inputs.jsonl")
    assert paths == ["3.txt", "5.txt"]
    assert run("job show -n first --query retried_by[0] -o tsv") == "second"
    assert json.loads(run_cli(*line.split()).out)["name"] == "second"
    assert wait_for_end(run, "second") == "Completed"
    assert run("job list --query [].name -o tsv") == "second\nfirst"


def test_errors__text_data_and_table(run: Run, partly_failed: str) -> None:
    text = run(f"job errors -n {partly_failed}")
    assert text.splitlines()[:5] == [
        "job first: Completed",
        "inputs 8: 5 succeeded, 3 failed",
        "",
        "2 inputs: SCRIPT_RAISED",
        "  for example: ValueError: 3 is odd",
    ]
    assert max(map(len, text.splitlines()[:-2])) <= 80
    assert text.splitlines()[-1].endswith("sparkscore job retry-failed -n first")
    assert run(f"job errors -n {partly_failed} --query groups[].count -o tsv") == "2\n1"
    content = json.loads(run(f"job errors -n {partly_failed} -o json"))
    assert content["groups"][1]["samples"][0]["is_named"] is False
    folder = content["job_folder"]
    assert json.loads(run(f"job errors --folder {folder} -o json"))["groups"] == content["groups"]
    table = run(f"job errors -n {partly_failed} -o table").splitlines()
    assert table[0].split() == ["Inputs", "Condition", "Message", "Script", "line", "Attempts"]
    assert len(table) == 4


@pytest.mark.parametrize(
    ("flags", "condition"),
    [
        ((), "NAME_NEEDED"),
        (("-n", "a", "--folder", "b"), "CONFLICTING_FLAGS"),
        (("--folder", "nowhere"), "JOB_FOLDER_NOT_FOUND"),
        (("-n", "nobody"), "JOB_NOT_FOUND"),
    ],
)
def test_errors__wrong_flags(
    run_cli: RunCli, place: Path, flags: tuple[str, ...], condition: str
) -> None:
    answer = run_cli("job", "errors", *flags)
    assert answer.out == ""
    assert answer.err.startswith(f"sparkscore: {condition}: ")


def test_logs__of_one_mini_batch(run: Run, run_cli: RunCli, partly_failed: str) -> None:
    folder = Path(json.loads(run(f"job show -n {partly_failed}"))["job_folder"])
    (folder / "logs" / "user").mkdir()
    (folder / "logs" / "user" / "a.txt").write_text("[mb 000001 try 1] odd\n[mb 000002 try 1] x\n")
    lines = run(f"job logs -n {partly_failed} --mini-batch 1 --follow").splitlines()
    assert lines == ["==> logs/user/a.txt <==", "[mb 000001 try 1] odd"]
    answer = run_cli("job", "logs", "-n", partly_failed, "--mini-batch", "3")
    assert (answer.exit_code, answer.out) == (0, "")
    assert answer.err == "the script said nothing of mini-batch 3\n"
    answer = run_cli("job", "logs", "-n", partly_failed, "--mini-batch", "4")
    assert answer.err.startswith("sparkscore: MINI_BATCH_NOT_FOUND: ")
