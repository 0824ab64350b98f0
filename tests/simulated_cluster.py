"""A Spark session whose executors only pretend to score: they leave what real ones leave.

The driver that uses it is the real one. A wave's tasks stage files with outcomes and payloads and
tell an accumulator of them, but no script runs, no JVM starts, and a mini-batch takes no time: how
long it says that it took is a setting. So a driver can be seen with a thousand executors.
"""

from __future__ import annotations

import json
import os
import pickle
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from dataclasses import dataclass
from functools import lru_cache
from itertools import count
from multiprocessing import get_context
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.accumulators import Accumulator

from sparkscore.executor.results import iter_payloads, results_table
from sparkscore.executor.runner import ScoredMiniBatch
from sparkscore.executor.staged_rows import StagedRows
from sparkscore.messages import codec
from sparkscore.messages.outcome import (
    FAILED,
    SUCCEEDED,
    FailedInput,
    MiniBatchOutcome,
    ScoringFailure,
)
from sparkscore.plan.scoring_plan import FILES_SCHEMA

STARTED_AT = 1_700_000_000.0

_TASKS_AT_ONCE = 50
_UUID = "0b0a4f6e-5d1c-4a8e-9d43-6f1f0c3b7a52"
_FILES_AT_ONCE = 500_000
_TRACEBACK = 'Traceback (most recent call last):\n  File "score.py", line 12, in run\n' * 6


@dataclass(frozen=True)
class SimulatedScript:
    """What the scoring script is said to have done.

    Each mini-batch took ``seconds`` and gave one row for each input; in every ``failing``-th
    mini-batch one input failed at last, 0 for none. ``hosts`` nodes took turns.
    """

    seconds: float = 1.0
    failing: int = 0
    hosts: int = 1

    def make_outcome(self, mini_batch_id: int, paths: Sequence[str]) -> MiniBatchOutcome:
        """The outcome of a mini-batch."""
        fails = self.failing > 0 and mini_batch_id % self.failing == self.failing - 1
        error = _ERROR if fails else None
        failures = (
            (FailedInput(paths[0], _ERROR.condition, _ERROR.message, 1, (), 2, "score.py:12", 77),)
            if fails
            else ()
        )
        return MiniBatchOutcome(
            mini_batch_id,
            FAILED if fails else SUCCEEDED,
            len(paths),
            len(failures),
            len(paths) - len(failures),
            attempts=4 if fails else 1,
            retries=3 if fails else 0,
            started_at=STARTED_AT + mini_batch_id * 0.001,
            seconds=self.seconds,
            host=f"node-{mini_batch_id % self.hosts:04}.cluster.internal",
            process=1000 + mini_batch_id % 7,
            failures=failures,
            error=error,
            peak_memory_bytes=300 * 2**20,
            cpu_seconds=self.seconds * 0.9,
        )


_ERROR = ScoringFailure(
    "SCRIPT_RAISED",
    "ValueError: the image cannot be read",
    _TRACEBACK,
    script_line="score.py:12",
    script_traceback=_TRACEBACK[:200],
    attempt=4,
    process=77,
)


class SimulatedSession:
    """As much of a SparkSession as scoring asks for.

    ``slots`` is what the cluster says it has. With ``processes`` the executors' work is done in
    processes of their own, as it is in life, else in the wave's thread.
    """

    version = "simulated"

    def __init__(self, script: SimulatedScript, *, slots: int, processes: int = 0) -> None:
        self.script = script
        self.sparkContext = SimulatedContext(slots)  # PySpark's name
        self.pool = None
        if processes:
            self.pool = ProcessPoolExecutor(processes, mp_context=get_context("spawn"))

    def range(self, start: int, end: int, step: int, partitions: int) -> SimulatedJob:
        """A job with one task for each row."""
        assert (start, step, partitions) == (0, 1, end)
        return SimulatedJob(self, end)

    def close(self) -> None:
        """End the executors."""
        if self.pool is not None:
            self.pool.shutdown()


class SimulatedContext:
    """As much of a SparkContext as scoring asks for; accumulators are PySpark's own."""

    _numbers = count()

    def __init__(self, slots: int) -> None:
        self.master = f"local[{slots}]"  # nothing is shipped to it
        self.defaultParallelism = slots  # PySpark's name

    def accumulator(self, value: Any, param: Any) -> Accumulator[Any]:
        """An accumulator that the driver merges updates into."""
        return Accumulator(next(self._numbers), value, param)

    def broadcast(self, value: Any) -> SimulatedBroadcast:
        """A value for all tasks of a wave."""
        return SimulatedBroadcast(value)

    def setJobGroup(  # noqa: N802 - the name is PySpark's
        self,
        group: str,
        description: str,
        interruptOnCancel: bool = False,  # noqa: N803
    ) -> None:
        """Jobs here are never canceled."""


class SimulatedBroadcast:
    """A broadcast value: a file, as PySpark's is, which is gone once it is destroyed."""

    def __init__(self, value: Any) -> None:
        handle, self.path = tempfile.mkstemp(prefix="simulated-broadcast-")
        with open(handle, "wb") as file:
            pickle.dump(value, file)

    def destroy(self) -> None:
        """Remove the file."""
        os.unlink(self.path)


class SimulatedJob:
    """A job from ``range`` to its written files; also its own writer."""

    def __init__(self, session: SimulatedSession, task_count: int) -> None:
        self._session, self._task_count = session, task_count
        self._function: Any = None

    def mapInArrow(self, function: Any, schema: str) -> SimulatedJob:  # noqa: N802 - PySpark's
        """Takes the context of the tasks from ``function``, which is not called."""
        self._function = function
        return self

    @property
    def write(self) -> SimulatedJob:
        """The writer."""
        return self

    def options(self, **options: str) -> SimulatedJob:
        """Files are written as waves write them, whatever the options say."""
        return self

    def mode(self, mode: str) -> SimulatedJob:
        """Folders here are always new."""
        return self

    def parquet(self, uri: str) -> None:
        """Let the executors stage their rows, and tell the accumulator as tasks end."""
        folder = Path(unquote(urlsplit(uri).path))
        folder.mkdir(parents=True)
        context = self._function.keywords["context"]
        for updates in self._run(context.wave.path, folder):
            for update in updates:
                context.finished.add(pickle.loads(update))
        (folder / "_SUCCESS").touch()

    def _run(self, broadcast: str, folder: Path) -> Iterator[list[bytes]]:
        script, pool = self._session.script, self._session.pool
        last = self._task_count
        pieces = [
            range(first, min(first + _TASKS_AT_ONCE, last))
            for first in range(0, last, _TASKS_AT_ONCE)
        ]
        if pool is None:
            yield from (score_tasks(script, folder, broadcast, tasks) for tasks in pieces)
            return
        futures = {pool.submit(score_tasks, script, folder, broadcast, tasks) for tasks in pieces}
        while futures:
            done, futures = wait(futures, return_when=FIRST_COMPLETED)
            yield from (future.result() for future in done)


def score_tasks(script: SimulatedScript, folder: Path, broadcast: str, tasks: range) -> list[bytes]:
    """Stage the rows of some tasks of a wave; returns each task's update of the accumulator."""
    texts = _read_broadcast(broadcast)
    return [
        _score_task(script, folder / f"part-{number:05d}-{_UUID}-c000.parquet", texts[number])
        for number in tasks
    ]


@lru_cache(maxsize=2)
def _read_broadcast(path: str) -> list[str]:
    texts: list[str] = pickle.loads(Path(path).read_bytes())
    return texts


def _score_task(script: SimulatedScript, file: Path, text: str) -> bytes:
    finished: dict[int, str] = {}
    rows = StagedRows(clock=lambda: 0.0)
    batches: list[pa.RecordBatch] = []
    for mini_batch_id, paths, _ in json.loads(text):
        outcome = script.make_outcome(mini_batch_id, paths)
        finished[mini_batch_id] = codec.to_json(outcome)
        payloads = (bytearray(make_payload(outcome.rows)),) if outcome.rows else ()
        scored = ScoredMiniBatch(outcome, payloads)
        batches.extend(rows.add(scored, finished[mini_batch_id]))
    batches.extend(rows.flush())
    pq.write_table(
        pa.Table.from_batches(batches, StagedRows.schema),
        file,
        compression="none",
        use_dictionary=False,
        write_statistics=False,
    )
    return pickle.dumps(finished)


_PAYLOADS: dict[int, bytes] = {}


def make_payload(rows: int) -> bytes:
    """Results of so many rows of two columns, as they are staged."""
    if rows not in _PAYLOADS:
        frame = pd.DataFrame(
            {"file": [f"file-{row}" for row in range(rows)], "prediction": np.arange(rows) * 0.5}
        )
        (_PAYLOADS[rows],) = iter_payloads(results_table(frame).table)
    return _PAYLOADS[rows]


def make_files(file_count: int) -> pa.Table:
    """So many input files, as a listing of a store tells of them: paths in order, 46 bytes each."""
    blocks = [
        _make_files(range(first, min(first + _FILES_AT_ONCE, file_count)))
        for first in range(0, file_count, _FILES_AT_ONCE)
    ]
    return pa.concat_tables(blocks)


def _make_files(numbers: range) -> pa.Table:
    paths = [f"2026/11/folder-{n // 1000:06}/input-{n:09}.jpeg" for n in numbers]
    sizes = np.random.default_rng(numbers.start).integers(20_000, 60_000, len(numbers))
    etags = [
        f"{n * 2654435761 % 2**64:016x}{size:016x}"
        for n, size in zip(numbers, sizes.tolist(), strict=True)
    ]
    return pa.table([paths, sizes, etags], schema=FILES_SCHEMA)
