"""A workspace as it is after years: 10,000 jobs, two of them large. In the benchmark's process.

Jobs are written through the store at once; no driver has scored them. Those that run have a live
process, this one, and a heartbeat as long as ``beating`` lasts.
"""

from __future__ import annotations

import csv
import json
import random
import shutil
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from rounds import HERE

sys.path.insert(0, str(HERE.parent))

from sparkscore.control import Workspace
from sparkscore.control.jobs.processes import get_own_identity
from sparkscore.messages.codec import to_json
from sparkscore.messages.status import StatusMessage
from sparkscore.plan.scoring_plan import plan_scoring, write_plan
from sparkscore.state import JobRecord
from tests.ledgers import make_ledger, make_summary, render_live, write_ledger

SCORED, LIVE = "scored-large", "running-large"
ENDPOINTS = tuple(f"endpoint-{number:02d}" for number in range(12))
DEPLOYMENTS = ("blue", "green")
RUNNING_COUNT, QUEUED_COUNT = 15, 85
FAILED_IN_100 = 3
BEAT_SECONDS = 0.2
REQUESTS_PER_MINUTE = 100_000_000
_CODE = HERE / "scripts" / "rest_load" / "code"
_DAY_SECONDS = 86_400.0
_ENDS = ("Completed",) * 16 + ("Failed",) * 3 + ("Canceled",)
_MESSAGE = "ValueError: the sensor {} gave no number"
_FAILED_COLUMNS = (
    *("path", "mini_batch_id", "condition", "message", "count", "candidates", "attempts"),
    *("script_line", "host", "process"),
)


def make_workspace(folder: Path, *, jobs: int, mini_batches: int) -> Workspace:
    """A workspace with endpoints, so many jobs, and two jobs of so many mini-batches."""
    Workspace.open(folder).close()
    config = folder / "sparkscore.toml"
    text = config.read_text(encoding="utf-8")
    limit = f"[server]\nrequests_per_minute = {REQUESTS_PER_MINUTE}"
    config.write_text(text.replace("[server]", limit), encoding="utf-8")
    workspace = Workspace.open(folder)
    _make_endpoints(workspace)
    large = [_make_scored(workspace, mini_batches), _make_running(workspace, mini_batches)]
    with workspace.store.writing() as writer:
        for record in _iter_records(workspace, jobs - len(large)):
            writer.add_job(record)
        for record in large:
            writer.add_job(record)
    return workspace


def _make_endpoints(workspace: Workspace) -> None:
    store = Path(workspace.datastores.get_default().uri)
    shutil.copytree(_CODE, store / "code")
    for name in ("inputs", "model"):
        (store / name).mkdir()
        (store / name / "1.txt").write_text("1\n", encoding="utf-8")
    workspace.models.create(name="weights", version="1", path=str(store / "model"))
    workspace.data.create(name="pictures", version="1", path=str(store / "inputs"))
    workspace.code.create(str(store / "code"), name="score", version="1")
    for endpoint in ENDPOINTS:
        workspace.batch_endpoints.create(name=endpoint)
        for name in DEPLOYMENTS:
            document = {**_make_document(), "name": name, "endpoint_name": endpoint}
            workspace.batch_deployments.create(document, set_default=name == DEPLOYMENTS[0])


def _make_document() -> dict[str, Any]:
    return {
        "model": "azureml:weights:1",
        "code_configuration": {"code": "azureml:score:1", "scoring_script": "score.py"},
        "settings": {
            "output_action": "append_row",
            "mini_batch_size": 1,
            "error_threshold": -1,
            "retry_settings": {"max_retries": 3, "timeout": 30},
            "environment_variables": {"LEVEL": "high", "REGION": "north"},
        },
    }


def _iter_records(workspace: Workspace, count: int) -> Iterator[JobRecord]:
    """Jobs of the last 40 days, the oldest first; the newest wait or run."""
    chance = random.Random(1)
    now = time.time()
    active = min(count, RUNNING_COUNT + QUEUED_COUNT)
    for number in range(count):
        created_at = now - 40 * _DAY_SECONDS * (count - number) / count
        left = count - number
        status = chance.choice(_ENDS)
        if left <= active:
            status = "Queued" if left <= active - min(active, RUNNING_COUNT) else "Running"
        record = make_record(
            workspace,
            f"job-{number:05d}",
            status=status,
            created_at=created_at,
            endpoint_name=chance.choice(ENDPOINTS),
            deployment_name=chance.choice(DEPLOYMENTS),
            is_archived=left > active and chance.random() < 0.05,
        )
        if status == "Running":
            Path(record.folder).mkdir(parents=True)
        yield record


def make_record(workspace: Workspace, name: str, *, status: str, **fields: Any) -> JobRecord:
    """A job as the store keeps one; those that run belong to this process."""
    created_at = float(fields.pop("created_at", time.time()))
    is_ended, is_running = status in _ENDS, status == "Running"
    own = get_own_identity()
    counts = {"total": 1000, "succeeded": 990, "failed": 10}
    summary = {
        "job": name,
        "status": status,
        "inputs": counts,
        "mini_batches": {"total": 100, "succeeded": 98, "failed": 2},
        "seconds": {"start": 6.0, "plan": 1.0, "score": 95.0, "publish": 2.0, "total": 104.0},
    }
    error = {"condition": "ERROR_THRESHOLD_EXCEEDED", "message": "too many", "exit_code": 4}
    values: dict[str, Any] = {
        "endpoint_name": ENDPOINTS[0],
        "deployment_name": DEPLOYMENTS[0],
        "deployment": _make_document(),
        "compute": {"name": "local", "master": None},
        "inputs": {"input": {"type": "uri_folder", "path": "azureml:pictures:1"}},
        "outputs": {"score": {"type": "uri_file", "path": "", "options": {}}},
        "folder": str(workspace.jobs.get_local_folder(name)),
        "request_digest": name,
        "created_at": created_at,
        "updated_at": created_at + 110,
        "started_at": None if status == "Queued" else created_at + 2,
        "ended_at": created_at + 110 if is_ended else None,
        "display_name": name,
        "experiment_name": "nightly",
        "creator": own,
        "launcher": own if is_running else None,
        "driver": own if is_running else None,
        "error": error if status == "Failed" else None,
        "summary": summary if is_ended else None,
    }
    return JobRecord(name=name, status=status, **{**values, **fields})


def _make_large(count: int) -> pa.Table:
    """The ledger of mini-batches of one input; three in a hundred failed."""
    table = make_ledger(count)
    ids = table["mini_batch_id"]
    is_failed = pa.array([number % 100 < FAILED_IN_100 for number in range(count)])
    number = pc.cast(is_failed, pa.int64())
    texts = pa.array([_MESSAGE.format(each % 7) for each in range(count)])
    nothing = pa.scalar(None, pa.string())
    columns = {
        "status": pc.if_else(is_failed, "failed", "succeeded"),
        "inputs": pa.array([1] * count),
        "succeeded": pc.subtract(1, number),
        "failed": number,
        "rows": pc.subtract(1, number),
        "retries": pc.multiply(3, number),
        "attempts": pc.add(1, pc.multiply(3, number)),
        "condition": pc.if_else(is_failed, "SCRIPT_RAISED", nothing),
        "message": pc.if_else(is_failed, texts, nothing),
        "script_line": pc.if_else(is_failed, "score.py:9", nothing),
        "script_traceback": pc.if_else(is_failed, 'File "score.py", line 9, in run\n' * 8, nothing),
    }
    for name, column in columns.items():
        index = table.schema.get_field_index(name)
        table = table.set_column(index, name, pc.cast(column, table.schema.field(name).type))
    return table.set_column(
        table.schema.get_field_index("started_at"),
        "started_at",
        pc.add(time.time() - 3600, pc.divide(pc.cast(ids, pa.float64()), count / 3500)),
    )


def _write_failed_inputs(folder: Path, table: pa.Table) -> None:
    with open(folder / "failed_inputs.csv", "w", encoding="utf-8", newline="") as file:
        lines = csv.writer(file)
        lines.writerow(_FAILED_COLUMNS)
        for row in table.filter(pc.greater(table["failed"], 0)).to_pylist():
            number = row["mini_batch_id"]
            lines.writerow(
                (
                    *(_name(number), number, row["condition"], row["message"], 1, "", 4),
                    *("score.py:9", row["host"], row["process"]),
                )
            )


def _name(number: int) -> str:
    return f"folder-{number // 1000:03d}/picture-{number:06d}.png"


def _write_logs(folder: Path) -> None:
    logs = folder / "logs"
    logs.mkdir(parents=True)
    text = "".join(
        f"2026-01-01 00:00:00 INFO wave {number} committed\n" for number in range(20_000)
    )
    (logs / "driver.log").write_text(text, encoding="utf-8")
    for number in range(8):
        file = logs / "user" / "stdout" / "vm" / f"process-{number}.stdout.txt"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(
            "".join(f"[mb {each:06d} try 1] scored\n" for each in range(number, 100_000, 8)),
            encoding="utf-8",
        )


def _write_plan(folder: Path, count: int) -> None:
    names = [_name(number) for number in range(count)]
    files = pa.table({"path": names, "size": [1000] * count, "etag": [""] * count})
    plan = plan_scoring(files, mini_batch_size=1, root="/data", transport="direct", slots=8)
    write_plan(plan, str(folder))


def _make_scored(workspace: Workspace, count: int) -> JobRecord:
    """The large job that has ended, with all that its pages read."""
    folder = workspace.jobs.get_local_folder(SCORED)
    _write_logs(folder)
    table = _make_large(count)
    write_ledger(folder, table)
    _write_failed_inputs(folder, table)
    _write_plan(folder, count)
    results = folder / "predictions.csv"
    with open(results, "w", encoding="utf-8") as file:
        file.write("file,label,score\n")
        file.writelines(f"{_name(number)},{number % 10},0.5\n" for number in range(count))
    output = {"path": str(results), "format": "csv"}
    return make_record(
        workspace,
        SCORED,
        status="Completed",
        summary={**make_summary(table), "job": SCORED, "output": output},
        outputs={"score": {"type": "uri_file", "path": str(results), "options": {}}},
    )


def _make_running(workspace: Workspace, count: int) -> JobRecord:
    """The large job that runs; nine of ten mini-batches are done, ``beating`` scores the others."""
    folder = workspace.jobs.get_local_folder(LIVE)
    _write_logs(folder)
    table = _make_large(count)
    text = render_live(table)
    lines = text.splitlines(keepends=True)
    done = len(lines) * 9 // 10
    (folder / "ledger").mkdir()
    (folder / "ledger" / "live.jsonl").write_text("".join(lines[:done]), encoding="utf-8")
    (folder / "to_come.jsonl").write_text("".join(lines[done:]), encoding="utf-8")
    _write_failed_inputs(folder, table.slice(0, done))
    event = {"type": "wave_started", "details": {"wave": 9, "mini_batches": [[done, count]]}}
    (folder / "events.jsonl").write_text(json.dumps({"at": 0.0, **event}) + "\n", encoding="utf-8")
    return make_record(workspace, LIVE, status="Running", created_at=time.time() - 3600)


@contextmanager
def beating(workspace: Workspace, *, mini_batches: int) -> Iterator[None]:
    """Heartbeats of all jobs that run; with each the large one scores ten mini-batches."""
    with workspace.store.reading() as reader:
        running = [record for record in reader.list_active_jobs() if record.status == "Running"]
    stopped = threading.Event()

    def beat() -> None:
        large = workspace.jobs.get_local_folder(LIVE)
        coming = iter((large / "to_come.jsonl").read_text(encoding="utf-8").splitlines(True))
        sequence = 0
        while True:
            sequence += 1
            lines = [line for _, line in zip(range(10), coming, strict=False)]
            with open(large / "ledger" / "live.jsonl", "a", encoding="utf-8") as file:
                file.writelines(lines)
            with open(large / "failed_inputs.csv", "a", encoding="utf-8") as file:
                file.write(f"new-{sequence}.png,{sequence},SCRIPT_RAISED,no,1,,4,score.py:9,vm,1\n")
            for record in running:
                total = mini_batches if record.name == LIVE else 1000
                _write_status(record, sequence, total)
            if stopped.wait(BEAT_SECONDS):
                return

    thread = threading.Thread(target=beat)
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join()


def _write_status(record: JobRecord, sequence: int, total: int) -> None:
    done = total * 9 // 10
    status = StatusMessage(
        job=record.name,
        status="Running",
        sequence=sequence,
        heartbeat_at=time.time(),
        started_at=record.started_at or record.created_at,
        mini_batches=total,
        mini_batches_done=done,
        inputs=total,
        inputs_succeeded=done,
        inputs_per_second=40.0,
        eta_seconds=60.0,
    )
    folder = Path(record.folder)
    (folder / "status.tmp").write_text(to_json(status), encoding="utf-8")
    (folder / "status.tmp").replace(folder / "status.json")
