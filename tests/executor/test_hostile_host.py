"""A script host that sends anything: it costs its own mini-batch, and the next one is fine."""

from __future__ import annotations

import random
import struct
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from sparkscore.messages.codec import from_json, to_json
from sparkscore.messages.mini_batch import MiniBatch
from sparkscore.messages.outcome import MiniBatchOutcome
from tests.executor.test_replies import FORGE

SCRIPT = f"""{FORGE}
import fcntl, random, select, stat, threading

def run(batch):
    for path in batch:
        if os.path.basename(path).startswith("bad"):
            exec(open(path).read(), globals())
    return [os.path.basename(path) for path in batch]

def pipes():
    found = [int(name) for name in os.listdir("/proc/self/fd")]
    return [number for number in found if number > 2 and is_pipe(number)]

def is_pipe(number):
    try:
        return stat.S_ISFIFO(os.fstat(number).st_mode)
    except OSError:
        return False

def reply():
    return find("reply", "busy", "header")["reply"]

def request():
    return find("reply", "busy", "header")["request"]

def send(data):
    while data:
        data = data[os.write(reply(), data[:65536]):]

def hang():
    time.sleep(300)

def frame(header=b"{{}}", parts=0):
    return struct.pack("<IQ", len(header), parts) + header

def table(column, kind=None, name="prediction"):
    return pa.table({{name: pa.array(column, kind)}})

def bomb(size):
    table = pa.table({{"prediction": pa.array([b"0" * 4096], pa.binary())}})
    sink = io.BytesIO()
    table = table.replace_schema_metadata({{b"sparkscore.rows": b"1"}})
    options = pa.ipc.IpcWriteOptions(compression="zstd")
    with pa.ipc.new_stream(sink, table.schema, options=options) as writer:
        writer.write_table(table)
    return sink.getvalue().replace(struct.pack("<q", 4096), struct.pack("<q", size))
"""
CONDITIONS = ("SCRIPT_CRASHED", "SCRIPT_TIMEOUT", "SCRIPT_RAISED")

FAILS = {
    "header of 4 GiB": "send(struct.pack('<IQ', 2**32 - 1, 0)); hang()",
    "header above the limit": "send(struct.pack('<IQ', 64 * 2**20 + 1, 0)); hang()",
    "parts of 2^64": "send(struct.pack('<IQ', 2, 2**64 - 1) + b'{}'); hang()",
    "parts above the limit": "send(struct.pack('<IQ', 2, 4 * 2**30 + 1) + b'{}'); hang()",
    "parts that do not add up": "send(frame(b'{\"parts\": [1]}', 2**40)); hang()",
    "many parts": "send(frame(b'{\"parts\": [%s0]}' % (b'0,' * 70_000))); hang()",
    "half a prefix": "send(b'\\x01\\x02'); hang()",
    "half a header": "send(struct.pack('<IQ', 100, 0) + b'{\"ok\": true'); hang()",
    "half a part": "send(frame(b'{\"parts\": [1000]}', 1000) + b'x' * 10); hang()",
    "half a part, and the end": "send(frame(b'{\"parts\": [9]}', 9) + b'x'); os._exit(0)",
    "half a header, and a result": "send(struct.pack('<IQ', 20, 0) + b'{')",
    "zeros without end": "while True: send(bytes(65536))",
    "a header that comes byte by byte": (
        "send(struct.pack('<IQ', 60 * 2**20, 0))\nwhile True: send(b' '); time.sleep(0.001)"
    ),
    "frames without end": "while True: forge(call=-1)",
    "no JSON": "send(frame(b'\\xff\\xfe')); hang()",
    "a list": "send(frame(b'[]')); hang()",
    "deep nesting": "send(frame(b'[' * 1_000_000)); hang()",
    "a number without end": "send(frame(b'9' * 1_000_000)); hang()",
    "closed pipes": "for number in pipes(): os.close(number)",
    "closed pipes, and a hang": "for number in pipes(): os.close(number)\nhang()",
    "a pipe that leads elsewhere": "os.dup2(os.open('/dev/null', os.O_RDWR), reply())",
    "garbage in every pipe": "for number in pipes():\n    try: os.write(number, b'x' * 500)\n"
    "    except OSError: pass",
    "more than a pipe holds, not blocking": (
        "for number in pipes(): os.set_blocking(number, False)\n"
        "while True: os.write(reply(), bytes(4096))"
    ),
    "usage beyond a float": "forge(usage={'cpu_seconds': 10**400}, inputs_done=-1); hang()",
    "a bomb of Arrow": "forge(parts=[bomb(2**40)], rows=1); hang()",
    "a bomb of Arrow beyond 63 bits": "forge(parts=[bomb(-5)], rows=1); hang()",
    "a bomb of Arrow that is a little large": "forge(parts=[bomb(2**31)], rows=1); hang()",
    "rows of nothing": "forge(parts=[stream(table([None]), 1)], rows=2**61); hang()",
    "a zone that there is not": (
        "forge(parts=[stream(table([0], pa.timestamp('us', 'No/Where')))], rows=1); hang()"
    ),
    "a type that no result has": (
        "forge(parts=[stream(table([0], pa.duration('s')))], rows=1); hang()"
    ),
    "codes of a dictionary": (
        "forge(parts=[stream(table(['a'], pa.dictionary(pa.int8(), pa.string())))], rows=1); hang()"
    ),
    "a name that is no text": (
        "part = stream(table([0], name='nnnnnnnn')).replace(b'nnnnnnnn', b'\\xff' * 8)\n"
        "forge(parts=[part], rows=1); hang()"
    ),
    "text that is none": (
        "part = stream(table(['tttttttt'])).replace(b'tttttttt', b'\\xff' * 8)\n"
        "forge(parts=[part], rows=1); hang()"
    ),
    "offsets beyond the end": (
        "part = stream(table(['tttttttt'])).replace(struct.pack('<ii', 0, 8),"
        " struct.pack('<ii', 0, 2**30))\nforge(parts=[part], rows=1); hang()"
    ),
    "offsets that go back": (
        "part = stream(table(['tttttttt'])).replace(struct.pack('<ii', 0, 8),"
        " struct.pack('<ii', 8, 0))\nforge(parts=[part], rows=1); hang()"
    ),
    "a failure that nests deeply": (
        "told = {'condition': 'SCRIPT_RAISED', 'message': json.loads('[' * 700 + ']' * 700)}\n"
        "forge(ok=False, failure=told)"
    ),
}

WORKS = {
    "pipes that do not block": "for number in pipes(): os.set_blocking(number, False)",
    "small pipes": "for number in pipes(): fcntl.fcntl(number, 1031, 4096)",
    "replies to other requests": "forge(call=-1); forge(call=7)",
    "a reply too early": "forge(call=1, inputs_done=-1)",
}


GARBAGE_SEEDS = range(40)


def garbage(seed: int) -> str:
    """Code that writes bytes of all kinds, and then does one of several things."""
    dice = random.Random(seed)
    pieces = [
        dice.randbytes(dice.randrange(40)),
        struct.pack("<IQ", dice.choice([0, 2, 2**20, 2**32 - 1]), dice.choice([0, 1, 2**40])),
        dice.choice([b"{}", b'{"parts": []}', b'{"ok": true, "parts": [0]}', b"null", b"\xff"]),
    ]
    dice.shuffle(pieces)
    end = dice.choice(["", "hang()", "os._exit(3)", "raise ValueError('x')", "os.close(reply())"])
    return f"send({b''.join(pieces)!r})\n{end}"


@pytest.fixture
def score(make_scoring: Any, make_runner: Any, inputs: Any, tmp_path: Path) -> Any:
    """Scores one file; all of them have the same worker and guard."""
    limits = {"max_retries": 0, "timeout_seconds": 2, "memory_limit_bytes": 4 << 30}
    runner = make_runner(make_scoring(SCRIPT, **limits))

    def score_it(name: str, code: str) -> MiniBatchOutcome:
        (tmp_path / name).write_text(code)
        scored = runner.score(MiniBatch(3, (name,)), inputs, schema=None)
        outcome = from_json(MiniBatchOutcome, to_json(scored.outcome), where="outcome")
        tables = [pa.ipc.open_stream(pa.py_buffer(part)).read_all() for part in scored.payloads]
        assert outcome.rows == sum(table.num_rows for table in tables)
        assert outcome.inputs == 1
        return outcome

    return score_it


def find_conditions(score: Any, codes: dict[str, str]) -> dict[str, str]:
    """How each ended whose end was not right; what comes after must be scored each time."""
    found = {}
    for name, code in codes.items():
        outcome = score("bad", code)
        found[name] = ",".join(failure.condition for failure in outcome.failures)
        after = score("good", "")
        assert (after.status, after.failed, after.rows) == ("succeeded", 0, 1), name
    return found


@pytest.mark.slow
def test_host__what_is_no_reply_costs_its_own_mini_batch(score: Any) -> None:
    found = find_conditions(score, FAILS)
    assert {name for name, end in found.items() if end not in CONDITIONS} == set(), found


@pytest.mark.slow
def test_host__garbage_costs_no_more_than_its_own_mini_batch(score: Any) -> None:
    found = find_conditions(score, {str(seed): garbage(seed) for seed in GARBAGE_SEEDS})
    assert {*found.values()} <= {*CONDITIONS}


def test_host__harmless_tricks_cost_nothing(score: Any) -> None:
    assert {*find_conditions(score, WORKS).values()} == {""}
