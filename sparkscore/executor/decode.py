"""Staged payloads back to rows, in a Spark job or in the driver. Python worker, driver."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import pyarrow as pa

from sparkscore.executor.result_schema import cast_table, schema_from_bytes
from sparkscore.executor.results import read_payload

_STAGED_ROWS = 64
_BATCH_ROWS, _BATCH_BYTES = 100_000, 16 * 1024 * 1024


def decode_payloads(batches: Iterable[Any], *, schema: bytes) -> Iterator[Any]:
    """Record batches of the results in the column ``payload``, cast to ``schema``.

    Given to mapInArrow with ``functools.partial``, so that it is pickled by reference.
    """
    pinned = schema_from_bytes(schema)
    tables = (
        cast_table(read_payload(payload.as_buffer()), pinned)
        for batch in batches
        for payload in batch.column(batch.schema.get_field_index("payload"))
        if payload.is_valid
    )
    for table in gathered(tables, max_rows=_BATCH_ROWS, max_bytes=_BATCH_BYTES):
        yield from table.combine_chunks().to_batches(max_chunksize=_BATCH_ROWS)


def decode_broadcasts(
    batches: Iterable[Any], *, groups: list[list[Any]], schema: bytes
) -> Iterator[Any]:
    """What ``decode_payloads`` gives of staged files that were broadcast.

    A row of ``batches`` is the index of a group. A file is forgotten once it was read: workers
    live longer than tasks.
    """
    import pyarrow.parquet as pq

    for batch in batches:
        for index in batch.column(0).to_pylist():
            for content in groups[index]:
                with pq.ParquetFile(pa.BufferReader(content.value)) as staged:
                    rows = staged.iter_batches(batch_size=_STAGED_ROWS, columns=["payload"])
                    yield from decode_payloads(rows, schema=schema)
                content.__dict__.pop("_value", None)


def gathered(tables: Iterable[Any], *, max_rows: int, max_bytes: int) -> Iterator[Any]:
    """Small tables of one schema put together; each result reaches one limit, but for the last."""
    pending: list[Any] = []
    rows = size_bytes = 0
    for table in tables:
        pending.append(table)
        rows += table.num_rows
        size_bytes += table.nbytes
        if rows >= max_rows or size_bytes >= max_bytes:
            yield pa.concat_tables(pending)
            pending, rows, size_bytes = [], 0, 0
    if pending:
        yield pa.concat_tables(pending)
