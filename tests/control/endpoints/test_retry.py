"""Jobs that score what failed in an earlier one. Folders are real, no driver is started."""

from __future__ import annotations

import csv
import dataclasses
import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from sparkscore.control.endpoints.invoke import make_job
from sparkscore.control.endpoints.request import InvokeRequest
from sparkscore.control.endpoints.retry import describe_retry
from sparkscore.control.workspace import Workspace
from sparkscore.errors import MessageError, SparkscoreError
from sparkscore.messages.input_list import read_input_list
from sparkscore.plan.scoring_plan import plan_scoring, write_plan
from sparkscore.state import JobRecord
from tests.control.endpoints.samples import deployment, make_endpoint
from tests.control.endpoints.test_invoke import make, read_launch

Ended = Callable[..., JobRecord]
HEADER = ("path", "mini_batch_id", "condition", "message", "count", "candidates")


def get_record(workspace: Workspace, name: str) -> JobRecord:
    with workspace.store.reading() as reader:
        return reader.get_job(name)


@pytest.fixture
def ended(workspace: Workspace, place: Path) -> Ended:
    """Makes a job that has ended with these failed inputs; a number stands for unnamed ones."""
    make_endpoint(workspace, "mood-v1", "mood-v2")

    def end(*failed: str | int, unprocessed: int = 0, **fields: Any) -> JobRecord:
        record = make(workspace, job_name="first", input=fields.pop("input", "in"))
        folder = Path(record.folder)
        root = str(place / "in")
        names = [f"{number}.txt" for number in range(8)]
        files = pa.table({"path": names, "size": [1] * 8, "etag": ["e"] * 8})
        plan = plan_scoring(files, mini_batch_size=2, root=root, transport="direct", slots=1)
        write_plan(plan, str(folder))
        with open(folder / "failed_inputs.csv", "w", encoding="utf-8", newline="") as file:
            lines = csv.writer(file)
            lines.writerow(HEADER)
            for name in failed:
                if isinstance(name, int):
                    lines.writerow(("", 0, "SHORT_RESULT", "", name, json.dumps(["0.txt"])))
                else:
                    lines.writerow((name, 0, "SCRIPT_RAISED", 'a, "b"\nc', 1, ""))
        count = sum(name if isinstance(name, int) else 1 for name in failed)
        summary = {
            "job": "first",
            "status": "Completed",
            "inputs": {"total": 8, "succeeded": 8 - count - unprocessed, "failed": count},
            "unprocessed_inputs": unprocessed,
        }
        with workspace.store.writing() as writer:
            stored = writer.get_job("first")
            changes = {"status": "Completed", "summary": summary, **fields}
            return writer.update_job(dataclasses.replace(stored, **changes))

    return end


def retry(workspace: Workspace, **fields: Any) -> JobRecord:
    """The job that retries ``first`` and waits for its launcher."""
    fields = {"deployment_name": "mood-v1", **fields}
    request = InvokeRequest(retry_of="first", **fields)
    return get_record(workspace, make_job(workspace, "mood", request))


def test_retry__scores_exactly_the_failed_inputs(
    workspace: Workspace, ended: Ended, place: Path
) -> None:
    first = ended("5.txt", "a/new\nline.txt", "2.txt", 3, unprocessed=1)
    record = retry(workspace, deployment_name="mood-v2", overrides=("error_threshold=5",))
    launch = read_launch(record)
    assert launch["input"] == {
        **read_launch(first)["input"],
        "uri": str(place / "in"),
        "list_file": "inputs.jsonl",
    }
    paths = read_input_list(Path(record.folder) / "inputs.jsonl")
    assert paths == ["5.txt", "a/new\nline.txt", "2.txt"]
    assert (record.deployment_name, record.retry_of) == ("mood-v2", "first")
    assert launch["scoring"]["error_threshold"] == 5
    assert launch["output"]["path"] != read_launch(first)["output"]["path"]
    assert record.inputs["input"] == {
        **first.inputs["input"],
        "failed_inputs_of": "first",
        "count": 3,
        "unnamed_left_out": 3,
        "unprocessed_left_out": 1,
    }
    job = workspace.jobs.get(record.name)
    assert job.to_dict()["retry_of"] == "first"
    assert workspace.jobs.get("first").to_dict()["retried_by"] == [record.name]
    assert [len(job.retried_by) for job in workspace.jobs.list()] == [0, 1]
    lines = describe_retry(job)
    assert len(lines) == 3
    assert "SHORT_RESULT" in lines[1]
    assert "sparkscore job resume -n first" in lines[2]


def test_retry__input_of_a_glob_keeps_its_root(workspace: Workspace, ended: Ended) -> None:
    first = ended("5.txt", input="in/?.txt")
    record = retry(workspace)
    assert read_launch(record)["input"]["uri"] == str(
        Path(read_launch(first)["input"]["uri"]).parent
    )


def test_retry__gone_inputs_are_no_reason_to_refuse(
    workspace: Workspace, ended: Ended, place: Path
) -> None:
    ended("5.txt")
    for file in (place / "in").iterdir():
        file.unlink()
    assert retry(workspace).retry_of == "first"


def test_retry__same_name_again_is_the_same_job(workspace: Workspace, ended: Ended) -> None:
    ended("5.txt")
    record = retry(workspace, job_name="second")
    assert retry(workspace, job_name="second") == record
    for fields in ({"deployment_name": "mood-v2"}, {"retry_of": None, "input": "in"}):
        request = InvokeRequest(**{"retry_of": "first", "job_name": "second", **fields})  # type: ignore[arg-type]
        with pytest.raises(SparkscoreError) as caught:
            make_job(workspace, "mood", request)
        assert caught.value.condition == "JOB_NAME_CONFLICT"


@pytest.mark.parametrize(
    ("failed", "fields", "condition"),
    [
        ((), {}, "NO_FAILED_INPUTS"),
        ((4,), {}, "NO_FAILED_INPUTS"),
        ((), {"unprocessed": 8, "status": "Failed"}, "NO_FAILED_INPUTS"),
        (("5.txt",), {"summary": None, "status": "Failed"}, "NO_ACCOUNT"),
        (("5.txt",), {"status": "Running"}, "JOB_NOT_ENDED"),
        (("5.txt",), {"properties": {"sparkscore.pruned_at": "then"}}, "JOB_PRUNED"),
        (("5.txt",), {"deployment_name": "gone"}, "DEPLOYMENT_NOT_FOUND"),
    ],
)
def test_retry__refuses(
    failed: tuple[str | int, ...],
    fields: dict[str, Any],
    condition: str,
    workspace: Workspace,
    ended: Ended,
) -> None:
    record = ended(*failed, **fields)
    deployment_name = record.deployment_name
    if fields.get("status") == "Running":
        with workspace.store.writing() as writer:
            writer.update_job(dataclasses.replace(record, launcher=record.creator))
    with pytest.raises(SparkscoreError) as caught:
        retry(workspace, deployment_name=deployment_name)
    assert caught.value.condition == condition
    assert len(workspace.jobs.list()) == 1


def test_retry__account_that_does_not_add_up(workspace: Workspace, ended: Ended) -> None:
    record = ended("5.txt", "6.txt")
    file = Path(record.folder) / "failed_inputs.csv"
    file.write_text("".join(file.read_text().splitlines(keepends=True)[:3]))
    with pytest.raises(MessageError):
        retry(workspace)
    file.unlink()
    with pytest.raises(SparkscoreError) as caught:
        retry(workspace)
    assert caught.value.condition == "FAILED_INPUTS_NOT_FOUND"


def test_retry__table_that_would_be_overwritten(workspace: Workspace, ended: Ended) -> None:
    ended("5.txt")
    workspace.batch_deployments.create(
        deployment("tables", settings={"output_table": "a.b", "output_mode": "overwrite"})
    )
    with pytest.raises(SparkscoreError) as caught:
        retry(workspace, deployment_name="tables")
    assert caught.value.condition == "RETRY_OVERWRITES"
    record = retry(workspace, deployment_name="tables", overrides=("output_mode=append",))
    assert read_launch(record)["output"]["mode"] == "append"


def test_retry__compute_that_does_not_see_the_inputs(workspace: Workspace, ended: Ended) -> None:
    ended("5.txt")
    with socket.create_server(("127.0.0.1", 0)) as server:
        master = f"spark://127.0.0.1:{server.getsockname()[1]}"
        workspace.computes.create(
            {"name": "far", "type": "spark", "master": master, "shared_paths": False}
        )
        with pytest.raises(SparkscoreError) as caught:
            retry(workspace, compute="far")
    assert caught.value.condition == "LOCAL_DATA_NOT_REACHABLE"


@pytest.mark.parametrize(
    "fields", [{"input": "in"}, {"include": ("*",)}, {"limit": 3}, {"exclude": ("*",)}]
)
def test_retry__takes_no_other_input(
    fields: dict[str, Any], workspace: Workspace, ended: Ended
) -> None:
    ended("5.txt")
    with pytest.raises(SparkscoreError) as caught:
        retry(workspace, **fields)
    assert caught.value.condition == "GIVEN_TWICE"
