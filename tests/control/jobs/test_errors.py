"""``Jobs.errors`` and the log lines of one mini-batch, from the files of real job folders."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sparkscore.cli.render_errors import render_errors
from sparkscore.control.jobs.errors import read_errors
from sparkscore.control.jobs.processes import get_own_identity
from sparkscore.control.workspace import Workspace
from sparkscore.driver.account import JobAccount
from sparkscore.driver.job_folder import JobFolder
from sparkscore.errors import MessageError, NotFoundError, StateError
from sparkscore.messages.outcome import (
    FAILED,
    SUCCEEDED,
    FailedInput,
    MiniBatchOutcome,
    ScoringFailure,
)
from sparkscore.state import JobRecord
from tests.control.jobs.conftest import AddJob, make_record

TRACEBACK = '  File "score.py", line 9, in run\n    raise ValueError(value)\n'
CRASH = (
    "the scoring code was ended by SIGSEGV (signal 11): native code, such as an extension of "
    "Python, touched memory that is not its own"
)
INIT_ERROR = {
    "condition": "INIT_FAILED",
    "message": "init() failed three times in a row",
    "traceback": "Traceback\n  no weights",
    "exit_code": 4,
}
COUNTS = {"total": 20, "succeeded": 13, "failed": 7}


def make_outcome(number: int, failures: tuple[FailedInput, ...], **fields: Any) -> MiniBatchOutcome:
    failed = sum(failure.count for failure in failures)
    values: dict[str, Any] = {"attempts": 4, "retries": 3, "started_at": 0.0, "seconds": 0.5}
    status = FAILED if failed else SUCCEEDED
    return MiniBatchOutcome(
        number,
        status,
        4,
        failed,
        4 - failed,
        host=f"node-{number % 2}",
        process=70 + number,
        failures=failures,
        **{**values, **fields},
    )


def raised(number: int, *paths: str) -> MiniBatchOutcome:
    """A mini-batch whose inputs of these paths made the script raise."""
    message = f"ValueError: row {number}"
    failures = tuple(
        FailedInput(path, "SCRIPT_RAISED", message, 1, (), 4, "score.py:9", 70) for path in paths
    )
    error = ScoringFailure(
        "SCRIPT_RAISED",
        message,
        "whole",
        script_line="score.py:9",
        script_traceback=TRACEBACK,
    )
    return make_outcome(number, failures, error=error)


OUTCOMES = (
    raised(1, "a/1.txt", "a/2.txt"),
    make_outcome(2, ()),
    raised(3, "b/1.txt", "b/2.txt"),
    make_outcome(
        4, (FailedInput("", "SHORT_RESULT", "run() returned 2 results for 4 inputs", 2, ("c",)),)
    ),
    make_outcome(5, (FailedInput("d", "SCRIPT_CRASHED", CRASH, 1, (), 1, "", 75),)),
)

AddWithErrors = Callable[..., JobRecord]


@pytest.fixture
def add_failed(workspace: Workspace, add_job: AddJob) -> AddWithErrors:
    """Adds an ended job with OUTCOMES in its account."""

    def add(**fields: Any) -> JobRecord:
        summary = {
            "job": "job",
            "status": "Failed",
            "inputs": COUNTS,
            "unprocessed_inputs": 0,
            "mini_batches": {"total": 6, "succeeded": 2, "failed": 4},
            "errors": [{"condition": "X", "message": "first", "count": 7, "path": "a/1.txt"}],
        }
        record = add_job(**{"status": "Failed", "summary": summary, **fields})
        folder = JobFolder(record.folder)
        folder.make()
        account = JobAccount(folder)
        account.add(OUTCOMES)
        account.close()
        return record

    return add


def test_errors__largest_kind_first_with_what_the_ledger_knows(
    workspace: Workspace, add_failed: AddWithErrors
) -> None:
    add_failed(error=INIT_ERROR)
    errors = workspace.jobs.errors("job")
    assert [(group.count, group.condition) for group in errors.groups] == [
        (4, "SCRIPT_RAISED"),
        (2, "SHORT_RESULT"),
        (1, "SCRIPT_CRASHED"),
    ]
    first = errors.groups[0]
    assert (first.message, first.script_line, first.attempts) == (
        *("ValueError: row <n>", "score.py:9", 4),
    )
    assert first.script_traceback == TRACEBACK
    assert first.hosts == ("node-1",)
    assert [sample["path"] for sample in first.samples] == [
        *("a/1.txt", "a/2.txt", "b/1.txt", "b/2.txt"),
    ]
    assert errors.groups[1].samples[0]["path"] == "c"
    assert errors.input_counts == {**COUNTS, "unprocessed": 0}
    content = json.loads(json.dumps(errors.to_dict()))
    assert content["groups"][0]["samples"][0]["mini_batch_id"] == "1"
    assert content["error"] == INIT_ERROR


def test_errors__as_text(workspace: Workspace, add_failed: AddWithErrors) -> None:
    record = add_failed(error=INIT_ERROR)
    text = render_errors(workspace.jobs.errors("job"), width=80, in_workspace=True)
    assert text.splitlines() == [
        "job job: Failed",
        "INIT_FAILED: init() failed three times in a row",
        "  | Traceback",
        "  |   no weights",
        "inputs 20: 13 succeeded, 7 failed",
        "",
        "4 inputs: SCRIPT_RAISED",
        "  for example: ValueError: row 1",
        "  at score.py:9, after up to 4 attempts, on node-1",
        '  |   File "score.py", line 9, in run',
        "  |     raise ValueError(value)",
        "  a/1.txt (mini-batch 1, process 70)",
        "  a/2.txt (mini-batch 1, process 70)",
        "  b/1.txt (mini-batch 3, process 70)",
        "  and 1 more",
        "  logs: sparkscore job logs -n job --mini-batch 1",
        "",
        "2 inputs: SHORT_RESULT",
        "  for example: run() returned 2 results for 4 inputs",
        "  on node-0",
        "  not named: c or another one of its mini-batch (mini-batch 4)",
        "  and 1 more",
        "  logs: sparkscore job logs -n job --mini-batch 4",
        "",
        "1 input: SCRIPT_CRASHED",
        "  the scoring code was ended by SIGSEGV (signal 11): native code, such as an",
        "  extension of Python, touched memory that is not its own",
        "  after 1 attempt, on node-1",
        "  d (mini-batch 5, process 75)",
        "  logs: sparkscore job logs -n job --mini-batch 5",
        "",
        f"every failed input: {record.folder}/failed_inputs.csv",
        "go on where it was: sparkscore job resume -n job",
    ]


def test_errors__of_a_job_without_any(workspace: Workspace, add_job: AddJob) -> None:
    add_job()
    workspace.jobs.start("job").wait(60)
    errors = workspace.jobs.errors("job")
    assert (errors.status, errors.error, errors.groups) == ("Completed", None, ())
    text = render_errors(errors, width=80, in_workspace=True)
    assert text.splitlines()[-1] == "no input has failed"


def test_errors__while_the_job_runs(workspace: Workspace, add_failed: AddWithErrors) -> None:
    """The ledger has no end yet, and the last line of the CSV file is torn."""
    own = get_own_identity()
    record = add_failed(status="Running", summary=None, launcher=own, driver=own)
    folder = Path(record.folder)
    ledger = folder / "ledger" / "outcomes.parquet"
    ledger.write_bytes(ledger.read_bytes()[:-9])
    with open(folder / "failed_inputs.csv", "a") as file:
        file.write('e.txt,6,SCRIPT_RAISED,"ValueE')
    status = {"job": "job", "status": "Running", "sequence": 3, "inputs": 40}
    counts = {"inputs_succeeded": 13, "inputs_failed": 7, "heartbeat_at": 0.0, "started_at": 0.0}
    (folder / "status.json").write_text(json.dumps({"protocol": 1, **status, **counts}))
    errors = workspace.jobs.errors("job")
    assert sum(group.count for group in errors.groups) == 7
    assert errors.groups[0].script_line == "score.py:9"
    assert errors.input_counts == {**COUNTS, "total": 40, "unprocessed": 20}


def test_errors__ledger_that_is_damaged(workspace: Workspace, add_failed: AddWithErrors) -> None:
    ledger = Path(add_failed().folder) / "ledger" / "outcomes.parquet"
    content = ledger.read_bytes()
    ledger.write_bytes(content[:4] + bytes(len(content) - 8) + content[-4:])
    with pytest.raises(MessageError):
        workspace.jobs.errors("job")


def test_errors__folder_that_was_pruned(workspace: Workspace) -> None:
    summary = {
        "inputs": COUNTS,
        "errors": [{"condition": "X", "message": "first", "count": 7, "path": "a/1.txt"}],
    }
    folder = str(workspace.jobs.get_local_folder("job"))
    with workspace.store.writing() as writer:
        writer.add_job(make_record(status="Completed", summary=summary, folder=folder))
    (group,) = workspace.jobs.errors("job").groups
    assert (group.count, group.condition, group.message) == (7, "X", "first")


def test_read_errors__of_a_folder(workspace: Workspace, add_failed: AddWithErrors) -> None:
    folder = Path(add_failed().folder)
    assert read_errors(folder).status == "NotStarted"
    summary = {"job": "job", "status": "Failed", "inputs": COUNTS, "unprocessed_inputs": 0}
    error = {"condition": "X", "message": "m", "exit_code": 4}
    (folder / "summary.json").write_text(json.dumps({"protocol": 1, **summary, "error": error}))
    errors = read_errors(folder)
    assert errors.groups == workspace.jobs.errors("job").groups
    assert (errors.status, errors.error) == ("Failed", error)
    with pytest.raises(NotFoundError) as caught:
        read_errors(folder / "nowhere")
    assert caught.value.condition == "JOB_FOLDER_NOT_FOUND"


def test_iter_logs__of_one_mini_batch(workspace: Workspace, add_failed: AddWithErrors) -> None:
    logs = Path(add_failed().folder) / "logs"
    texts = {
        "driver.log": "[mb 000003 try 1] no mark of ours\n",
        "user/stdout/node/w.stdout.txt": (
            "[init] x\n[mb 000003 try 1] a\n[mb 000004 try 1] b\n[mb 000003 try 2] c"
        ),
        "user/stderr/node/w.stderr.txt": "[mb 000030 try 1] d\n",
    }
    for name, text in texts.items():
        (logs / name).parent.mkdir(parents=True, exist_ok=True)
        (logs / name).write_text(text)
    assert list(workspace.jobs.iter_logs("job", mini_batch=3)) == [
        "==> logs/user/stdout/node/w.stdout.txt <==",
        "[mb 000003 try 1] a",
        "[mb 000003 try 2] c",
    ]
    assert list(workspace.jobs.iter_logs("job", mini_batch=5)) == []
    with pytest.raises(StateError) as caught:
        list(workspace.jobs.iter_logs("job", mini_batch=6))
    assert caught.value.condition == "MINI_BATCH_NOT_FOUND"
