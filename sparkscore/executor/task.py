"""The function that Spark runs on executors: one task scores some mini-batches. Python worker.

Module-level code only, pickled by reference, so that the worker's cache lives here: a script host
survives from task to task and from wave to wave (it relies on ``spark.python.worker.reuse``; an
idle worker is ended by Spark after a minute).
"""

from __future__ import annotations

import gc
import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Callable

import pyarrow as pa

from sparkscore.executor.attempt_folders import AttemptFolders
from sparkscore.executor.host_environment import host_environment, slot_cpus
from sparkscore.executor.host_launch import HostLaunch
from sparkscore.executor.inline_host import InlineHost
from sparkscore.executor.inputs import InputStage
from sparkscore.executor.log_place import SPOOL, is_place, open_worker_log
from sparkscore.executor.processes import become_subreaper
from sparkscore.executor.runner import HostLike, MiniBatchRunner, ScoredMiniBatch
from sparkscore.executor.script_host import ScriptHost
from sparkscore.executor.script_log import ScriptLog
from sparkscore.messages import codec
from sparkscore.messages.launch import ScoringMessage
from sparkscore.messages.mini_batch import MiniBatch
from sparkscore.messages.outcome import FAILED, INIT_FAILED, MiniBatchOutcome

_MLFLOW = "sparkscore.executor.mlflow_warm_up:warm_up"
_BATCH_ROWS = 512
_BATCH_BYTES = 4 * 1024 * 1024
_BATCH_SECONDS = 2.0


@dataclass(frozen=True)
class TaskContext:
    """What each task of a wave needs; travels in the closure.

    ``wave`` is a broadcast of the wave's mini-batches, one JSON text a task. ``job_folder`` is
    used where it is visible, which ``logs_marker`` tells, see ``open_worker_log``.
    ``failed_inputs_left`` and ``failed_mini_batches_left`` end the task once passed, None for
    never; ``seconds_left`` ends it with the first mini-batch that ends after that time.
    ``finished`` is an accumulator of outcomes by mini-batch. ``input_options`` say how to reach
    the inputs' store.
    """

    scoring: ScoringMessage
    input_root: str
    transport: str
    job_folder: str
    schema: bytes | None
    failed_inputs_left: int | None
    failed_mini_batches_left: int | None
    seconds_left: float
    wave: Any
    finished: Any
    input_options: dict[str, str] = field(default_factory=dict)
    logs_marker: str = ""


@dataclass(frozen=True)
class FinishedParam:
    """How the driver merges outcomes: keyed by mini-batch, so that none counts twice."""

    def zero(self, value: dict[int, str]) -> dict[int, str]:
        """An empty account."""
        return {}

    def addInPlace(  # noqa: N802 - the name is PySpark's
        self, value: dict[int, str], added: dict[int, str]
    ) -> dict[int, str]:
        """All outcomes of both; runs in the driver's accumulator server and in workers."""
        value.update(added)
        return value


class WorkerSession:
    """A worker's script host, input stage and logs for one deployment of one job."""

    def __init__(self, context: TaskContext) -> None:
        self._scratch = tempfile.mkdtemp(prefix="sparkscore-", dir=_scratch_root())
        spool = os.path.join(context.job_folder, SPOOL)
        base = context.job_folder if is_place(spool, context.logs_marker) else self._scratch
        self.inputs = InputStage(
            context.input_root,
            context.transport,
            scratch=self._scratch,
            options=context.input_options,
        )
        folders = AttemptFolders(os.path.join(base, "staging", "files"))
        self._log = open_worker_log(
            context.job_folder, marker=context.logs_marker, scratch=self._scratch
        )
        environment = host_environment(
            context.scoring,
            worker=os.environ,
            input_root=self.inputs.root,
            output_folder=folders.current,
            cpus=slot_cpus(),
        )
        self.runner = MiniBatchRunner(
            self._make_host(context.scoring, environment, self._log),
            context.scoring,
            folders=folders,
            log=self._log,
        )

    def _make_host(
        self, scoring: ScoringMessage, environment: dict[str, str], log: ScriptLog
    ) -> HostLike:
        if scoring.isolation == "inline":
            return InlineHost(environment, stdout=log.stdout, stderr=log.stderr)
        launch = HostLaunch(
            environment,
            self._scratch,
            log.stdout,
            log.stderr,
            preload=() if scoring.code_folder else (_MLFLOW,),
            memory_limit_bytes=scoring.memory_limit_bytes,
            stack=log.stack,
            log=log.order,
        )
        _SCRIPT_HOST.use(launch, on_wait=log.follow)
        return _SCRIPT_HOST

    def close(self) -> None:
        """End the host; remove what was fetched and what the script left where it ran."""
        self.runner.close()
        self._log.close()
        self.inputs.close()
        shutil.rmtree(self._scratch, ignore_errors=True)


_SCRIPT_HOST = ScriptHost()
"""The worker's one script host: its guard, with what it has imported, serves job after job."""

_SESSIONS: dict[tuple[str, str, str], WorkerSession] = {}


def worker_session(context: TaskContext) -> WorkerSession:
    """The session of this worker for the context's job; another job's session is ended."""
    key = (context.job_folder, context.scoring.job_name, context.scoring.digest)
    if key not in _SESSIONS:
        if not _SESSIONS:
            gc.collect()
            gc.freeze()
        for other in list(_SESSIONS):
            _SESSIONS.pop(other).close()
        _SESSIONS[key] = WorkerSession(context)
    return _SESSIONS[key]


def score_partition(
    batches: Iterable[pa.RecordBatch], context: TaskContext
) -> Iterator[pa.RecordBatch]:
    """Score the tasks whose indices stand in ``batches``; yields staged rows.

    Given to ``mapInArrow``. Runs in the worker's main thread. Bad mini-batches become outcomes,
    never errors: an error here means that Spark is to run the task again.
    """
    become_subreaper()
    for batch in batches:
        for index in batch.column(0).to_pylist():
            yield from score_task(context, context.wave.value[index])


def score_task(context: TaskContext, task: str) -> Iterator[pa.RecordBatch]:
    """Score the mini-batches of one task; yields staged rows in their order."""
    session = worker_session(context)
    session.runner.open()
    mini_batches = [
        MiniBatch(entry[0], tuple(entry[1]), tuple(entry[2])) for entry in json.loads(task)
    ]
    finished: dict[int, str] = {}
    limit = FailureLimit(context)
    stop_at = time.monotonic() + context.seconds_left
    writer = StagedRows()
    for position, mini_batch in enumerate(mini_batches):
        scored = _score(session, mini_batch, mini_batches[position + 1 : position + 2], context)
        text = codec.to_json(scored.outcome)
        finished[mini_batch.mini_batch_id] = text
        yield from writer.add(scored, text)
        if limit.passed_by(scored.outcome) or time.monotonic() > stop_at:
            break
    session.runner.rest()
    yield from writer.flush()
    session.inputs.clear()
    context.finished.add(finished)


def _score(
    session: WorkerSession,
    mini_batch: MiniBatch,
    following: list[MiniBatch],
    context: TaskContext,
) -> ScoredMiniBatch:
    session.inputs.prefetch(mini_batch.paths, mini_batch.etags)
    for upcoming in following:
        session.inputs.prefetch(upcoming.paths, upcoming.etags)
    scored = session.runner.score(mini_batch, session.inputs, schema=context.schema)
    session.inputs.release(mini_batch.paths)
    return scored


class FailureLimit:
    """Whether a task's own failures have decided the job."""

    def __init__(self, context: TaskContext) -> None:
        self._inputs_left = context.failed_inputs_left
        self._mini_batches_left = context.failed_mini_batches_left
        self._inputs = self._mini_batches = 0

    def passed_by(self, outcome: MiniBatchOutcome) -> bool:
        """Count an outcome; True once the job cannot succeed any more."""
        self._inputs += outcome.failed
        self._mini_batches += outcome.status == FAILED
        return (
            outcome.status == INIT_FAILED
            or (self._inputs_left is not None and self._inputs > self._inputs_left)
            or (
                self._mini_batches_left is not None and self._mini_batches > self._mini_batches_left
            )
        )


class StagedRows:
    """Gathers staged rows into record batches of a few megabytes.

    One batch a mini-batch would cost more than a quick ``run``; one row may be as large as a part.
    """

    schema = pa.schema(
        [
            ("mini_batch_id", pa.int64()),
            ("part", pa.int32()),
            ("outcome", pa.string()),
            ("payload", pa.binary()),
        ]
    )

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._rows: list[tuple[int, int, str | None, Any]] = []
        self._bytes = 0
        self._since = clock()

    def add(self, scored: ScoredMiniBatch, outcome: str) -> Iterator[pa.RecordBatch]:
        """Take the rows of one mini-batch; yields batches that are due."""
        payloads = scored.payloads or (None,)
        last = len(payloads) - 1
        for part, payload in enumerate(payloads):
            size = (0 if payload is None else len(payload)) + (len(outcome) if part == last else 0)
            if self._rows and self._bytes + size > _BATCH_BYTES:
                yield from self.flush()
            row = (scored.outcome.mini_batch_id, part, outcome if part == last else None, payload)
            self._rows.append(row)
            self._bytes += size
        if len(self._rows) >= _BATCH_ROWS or self._clock() - self._since > _BATCH_SECONDS:
            yield from self.flush()

    def flush(self) -> Iterator[pa.RecordBatch]:
        """Yield the rows that are left."""
        if self._rows:
            ids, parts, outcomes, payloads = zip(*self._rows)
            self._rows, self._bytes = [], 0
            columns = [
                pa.array(ids, pa.int64()),
                pa.array(parts, pa.int32()),
                pa.array(outcomes, pa.string()),
                _binary_array(payloads),
            ]
            yield pa.RecordBatch.from_arrays(columns, schema=self.schema)
        self._since = self._clock()


def _binary_array(payloads: tuple[Any, ...]) -> pa.Array:
    """A single large payload goes through without a copy."""
    if len(payloads) == 1 and payloads[0] is not None:
        buffer = pa.py_buffer(payloads[0])
        offsets = pa.array([0, buffer.size], pa.int32()).buffers()[1]
        return pa.Array.from_buffers(pa.binary(), 1, [None, offsets, buffer])
    return pa.array([None if item is None else bytes(item) for item in payloads], pa.binary())


def _scratch_root() -> str | None:
    """Spark's scratch disk if it named one: often larger than the system's temporary folder."""
    folders = os.environ.get("SPARK_LOCAL_DIRS", "").split(",")
    return folders[0] if folders[0] and os.path.isdir(folders[0]) else None
