"""Ledgers made by hand, as large as wanted: what a driver leaves of a job that it has scored."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from sparkscore.driver.account import LEDGER_SCHEMA
from sparkscore.messages.live_ledger import render_line
from sparkscore.messages.outcome import FAILED, SUCCEEDED, MiniBatchOutcome, ScoringFailure

STARTED_AT = 1_700_000_000.0


def make_ledger(count: int, *, hosts: int = 2, slots: int = 4, seed: int = 1) -> pa.Table:
    """The rows of so many mini-batches of ten inputs, scored on ``hosts`` times ``slots`` slots.

    One in a hundred needed a retry, one in a thousand (the last among them) failed.
    """
    random = np.random.default_rng(seed)
    ids = np.arange(count)
    seconds = np.round(random.lognormal(-1.0, 0.5, count), 4)
    lane = ids % (hosts * slots)
    started_at = np.empty(count)
    for number in range(hosts * slots):
        mine = lane == number
        started_at[mine] = STARTED_AT + np.concatenate([[0.0], np.cumsum(seconds[mine])])[:-1]
    is_failed = (ids + 1) % 1000 == 0
    is_failed[-1] = True
    retries = np.where(is_failed, 3, np.where((ids + 1) % 100 == 0, 1, 0))
    columns: dict[str, Any] = {
        "mini_batch_id": ids,
        "status": np.where(is_failed, FAILED, SUCCEEDED),
        "inputs": np.full(count, 10),
        "succeeded": np.where(is_failed, 9, 10),
        "failed": np.where(is_failed, 1, 0),
        "rows": np.where(is_failed, 9, 10),
        "attempts": retries + 1,
        "retries": retries,
        "started_at": np.round(started_at, 3),
        "seconds": seconds,
        "host": np.char.add("node-", (lane // slots + 1).astype(str)),
        "process": 1000 + lane,
        "condition": _where(is_failed, "SCRIPT_RAISED"),
        "message": _where(is_failed, "ValueError: <b>bad</b>"),
        "traceback": _where(is_failed, 'File "score.py", line 9\nValueError: <b>bad</b>'),
        "failures": _where(
            is_failed, '[{"path":"<i>a.txt","condition":"SCRIPT_RAISED","count":1}]'
        ),
        "peak_memory_bytes": np.full(count, 80_000_000),
        "cpu_seconds": seconds / 2,
        "script_line": _where(is_failed, "score.py:9"),
    }
    empty = {
        name: pa.nulls(count, LEDGER_SCHEMA.field(name).type)
        for name in LEDGER_SCHEMA.names
        if name not in columns
    }
    columns["bad_rows"] = np.zeros(count, dtype=np.int64)
    return pa.table({**empty, **columns}).select(LEDGER_SCHEMA.names).cast(LEDGER_SCHEMA)


def _where(is_there: Any, text: str) -> list[str | None]:
    return [text if there else None for there in is_there]


def write_ledger(folder: Path, table: pa.Table) -> Path:
    """As ``ledger/outcomes.parquet`` of a job folder."""
    file = folder / "ledger" / "outcomes.parquet"
    file.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, file, compression="zstd", row_group_size=10_000)
    return file


def render_live(table: pa.Table) -> str:
    """The lines that the driver of a running job would have written of these rows."""
    return "".join(render_line(_make_outcome(row)) for row in table.to_pylist())


def write_live(folder: Path, text: str) -> Path:
    """As ``ledger/live.jsonl`` of a job folder."""
    file = folder / "ledger" / "live.jsonl"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


def _make_outcome(row: dict[str, Any]) -> MiniBatchOutcome:
    error = None
    if row["condition"] is not None:
        error = ScoringFailure(row["condition"], row["message"])
    names = ("status", "inputs", "failed", "rows", "attempts", "retries", "started_at", "seconds")
    values = {name: row[name] for name in (*names, "host", "process")}
    return MiniBatchOutcome(row["mini_batch_id"], error=error, **values)


def make_summary(table: pa.Table, *, status: str = "Completed", **fields: Any) -> dict[str, Any]:
    """The summary of a job that has these rows in its ledger and scored nothing else."""
    rows = table.to_pydict()
    total, failed = sum(rows["inputs"]), sum(rows["failed"])
    batches_failed = rows["status"].count(FAILED)
    return {
        "job": "job",
        "status": status,
        "inputs": {"total": total, "succeeded": total - failed, "failed": failed},
        "unprocessed_inputs": 0,
        "mini_batches": {
            "total": len(table),
            "succeeded": len(table) - batches_failed,
            "failed": batches_failed,
        },
        "rows": sum(rows["rows"]),
        "retries": sum(rows["retries"]),
        "seconds": {"start": 6.5, "plan": 1.25, "score": 95.0, "publish": 3.5, "total": 107.0},
        **fields,
    }
