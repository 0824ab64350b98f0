"""Staged files as waves leave them, written without Spark."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sparkscore.driver.staging import STAGED_SCHEMA
from sparkscore.executor.results import iter_payloads, results_table
from sparkscore.messages.codec import to_json
from sparkscore.messages.outcome import SUCCEEDED, MiniBatchOutcome

StagedRow = tuple[int, int, "str | None", "bytes | None"]


def outcome(mini_batch_id: int, *, rows: int) -> MiniBatchOutcome:
    return MiniBatchOutcome(
        mini_batch_id, SUCCEEDED, 1, 0, rows, 1, 0, 0.0, 0.1, host="host", process=1
    )


def staged_rows(mini_batch_id: int, table: pa.Table, *, part_bytes: int) -> list[StagedRow]:
    payloads: list[bytes | None] = list(iter_payloads(table, part_bytes)) or [None]
    account = to_json(outcome(mini_batch_id, rows=table.num_rows))
    last = len(payloads) - 1
    return [
        (mini_batch_id, part, account if part == last else None, payload)
        for part, payload in enumerate(payloads)
    ]


def write_staged(path: Path, rows: Sequence[StagedRow], *, row_group_rows: int = 1000) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    columns = [list(column) for column in zip(*rows, strict=True)] or [[], [], [], []]
    table = pa.table(columns, schema=STAGED_SCHEMA)
    pq.write_table(
        table, path, compression="none", use_dictionary=False, row_group_size=row_group_rows
    )
    return path


@pytest.fixture
def store() -> Iterator[Any]:
    """fsspec's store in this process's memory, ``memory://``; empty."""
    content = fsspec.filesystem("memory")
    content.store.clear()
    yield content
    content.store.clear()


@pytest.fixture
def make_wave(tmp_path: Path) -> Callable[..., list[Path]]:
    """Writes what a wave with these results would stage: one list of tables a file."""

    def make(
        *files: dict[int, Any],
        number: int = 0,
        part_bytes: int = 1024 * 1024,
        is_committed: bool = True,
        row_group_rows: int = 1000,
    ) -> list[Path]:
        folder = tmp_path / "staging" / f"wave-{number:05d}.1"
        paths = []
        for index, results in enumerate(files):
            rows = [
                row
                for mini_batch_id, value in results.items()
                for row in staged_rows(
                    mini_batch_id, results_table(value).table, part_bytes=part_bytes
                )
            ]
            path = folder / f"part-{index:05d}-0.parquet"
            paths.append(write_staged(path, rows, row_group_rows=row_group_rows))
        if is_committed:
            (folder / "_SUCCESS").touch()
        return paths

    return make
