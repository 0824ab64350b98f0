"""Jobs that have ended, made by hand: record, folder, inputs and results, without a process."""

from __future__ import annotations

import base64
import dataclasses
import time
from pathlib import Path
from typing import Any

import pyarrow as pa

from sparkscore.control.workspace import Workspace
from sparkscore.messages.codec import to_json
from sparkscore.plan.scoring_plan import plan_scoring, write_plan
from sparkscore.state import JobRecord
from tests.launches import make_launch, make_scoring

HOSTILE = "<script>alert('x')</script> & \"q\" \N{GRINNING FACE}"
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
LOGS = {
    "launcher.log": "submitted\n",
    "driver.log": "".join(f"line {number}\n" for number in range(50)) + f"said {HOSTILE}\n",
    "user/stdout/vm/process-1.stdout.txt": (
        "[init] loading\n[mb 000001 try 1] one\n[mb 000002 try 2] two\n[mb 000001 try 1] three\n"
    ),
}
FAILED_INPUTS = (
    "path,mini_batch_id,condition,message,count,candidates,attempts,script_line,host,process\n"
    '"<script>alert(1)</script>.png",1,SCRIPT_RAISED,"ValueError: 3 is <b>odd</b>",1,,4,'
    "score.py:7,vm,1\n"
    '5.png,2,SCRIPT_RAISED,"ValueError: 5 is <b>odd</b>",1,,2,score.py:7,vm,1\n'
    ',3,SHORT_RESULT,1 result for 2 inputs,1,"[""6.png"", ""7.png""]",1,,vm,1\n'
)
IMAGE_NAMES = ("a.png", "b.png", f"sub/{HOSTILE}.png".replace("</script>", ""))


def make_record(workspace: Workspace, name: str = "done", **fields: Any) -> JobRecord:
    """A completed job of ``mood``: 8 inputs, 3 of them failed."""
    now = time.time()
    record = JobRecord(
        name=name,
        status="Completed",
        folder=str(workspace.jobs.get_local_folder(name)),
        request_digest="",
        created_at=now - 60,
        updated_at=now,
        started_at=now - 50,
        ended_at=now - 10,
        display_name=name,
        experiment_name="mood",
        endpoint_name="mood",
        deployment_name="mood-v1",
        compute={"name": "local", "master": None},
        deployment={
            "model": "azureml:weights:1",
            "code_configuration": {"code": "azureml:score:1", "scoring_script": "score.py"},
            "compute": "azureml:cpu-cluster",
            "settings": {
                "mini_batch_size": 2,
                "error_threshold": 3,
                "retry_settings": {"max_retries": 3, "timeout": 30},
                "environment_variables": {"API": "hush-hush"},
            },
        },
        inputs={"input": {"type": "uri_folder", "path": "azureml:pics:1"}},
        outputs={"score": {"type": "uri_file", "path": "", "options": {}}},
        summary={
            "job": name,
            "status": "Completed",
            "inputs": {"total": 8, "succeeded": 5, "failed": 3},
            "unprocessed_inputs": 0,
            "mini_batches": {"total": 4, "succeeded": 2, "failed": 2},
            "versions": {"spark": "4.2.0"},
            "seconds": {"total": 40.0},
        },
    )
    return dataclasses.replace(record, **fields)


def add_job(workspace: Workspace, name: str = "done", **fields: Any) -> JobRecord:
    """The record with logs, account and launch message in its folder."""
    record = make_record(workspace, name, **fields)
    folder = Path(record.folder)
    for path, text in LOGS.items():
        file = folder / "logs" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    (folder / "failed_inputs.csv").write_text(FAILED_INPUTS, encoding="utf-8")
    write_launch(record, inputs=folder / "in")
    with workspace.store.writing() as writer:
        return writer.add_job(record)


def write_launch(record: JobRecord, *, inputs: Path) -> None:
    """The launch message of a job on the files below ``inputs``."""
    launch = make_launch(
        record.folder,
        inputs=str(inputs),
        output=record.folder,
        scoring=make_scoring(
            job_name=record.name,
            model_folder=record.folder,
            code_folder=None,
            scoring_script=None,
            mini_batch_size=2,
            environment_variables={"API": "hush-hush"},
        ),
        spark_conf={"spark.api.token": "hush-hush", "spark.ui.enabled": "false"},
    )
    Path(record.folder, "launch.json").write_text(to_json(launch), encoding="utf-8")


def add_image_job(workspace: Workspace, name: str = "pictures", *, folder: Path) -> JobRecord:
    """A job whose inputs below ``folder`` are images, and whose CSV names them."""
    inputs, out = folder / "in", folder / "out"
    for image in IMAGE_NAMES:
        (inputs / image).parent.mkdir(parents=True, exist_ok=True)
        (inputs / image).write_bytes(PNG)
    (inputs / "fake.png").write_text("<script>alert(1)</script>")
    (inputs / "unlisted.png").write_bytes(PNG)
    out.mkdir(parents=True)
    rows = [*IMAGE_NAMES, "none.png"]
    quoted = ('"' + row.rpartition("/")[2].replace('"', '""') + '"' for row in rows)
    lines = [f"{path},{number}\n" for number, path in enumerate(quoted)]
    (out / "labels.csv").write_text("file,label\n" + "".join(lines), encoding="utf-8")
    base = make_record(workspace, name)
    output = {"path": str(out / "labels.csv"), "format": "csv"}
    record = add_job(
        workspace,
        name,
        summary={**(base.summary or {}), "output": output},
        outputs={"score": {"type": "uri_file", "path": output["path"], "options": {}}},
    )
    write_launch(record, inputs=inputs)
    write_planned(record, root=inputs, paths=sorted([*IMAGE_NAMES, "fake.png", "gone.png"]))
    return record


def write_planned(record: JobRecord, *, root: Path, paths: list[str]) -> None:
    """The plan of a job on these inputs."""
    files = pa.table({"path": paths, "size": [1] * len(paths), "etag": [""] * len(paths)})
    plan = plan_scoring(files, mini_batch_size=2, root=str(root), transport="direct", slots=2)
    write_plan(plan, record.folder)
