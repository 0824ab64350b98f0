"""What a script host may answer: nothing that it says can break the worker or the account."""

from __future__ import annotations

import json
import time
from typing import Any

import pyarrow as pa
import pytest

from sparkscore.executor.result_schema import schema_to_bytes
from sparkscore.executor.runner import ScoredMiniBatch
from sparkscore.executor.staged_rows import StagedRows
from sparkscore.messages import codec
from sparkscore.messages.mini_batch import MiniBatch
from sparkscore.messages.outcome import MiniBatchOutcome

PATHS = ("a.txt", "b.txt", "c.txt", "d.txt")

FORGE = """
import io, json, os, struct, sys, time
import pyarrow as pa

def find(*names):
    frame = sys._getframe()
    while not all(name in frame.f_locals for name in names):
        frame = frame.f_back
    return frame.f_locals

def forge(parts=(), call=0, **changes):
    serving = find("reply", "busy", "header")
    header = {"call": serving["header"]["call"] + call, "ok": True, "inputs_done": 1, "rows": 0,
              "missing": None, "bad_rows": [], **changes, "parts": [len(part) for part in parts]}
    text = json.dumps(header).encode()
    frame = struct.pack("<IQ", len(text), sum(map(len, parts))) + text + b"".join(parts)
    while frame:
        frame = frame[os.write(serving["reply"], frame):]

def stream(table, rows=None):
    sink = io.BytesIO()
    metadata = {b"sparkscore.rows": str(table.num_rows if rows is None else rows).encode()}
    table = table.replace_schema_metadata(metadata)
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue()
"""


@pytest.fixture
def score(make_scoring: Any, make_runner: Any, inputs: Any) -> Any:
    def score_paths(script: str, schema: bytes | None = None, **changes: Any) -> ScoredMiniBatch:
        runner = make_runner(make_scoring(script, **{"max_retries": 0, **changes}))
        return runner.score(MiniBatch(7, PATHS), inputs, schema=schema)  # type: ignore[no-any-return]

    return score_paths


def recorded(scored: ScoredMiniBatch) -> MiniBatchOutcome:
    """The outcome as the driver reads it from the staged rows."""
    writer = StagedRows()
    text = codec.to_json(scored.outcome)
    batches = [*writer.add(scored, text), *writer.flush()]
    staged = [row for batch in batches for row in batch.to_pylist()]
    return codec.from_json(MiniBatchOutcome, staged[-1]["outcome"], where="outcome")


def predictions(scored: ScoredMiniBatch) -> list[Any]:
    tables = [pa.ipc.open_stream(pa.py_buffer(part)).read_all() for part in scored.payloads]
    return [value for table in tables for value in table.column("prediction").to_pylist()]


FORGED = {
    "negative inputs": "inputs_done=-5",
    "more inputs than asked": "inputs_done=99",
    "infinite inputs": "inputs_done=float('inf')",
    "inputs that are no number": "inputs_done=[1]",
    "negative rows": "rows=-1",
    "rows beyond 64 bits": "rows=10**30",
    "rows without a payload": "rows=3",
    "true for a number": "rows=True",
    "a payload that is not Arrow": "parts=[b'not arrow at all'], rows=1",
    "a payload that is cut": "parts=[stream(pa.table({'prediction': ['x']}))[:-40]], rows=1",
    "a payload of fewer rows": "parts=[stream(pa.table({'prediction': ['x']}))], rows=2",
    "a payload that miscounts": "parts=[stream(pa.table({'prediction': ['x']}), 5)], rows=5",
    "a payload of nested columns": "parts=[stream(pa.table({'prediction': [[1]]}))], rows=1",
    "a payload with a column twice": (
        "parts=[stream(pa.Table.from_arrays([pa.array([1])] * 2, ['p', 'p']))], rows=1"
    ),
    "missing that is out of range": "inputs_done=0, missing=[7]",
    "missing that is no position": "inputs_done=0, missing=['x']",
    "missing twice the same": "inputs_done=len(batch) - 2, missing=[0, 0]",
    "bad rows of another shape": "bad_rows=[{'file': 5, 'row': 'x', 'message': None}]",
    "bad rows that are none": "bad_rows=None",
    "bad rows without end": "bad_rows=[{'file': 'f', 'row': 1, 'message': 'm'}] * 100_001",
    "failure of another shape": "ok=False, failure='no'",
    "nothing": "ok=True, inputs_done=None",
}


@pytest.mark.parametrize("name", FORGED)
def test_reply__that_is_forged_costs_its_own_input(score: Any, name: str) -> None:
    scored = score(
        f"""{FORGE}
def run(batch):
    if any(path.endswith("c.txt") for path in batch):
        forge({FORGED[name]})
        time.sleep(60)
    return [os.path.basename(path) for path in batch]
"""
    )
    outcome = recorded(scored)
    assert predictions(scored) == ["a.txt", "b.txt", "d.txt"]
    assert (outcome.inputs, outcome.failed, outcome.rows) == (4, 1, 3)
    assert [(failure.path, failure.condition) for failure in outcome.failures] == [
        ("c.txt", "SCRIPT_CRASHED")
    ]


def test_reply__payload_of_another_schema_than_the_pinned_fails(score: Any) -> None:
    scored = score(
        f"""{FORGE}
def run(batch):
    forge(parts=[stream(pa.table({{"prediction": [1.5]}}))], rows=1)
    time.sleep(60)
""",
        schema=schema_to_bytes(pa.schema([("prediction", pa.string())])),
        isolate_failures=False,
    )
    assert scored.outcome.failed == 4
    assert scored.payloads == ()


def test_reply__failure_of_any_text_is_recorded_and_short(score: Any) -> None:
    scored = score(
        f"""{FORGE}
def run(batch):
    text = chr(0xD800) + "x" * 1_000_000
    forge(ok=False, failure={{"condition": text, "message": text, "traceback": text}})
    time.sleep(60)
""",
        isolate_failures=False,
    )
    outcome = recorded(scored)
    assert outcome.failed == 4
    assert len(codec.to_json(outcome)) < 100_000


@pytest.mark.parametrize("account", ["{'inputs': -5}", "{'inputs': 2, 'bad_rows': [BAD]}"])
def test_reply__account_in_the_attributes_of_a_frame_is_checked(score: Any, account: str) -> None:
    scored = score(
        f"""
        import pandas as pd
        BAD = {{"file": "\\ud800", "row": 3, "message": "\\ud800 is no text"}}
        def run(batch):
            frame = pd.DataFrame({{"prediction": batch}})
            frame.attrs["sparkscore"] = {account}
            return frame
        """,
        isolate_failures=False,
    )
    outcome = recorded(scored)
    assert 0 <= outcome.failed <= outcome.inputs == 4


def test_reply__more_bad_rows_than_can_be_listed_fail_their_input_by_name(score: Any) -> None:
    scored = score(
        """
        import os
        import pandas as pd
        def run(batch):
            count = 100_001 if any(path.endswith("c.txt") for path in batch) else 100_000
            frame = pd.DataFrame({"prediction": [os.path.basename(path) for path in batch]})
            row = {"file": batch[0], "row": 1, "message": "m"}
            frame.attrs["sparkscore"] = {"inputs": len(batch), "bad_rows": [row] * count}
            return frame
        """
    )
    assert predictions(scored) == ["a.txt", "b.txt", "d.txt"]
    (failure,) = scored.outcome.failures
    assert (failure.path, failure.condition) == ("c.txt", "TOO_MANY_BAD_ROWS")
    assert len(scored.outcome.bad_rows) == 200_000


def test_reply__stale_frames_without_end_do_not_outlast_the_time_limit(score: Any) -> None:
    started = time.monotonic()
    scored = score(
        f"""{FORGE}
def run(batch):
    while True:
        forge(call=-1)
""",
        timeout_seconds=1,
        isolate_failures=False,
    )
    assert scored.outcome.failures[0].condition == "SCRIPT_TIMEOUT"
    assert time.monotonic() - started < 30


FORKS = {
    "exits": "sys.exit(0)",
    "returns": "return ['child'] * len(batch)",
    "raises": "raise ValueError('child')",
}


@pytest.mark.parametrize("name", FORKS)
def test_reply__of_a_forked_child_is_not_that_of_the_host(score: Any, name: str) -> None:
    scored = score(
        f"""
        import os, sys, time
        def run(batch):
            if os.fork() == 0:
                {FORKS[name]}
            time.sleep(0.5)
            return [os.path.basename(path) for path in batch]
        """
    )
    assert predictions(scored) == list(PATHS)
    assert scored.outcome.status == "succeeded"


def test_staged_rows__large_outcomes_are_not_gathered(score: Any) -> None:
    scored = score("def run(batch):\n    return batch\n")
    writer = StagedRows(clock=lambda: 0.0)
    text = json.dumps("x" * (1 << 20))
    batches = [batch for _ in range(32) for batch in writer.add(scored, text)]
    assert len(batches) >= 6
