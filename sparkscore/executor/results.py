"""What ``run`` returned, as an Arrow table and as the payloads that are staged. Script host.

A DataFrame gives its columns (index dropped), a list, tuple, array or Series one column
``prediction``, a list of dicts one column per key. See ``columns`` for values and types.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from sparkscore.errors import InvalidScoringResultError, PublishError
from sparkscore.executor.columns import arrow_column, list_column, numpy_column, series_column
from sparkscore.executor.result_schema import INEXACT_AS_FLOAT

PREDICTION = "prediction"

ACCOUNT_KEY = "sparkscore"
"""Key of DataFrame.attrs and of Table metadata with what the built-in script has to tell."""

PART_BYTES = 8 * 1024 * 1024
MAX_ROW_BYTES = 512 * 1024 * 1024
MAX_ROWS = 2**31 - 1
"""How many rows one call of ``run`` may return: a column without values has them for nothing."""
MAX_BAD_ROWS = 100_000
"""How many rows one call may leave out: each has a line in the account."""

_ROWS_KEY = b"sparkscore.rows"
_WIDE_INTEGERS = (pa.int64(), pa.uint64())


@dataclass(frozen=True)
class Results:
    """The results of one call of ``run``: ``count`` rows or elements in ``table``.

    ``inputs_done`` is how many inputs they stand for if the script said so, ``bad_rows`` the rows
    it left out (``file``, ``row``, ``message``).
    """

    table: Any
    count: int
    inputs_done: int | None = None
    bad_rows: list[dict[str, Any]] = field(default_factory=list)


def results_table(value: Any) -> Results:
    """The results that ``run`` returned.

    Raises InvalidScoringResultError if the value is none of the types that ``run`` may return.
    """
    if isinstance(value, pd.DataFrame):
        account = value.attrs.get(ACCOUNT_KEY)
        return _results(_frame_table(value), len(value), account)
    if isinstance(value, pa.Table):
        account = (value.schema.metadata or {}).get(ACCOUNT_KEY.encode())
        return _results(_arrow_table(value), value.num_rows, account)
    if isinstance(value, pd.Series):
        return _results(_series_table(value), len(value), None)
    if isinstance(value, np.ndarray) and value.ndim > 0:
        return _results(_array_table(value), len(value), None)
    if isinstance(value, (list, tuple)):
        return _results(_sequence_table(list(value)), len(value), None)
    raise _refused(value)


def _refused(value: Any) -> InvalidScoringResultError:
    found = "None" if value is None else type(value).__name__
    return InvalidScoringResultError(
        f"run() returned {found}; it must return a pandas DataFrame or a list (also a tuple, NumPy "
        "array, pandas Series or Arrow table) with one element or row per result",
        condition="INVALID_RESULT_TYPE",
        type=found,
    )


def _results(table: Any, count: int, account: Any) -> Results:
    if count > MAX_ROWS:
        raise InvalidScoringResultError(
            f"run() returned {count} rows, the limit is {MAX_ROWS}: return fewer, or make "
            "mini_batch_size smaller",
            condition="RESULT_TOO_LARGE",
            count=count,
        )
    if count and not table.num_columns:
        raise InvalidScoringResultError(
            f"run() returned {count} results without any column: give each at least one value",
            condition="RESULT_WITHOUT_COLUMNS",
            count=count,
        )
    if account is None:
        return Results(table, count)
    inputs_done, bad_rows = _read_account(account)
    return Results(table, count, inputs_done, bad_rows)


def _read_account(account: Any) -> tuple[int | None, list[dict[str, Any]]]:
    content = account if isinstance(account, dict) else json.loads(account)
    inputs, left_out = content.get("inputs"), content.get("bad_rows", ())
    if len(left_out) > MAX_BAD_ROWS:
        raise InvalidScoringResultError(
            f"{len(left_out)} rows were skipped (on_bad_row) in one mini-batch, {MAX_BAD_ROWS} can "
            "be listed: correct the file, or split it",
            condition="TOO_MANY_BAD_ROWS",
            count=len(left_out),
        )
    bad_rows = [
        {"file": str(row["file"]), "row": int(row["row"]), "message": str(row["message"])}
        for row in left_out
    ]
    return (None if inputs is None else int(inputs)), bad_rows


def _frame_table(frame: Any) -> Any:
    names = _column_names(list(frame.columns))
    return _table([series_column(column) for _, column in frame.items()], names)


def _arrow_table(table: Any) -> Any:
    names = _column_names(table.column_names)
    return _table([arrow_column(column) for column in table.columns], names)


def _series_table(series: Any) -> Any:
    if series.dtype == object:
        return _sequence_table(series.tolist())
    return _table([series_column(series)], [PREDICTION])


def _array_table(values: Any) -> Any:
    if values.dtype.names:
        return _table(
            [numpy_column(values[name]) for name in values.dtype.names], list(values.dtype.names)
        )
    if values.ndim == 1 and values.dtype != object:
        return _table([numpy_column(values)], [PREDICTION])
    if values.ndim == 2:
        width = values.shape[1]
        names = _column_names(list(range(width)))
        return _table([numpy_column(np.asarray(values)[:, i]) for i in range(width)], names)
    return _sequence_table(list(values))


def _sequence_table(values: list[Any]) -> Any:
    if not values:
        return _table([], [])
    if all(isinstance(value, dict) for value in values):
        return _records_table(values)
    return _table([list_column(values)], [PREDICTION])


def _records_table(records: list[dict[Any, Any]]) -> Any:
    keys = list(dict.fromkeys(key for record in records for key in record))
    columns = [list_column([record.get(key) for record in records]) for key in keys]
    return _table(columns, _column_names(keys))


def _column_names(labels: list[Any]) -> list[str]:
    if len(labels) == 1 and (_is_unnamed(labels[0]) or labels[0] == 0):
        return [PREDICTION]
    names = [_column_name(label, position) for position, label in enumerate(labels)]
    if len(set(names)) < len(names):
        name = Counter(names).most_common(1)[0][0]
        raise InvalidScoringResultError(
            f"run() returned several columns named {name!r}: give each its own name",
            condition="DUPLICATE_RESULT_COLUMN",
            column=name,
        )
    return names


def _is_unnamed(label: Any) -> bool:
    """None, an empty name, or the NaN that pandas 3 makes of None."""
    return bool(label is None or label == "" or label != label)


def _column_name(label: Any, position: int) -> str:
    if isinstance(label, tuple):
        label = "_".join(str(part) for part in label if part != "")
    name = str(position) if _is_unnamed(label) else str(label)
    return name.encode("utf-8", "replace").decode()


def _table(columns: list[Any], names: list[str]) -> Any:
    fields = [_result_field(name, column) for name, column in zip(names, columns)]
    return pa.Table.from_arrays(columns, schema=pa.schema(fields))


def _result_field(name: str, column: Any) -> Any:
    kind = column.type
    if kind in _WIDE_INTEGERS and len(column):
        bounds = pc.min_max(column)
        low, high = bounds["min"].as_py(), bounds["max"].as_py()
        if low is not None and (low < -(2**53) or high > 2**53):
            return pa.field(name, kind, metadata={INEXACT_AS_FLOAT: b"1"})
    return pa.field(name, kind)


def iter_payloads(table: Any, part_bytes: int = PART_BYTES) -> Iterator[bytes]:
    """The table as self-contained Arrow IPC streams, cut by rows at about ``part_bytes`` each.

    The size is that before compression, so that a part is never large for whoever reads it. Raises
    InvalidScoringResultError (RESULT_TOO_LARGE) for a single row above 512 MB.
    """
    if not table.num_rows:
        return
    size_bytes = table.nbytes
    if size_bytes <= part_bytes or table.num_rows == 1:
        yield _payload(table, size_bytes)
        return
    row_count = max(1, min(table.num_rows // 2, table.num_rows * part_bytes // size_bytes))
    for start in range(0, table.num_rows, row_count):
        yield from iter_payloads(table.slice(start, row_count), part_bytes)


def empty_payload(table: Any) -> bytes:
    """A payload without rows, which tells the columns of ``table``."""
    return _payload(table.slice(0, 0), 0)


def _payload(table: Any, size_bytes: int) -> bytes:
    if size_bytes > MAX_ROW_BYTES and table.num_rows == 1:
        raise InvalidScoringResultError(
            f"one result takes {size_bytes // 2**20} MB, the limit is {MAX_ROW_BYTES // 2**20} MB: "
            "write large results to files (output_action: summary_only)",
            condition="RESULT_TOO_LARGE",
            bytes=size_bytes,
        )
    schema = table.schema.with_metadata({_ROWS_KEY: str(table.num_rows).encode()})
    sink = pa.BufferOutputStream()
    options = pa.ipc.IpcWriteOptions(compression="zstd" if size_bytes > 1024 else None)
    with pa.ipc.new_stream(sink, schema, options=options) as writer:
        writer.write_table(table.replace_schema_metadata(schema.metadata))
    content: bytes = sink.getvalue().to_pybytes()
    return content


def read_payload(buffer: Any) -> Any:
    """The table in a payload. Raises PublishError (STAGING_DAMAGED) if it is not whole."""
    try:
        table = pa.ipc.open_stream(buffer).read_all()
    except (pa.ArrowException, OSError) as error:
        raise PublishError(
            f"a staged result cannot be read: {error}; run the job again",
            condition="STAGING_DAMAGED",
        ) from error
    metadata = table.schema.metadata or {}
    if metadata.get(_ROWS_KEY) != str(table.num_rows).encode():
        raise PublishError(
            f"a staged result holds {table.num_rows} rows, not what was written; run the job again",
            condition="STAGING_DAMAGED",
        )
    return table.replace_schema_metadata(None)
