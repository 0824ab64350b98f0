"""The mini-batches of a job, one by one and together, while it runs and after. Control plane.

numpy and pyarrow in functions.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sparkscore.control.jobs.errors import LEDGER
from sparkscore.control.jobs.job import Job, refuse_pruned
from sparkscore.control.jobs.look import find_live_status
from sparkscore.control.jobs.mini_batch_columns import Columns, read_columns
from sparkscore.control.jobs.mini_batch_shapes import (
    Durations,
    Throughput,
    Timeline,
    draw_timeline,
    measure_durations,
    measure_throughput,
)
from sparkscore.control.jobs.mirror import reading_job_folder
from sparkscore.errors import InvalidFieldError, MessageError, NotFoundError

if TYPE_CHECKING:
    import numpy as np

SUCCEEDED, RETRIED, FAILED = "succeeded", "retried", "failed"
RUNNING, PENDING = "running", "pending"
STATES = (PENDING, RUNNING, SUCCEEDED, RETRIED, FAILED)
"""What a mini-batch can be: retried ones have succeeded, of failed ones inputs may have, running
ones are in a wave that Spark works on, pending ones are not."""

EVENTS = "events.jsonl"


@dataclass(frozen=True)
class MiniBatch:
    """One mini-batch; what is not known (yet) is None.

    ``seconds`` is the time with all attempts, ``started_at`` in seconds since the epoch.
    """

    id: int
    state: str
    inputs: int | None = None
    failed: int | None = None
    rows: int | None = None
    attempts: int | None = None
    retries: int | None = None
    started_at: float | None = None
    seconds: float | None = None
    host: str | None = None
    process: int | None = None
    condition: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """All fields."""
        return dataclasses.asdict(self)


@dataclass(frozen=True)
class MiniBatchDetails(MiniBatch):
    """All that the ledger has of a mini-batch; the rest is None until the job has ended.

    ``failures`` are failed inputs: path, condition and count. ``message`` and ``traceback`` are
    those of the last failed attempt.
    """

    bad_rows: int | None = None
    peak_memory_bytes: int | None = None
    cpu_seconds: float | None = None
    message: str | None = None
    traceback: str | None = None
    script_line: str | None = None
    script_traceback: str | None = None
    error_attempt: int | None = None
    error_process: int | None = None
    failures: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True)
class Cell:
    """The mini-batches from ``first`` up to, not including, ``stop``: how many are what."""

    first: int
    stop: int
    counts: dict[str, int]

    @property
    def state(self) -> str:
        """What deserves attention most: any failure, retries of a tenth of what is finished or
        more, then work that goes on."""
        if self.counts[FAILED]:
            return FAILED
        if self.counts[RETRIED] * 10 >= max(1, self.finished):
            return RETRIED
        if self.counts[RUNNING]:
            return RUNNING
        return SUCCEEDED if self.counts[SUCCEEDED] else PENDING

    @property
    def finished(self) -> int:
        """How many have an outcome."""
        return self.counts[SUCCEEDED] + self.counts[RETRIED] + self.counts[FAILED]


@dataclass(frozen=True)
class MiniBatches:
    """The ``count`` mini-batches of a job (ids from 0), as they were when it was looked at.

    ``in_flight`` are ids, as ranges, of the waves that Spark works on.
    """

    job: Job = field(repr=False)
    count: int
    columns: Columns = field(repr=False)
    in_flight: tuple[tuple[int, int], ...] = ()

    @cached_property
    def states(self) -> np.ndarray[Any, Any]:
        """The position in STATES of each mini-batch."""
        import numpy as np

        states = np.zeros(self.count, dtype=np.uint8)
        for first, stop in self.in_flight:
            states[max(first, 0) : max(stop, 0)] = STATES.index(RUNNING)
        done = np.full(len(self.columns), STATES.index(SUCCEEDED), dtype=np.uint8)
        done[self.columns.retries > 0] = STATES.index(RETRIED)
        done[self.columns.is_failed] = STATES.index(FAILED)
        states[self.columns.ids] = done
        return states

    @cached_property
    def counts(self) -> dict[str, int]:
        """How many mini-batches are what, for each of STATES."""
        import numpy as np

        return _count(np.bincount(self.states, minlength=len(STATES)))

    def cells(self, most: int = 240) -> list[Cell]:
        """All mini-batches in at most so many cells of the same size; the last may be smaller."""
        import numpy as np

        if self.count == 0:
            return []
        size = -(-self.count // most)
        cell_count = -(-self.count // size)
        keys = np.arange(self.count) // size * len(STATES) + self.states
        counts = np.bincount(keys, minlength=cell_count * len(STATES)).reshape(cell_count, -1)
        return [
            Cell(index * size, min((index + 1) * size, self.count), _count(row))
            for index, row in enumerate(counts)
        ]

    def select(
        self,
        *,
        states: Sequence[str] = (),
        first: int = 0,
        stop: int | None = None,
        skip: int = 0,
        limit: int | None = None,
    ) -> list[MiniBatch]:
        """Mini-batches by id from ``first`` up to ``stop``, those of ``states`` if any are given.

        ``skip`` leaves out so many of them, ``limit`` is how many are wanted. Raises
        InvalidFieldError (UNKNOWN_STATE).
        """
        ids = self._find_ids(states, first, stop)
        page = ids[skip:] if limit is None else ids[skip : skip + limit]
        return list(self._iter_rows(page))

    def count_matching(
        self, *, states: Sequence[str] = (), first: int = 0, stop: int | None = None
    ) -> int:
        """How many ``select`` would give without ``skip`` and ``limit``."""
        return len(self._find_ids(states, first, stop))

    def get(self, mini_batch: int) -> MiniBatchDetails:
        """All that is known of one. Raises NotFoundError (MINI_BATCH_NOT_FOUND), MessageError."""
        if not 0 <= mini_batch < self.count:
            raise NotFoundError(
                f"job {self.job.name} has no mini-batch {mini_batch}: "
                + (f"ids go from 0 to {self.count - 1}" if self.count else "none is known yet"),
                condition="MINI_BATCH_NOT_FOUND",
                job=self.job.name,
                mini_batch=mini_batch,
            )
        (known,) = self.select(first=mini_batch, stop=mini_batch + 1)
        with _reading(self.job) as folder:
            more = _find_ledger_row(folder / LEDGER, mini_batch)
        return MiniBatchDetails(**known.to_dict(), **more)

    def measure_throughput(self, most: int = 120) -> Throughput | None:
        """Inputs per second over time."""
        return measure_throughput(self.columns, most=most)

    def measure_durations(self, most: int = 30) -> Durations | None:
        """How many mini-batches lasted how long."""
        return measure_durations(self.columns, most=most)

    def draw_timeline(self, most_slots: int = 40) -> Timeline:
        """What ran when on which slot."""
        return draw_timeline(self.columns, most_slots=most_slots)

    def _find_ids(
        self, states: Sequence[str], first: int, stop: int | None
    ) -> np.ndarray[Any, Any]:
        import numpy as np

        wanted = [_find_state(state) for state in states]
        low, high = max(0, first), self.count if stop is None else min(stop, self.count)
        ids = np.arange(low, max(low, high))
        return ids[np.isin(self.states[ids], wanted)] if wanted else ids

    def _iter_rows(self, ids: np.ndarray[Any, Any]) -> Iterator[MiniBatch]:
        import numpy as np

        columns = self.columns
        positions = np.searchsorted(columns.ids, ids)
        for mini_batch, at in zip(ids.tolist(), positions.tolist(), strict=True):
            state = STATES[int(self.states[mini_batch])]
            if at >= len(columns) or columns.ids[at] != mini_batch:
                yield MiniBatch(mini_batch, state)
                continue
            condition = int(columns.condition[at])
            yield MiniBatch(
                mini_batch,
                state,
                inputs=int(columns.inputs[at]),
                failed=int(columns.failed[at]),
                rows=int(columns.rows[at]),
                attempts=int(columns.attempts[at]),
                retries=int(columns.retries[at]),
                started_at=float(columns.started_at[at]),
                seconds=float(columns.seconds[at]),
                host=columns.hosts[int(columns.host[at])],
                process=int(columns.process[at]),
                condition=None if condition < 0 else columns.conditions[condition],
            )


def find_mini_batches(job: Job) -> MiniBatches:
    """See ``Job.mini_batches``."""
    refuse_pruned(job)
    with _reading(job) as folder:
        columns = read_columns(folder)
        in_flight = () if job.is_ended else _find_in_flight(folder / EVENTS)
    count = _find_count(job)
    return MiniBatches(job, count, columns.of_plan(count), in_flight)


def _find_count(job: Job) -> int:
    """How many there are: 0 before they are planned."""
    if job.summary is not None:
        return job.summary.mini_batches.total
    status = job.progress or find_live_status(job.record)
    return 0 if status is None else status.mini_batches


def _reading(job: Job) -> AbstractContextManager[Path]:
    """The job's folder; once it has ended, its copy where the folder is gone.

    A job that runs on another machine has nothing in its copy that would be read here.
    """
    if not job.is_ended:
        return nullcontext(Path(job.record.folder))
    return reading_job_folder(job, is_wanted=lambda path: path == LEDGER.as_posix())


def _find_state(name: str) -> int:
    if name not in STATES:
        raise InvalidFieldError(
            f"no mini-batch is ever {name!r}: there are {', '.join(STATES)}",
            condition="UNKNOWN_STATE",
            key="state",
            value=name,
        )
    return STATES.index(name)


def _count(row: Any) -> dict[str, int]:
    return dict(zip(STATES, row.tolist(), strict=True))


def _find_in_flight(events: Path) -> tuple[tuple[int, int], ...]:
    """The mini-batches of waves that have started and not been committed.

    Waves are numbered anew in each run, which begins with an event of its status.
    """
    waves: dict[int, list[tuple[int, int]]] = {}
    try:
        lines = events.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ()
    for line in lines:
        try:
            event = json.loads(line)
            kind, details = event["type"], event["details"]
            if kind == "status":
                waves.clear()
            elif kind == "wave_started":
                waves[details["wave"]] = [(int(a), int(b)) for a, b in details["mini_batches"]]
            elif kind == "wave_committed":
                waves.pop(details["wave"], None)
        except (ValueError, KeyError, TypeError):
            continue
    return tuple(sorted(piece for pieces in waves.values() for piece in pieces))


def _find_ledger_row(ledger: Path, mini_batch: int) -> dict[str, Any]:
    """What only the ledger has of a mini-batch; nothing while it is incomplete."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    names = [one.name for one in dataclasses.fields(MiniBatchDetails)]
    wanted = names[len(dataclasses.fields(MiniBatch)) :]
    try:
        found = pq.read_table(
            ledger, columns=wanted, filters=[("mini_batch_id", "=", mini_batch)]
        ).to_pylist()
    except (OSError, pa.ArrowException):
        return {}
    if not found:
        return {}
    try:
        failures = json.loads(found[0].pop("failures") or "[]")
    except ValueError as error:
        raise MessageError(f"{ledger} cannot be read: {error}", where=str(ledger)) from error
    return {**found[0], "failures": tuple(failures)}
