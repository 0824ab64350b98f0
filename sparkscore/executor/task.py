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
from dataclasses import dataclass, field, replace
from typing import Any

import pyarrow as pa

from sparkscore.executor.attempt_folders import AttemptFolders
from sparkscore.executor.devices import find_devices
from sparkscore.executor.environment import open_environment
from sparkscore.executor.host_environment import host_environment, slot_cpus
from sparkscore.executor.host_launch import HostLaunch
from sparkscore.executor.inline_host import InlineHost
from sparkscore.executor.inputs import InputStage
from sparkscore.executor.log_place import SPOOL, is_place, open_private_log, open_worker_log
from sparkscore.executor.processes import become_subreaper
from sparkscore.executor.relay import (
    MAX_MINI_BATCH_BYTES,
    SCRIPT_FILES,
    RelayedLogs,
    RelayedRows,
)
from sparkscore.executor.runner import HostLike, MiniBatchRunner, ScoredMiniBatch
from sparkscore.executor.script_host import ScriptHost
from sparkscore.executor.script_log import ScriptLog
from sparkscore.executor.shipped import Shipped, place_shipped
from sparkscore.executor.staged_rows import StagedRows
from sparkscore.messages import codec
from sparkscore.messages.launch import ScoringMessage
from sparkscore.messages.mini_batch import MiniBatch
from sparkscore.messages.outcome import FAILED, INIT_FAILED, MiniBatchOutcome

_MLFLOW = "sparkscore.executor.mlflow_warm_up:warm_up"


@dataclass(frozen=True)
class TaskContext:
    """What each task of a wave needs; travels in the closure.

    ``wave`` is a broadcast of the wave's mini-batches, one JSON text a task. ``job_folder`` is
    used where it is visible, which ``logs_marker`` tells, see ``open_worker_log``.
    ``failed_inputs_left`` and ``failed_mini_batches_left`` end the task once passed, None for
    never; ``seconds_left`` ends it with the first mini-batch that ends after that time.
    ``finished`` is an accumulator of outcomes by mini-batch. ``input_options`` say how to reach
    the inputs' store. With ``shipped`` the worker sees no folder of the driver's: model and code
    come from there, and all that it makes goes to the driver as rows.
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
    shipped: Shipped | None = None


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
    """A worker's script host, input stage and logs for one deployment of one job.

    ``devices`` are the GPUs that its scripts see: a host cannot change them while it runs.
    """

    def __init__(self, context: TaskContext, *, devices: tuple[str, ...] = ()) -> None:
        self._sent: RelayedLogs | None = None
        if context.shipped is not None:
            placed = place_shipped(context.scoring, context.shipped, root=_scratch_root())
            context = replace(context, scoring=placed)
        self._scratch = tempfile.mkdtemp(prefix="sparkscore-", dir=_scratch_root())
        self.inputs = InputStage(
            context.input_root,
            context.transport,
            scratch=self._scratch,
            options=context.input_options,
        )
        self._folders = folders = self._make_folders(context)
        self._log = self._open_log(context)
        environment = host_environment(
            context.scoring,
            worker=os.environ,
            input_root=self.inputs.root,
            output_folder=folders.current,
            cpus=slot_cpus(),
            devices=devices,
        )
        self.runner = MiniBatchRunner(
            self._make_host(context.scoring, environment, self._log, job_folder=context.job_folder),
            context.scoring,
            folders=folders,
            log=self._log,
            max_bytes=0 if context.shipped is None else MAX_MINI_BATCH_BYTES,
        )

    def make_rows(self) -> StagedRows | RelayedRows:
        """What gathers the rows of a task."""
        return StagedRows() if self._sent is None else RelayedRows(self._folders, self._sent)

    def _make_folders(self, context: TaskContext) -> AttemptFolders:
        here = os.path.join(self._scratch, SCRIPT_FILES)
        os.makedirs(os.path.dirname(here), exist_ok=True)
        shared = os.path.join(context.job_folder, SCRIPT_FILES)
        if context.shipped is not None:
            return AttemptFolders(here, told_root=shared)
        spool = os.path.join(context.job_folder, SPOOL)
        return AttemptFolders(shared if is_place(spool, context.logs_marker) else here)

    def _open_log(self, context: TaskContext) -> ScriptLog:
        if context.shipped is None:
            return open_worker_log(
                context.job_folder, marker=context.logs_marker, scratch=self._scratch
            )
        folder = os.path.join(self._scratch, "logs")
        log = open_private_log(folder, raw=os.path.join(self._scratch, ".log"))
        self._sent = RelayedLogs(log.files, folder)
        return log

    def _make_host(
        self,
        scoring: ScoringMessage,
        environment: dict[str, str],
        log: ScriptLog,
        *,
        job_folder: str,
    ) -> HostLike:
        if scoring.isolation == "inline":
            return InlineHost(environment, stdout=log.stdout, stderr=log.stderr)
        python = open_environment(scoring.environment, job_folder=job_folder)
        launch = HostLaunch(
            python.adapt(environment),
            self._scratch,
            log.stdout,
            log.stderr,
            python=python.path,
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

_SESSIONS: dict[tuple[str, ...], WorkerSession] = {}


def worker_session(context: TaskContext) -> WorkerSession:
    """The session of this worker for the context's job and the task's GPUs; any other is ended."""
    devices = find_devices()
    key = (context.job_folder, context.scoring.job_name, context.scoring.digest, *devices)
    if key not in _SESSIONS:
        if not _SESSIONS:
            gc.collect()
            gc.freeze()
        for other in list(_SESSIONS):
            _SESSIONS.pop(other).close()
        _SESSIONS[key] = WorkerSession(context, devices=devices)
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
    writer = session.make_rows()
    for position, mini_batch in enumerate(mini_batches):
        scored = _score(session, mini_batch, mini_batches[position + 1 : position + 2], context)
        text = codec.to_json(scored.outcome)
        finished[mini_batch.mini_batch_id] = text
        yield from writer.add(scored, text)
        if limit.passed_by(scored.outcome) or writer.is_full or time.monotonic() > stop_at:
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


def _scratch_root() -> str | None:
    """Spark's scratch disk if it named one: often larger than the system's temporary folder."""
    folders = os.environ.get("SPARK_LOCAL_DIRS", "").split(",")
    return folders[0] if folders[0] and os.path.isdir(folders[0]) else None
