"""Staged rows as a worker gives them to Spark. Python worker process."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Callable

import pyarrow as pa

if TYPE_CHECKING:
    from sparkscore.executor.runner import ScoredMiniBatch

_BATCH_ROWS = 512
_BATCH_BYTES = 4 * 1024 * 1024
_BATCH_SECONDS = 2.0

STAGED_SCHEMA = pa.schema(
    [
        ("mini_batch_id", pa.int64()),
        ("part", pa.int32()),
        ("outcome", pa.string()),
        ("payload", pa.binary()),
    ]
)


class StagedRows:
    """Gathers staged rows into record batches of a few megabytes.

    One batch a mini-batch would cost more than a quick ``run``; one row may be as large as a part.
    """

    schema = STAGED_SCHEMA
    is_full = False
    """Whether the task has given enough; a shared folder takes whatever comes."""

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
            yield pa.RecordBatch.from_arrays(columns, schema=STAGED_SCHEMA)
        self._since = self._clock()


def _binary_array(payloads: tuple[Any, ...]) -> pa.Array:
    """A single large payload goes through without a copy."""
    if len(payloads) == 1 and payloads[0] is not None:
        buffer = pa.py_buffer(payloads[0])
        offsets = pa.array([0, buffer.size], pa.int32()).buffers()[1]
        return pa.Array.from_buffers(pa.binary(), 1, [None, offsets, buffer])
    return pa.array([None if item is None else bytes(item) for item in payloads], pa.binary())
