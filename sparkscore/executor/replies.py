"""What a script host answered, checked before it is believed. Python worker process.

The user's code shares the host's process and can send anything. Whatever does not hold is a
ReplyError here, so that it costs an attempt and never reaches the account or the output.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import pyarrow as pa

from sparkscore.errors import PublishError
from sparkscore.executor.failure_text import MAX_MESSAGE_CHARACTERS, clean_text, make_failure
from sparkscore.executor.frames import MAX_PARTS_BYTES
from sparkscore.executor.payload_size import unpacked_bytes
from sparkscore.executor.result_schema import schema_from_bytes
from sparkscore.executor.result_types import is_settled
from sparkscore.executor.results import MAX_BAD_ROWS, MAX_ROW_BYTES, MAX_ROWS, read_payload
from sparkscore.executor.script_host import Reply
from sparkscore.messages.outcome import BadRow, ScoringFailure

_MAX_PART_BYTES = 2 * MAX_ROW_BYTES
"""Unpacked; a part holds one row or about PART_BYTES."""
_MAX_REPLY_BYTES = 16 * MAX_PARTS_BYTES
"""All parts unpacked."""


class ReplyError(Exception):
    """A reply that no host of ours sends."""


@dataclass(frozen=True)
class RunReply:
    """What a successful ``run`` gave; ``missing`` are positions of inputs that no row names."""

    inputs_done: int
    rows: int
    missing: list[int] | None
    bad_rows: list[BadRow]


def read_run_reply(reply: Reply, *, inputs: int, merged: bool, schema: str | None) -> RunReply:
    """The account in a reply to ``run`` with so many inputs; raises ReplyError.

    With ``merged`` the reply's parts are the results, of the pinned ``schema`` (Arrow's bytes as
    base64) if there is one; else there are none.
    """
    header = reply.header
    rows = _count(header, "rows", most=MAX_ROWS)
    if rows != _count_rows(reply, schema) and (merged or reply.parts):
        raise ReplyError(f"{rows} rows that are not there")
    return RunReply(
        _count(header, "inputs_done", most=inputs),
        rows,
        _missing(header.get("missing"), inputs),
        _bad_rows(header.get("bad_rows")),
    )


def told_failure(reply: Reply) -> ScoringFailure:
    """The failure in a reply; raises ReplyError."""
    told = reply.header.get("failure")
    if not isinstance(told, dict):
        raise ReplyError("neither a result nor a failure")
    return make_failure(
        told.get("condition"),
        told.get("message"),
        told.get("traceback"),
        script_line=told.get("script_line", ""),
        script_traceback=told.get("script_traceback", ""),
    )


def _count(header: Mapping[str, Any], name: str, *, most: int) -> int:
    value = header.get(name)
    if type(value) is not int or not 0 <= value <= most:
        raise ReplyError(f"{str(value)[:80]} as {name}")
    return value


def _missing(value: Any, inputs: int) -> list[int] | None:
    if value is None:
        return None
    if (
        not isinstance(value, list)
        or not all(type(position) is int and 0 <= position < inputs for position in value)
        or len(set(value)) < len(value)
    ):
        raise ReplyError("missing inputs that it was not given")
    return value


def _bad_rows(values: Any) -> list[BadRow]:
    if not isinstance(values, list) or len(values) > MAX_BAD_ROWS:
        raise ReplyError("no list of bad rows, or one without end")
    return [_bad_row(value) for value in values]


def _bad_row(value: Any) -> BadRow:
    if not isinstance(value, dict):
        raise ReplyError("a bad row that is no object")
    message = clean_text(value.get("message"))[:MAX_MESSAGE_CHARACTERS]
    return BadRow(clean_text(value.get("file")), _count(value, "row", most=1 << 62), message)


def _count_rows(reply: Reply, schema: str | None) -> int:
    pinned = None if schema is None else _schema_of(schema)
    if sum(map(_unpacked_bytes, reply.parts)) > _MAX_REPLY_BYTES:
        raise ReplyError("results that are larger than they may be")
    return sum(_read_part(part, pinned).num_rows for part in reply.parts)


@lru_cache(maxsize=2)
def _schema_of(text: str) -> Any:
    return schema_from_bytes(b64decode(text))


def _unpacked_bytes(part: bytearray) -> int:
    try:
        size = unpacked_bytes(part)
    except (pa.ArrowException, OSError, ValueError, MemoryError) as error:
        raise ReplyError(f"results that cannot be read: {clean_text(error)[:200]}") from error
    if size > _MAX_PART_BYTES:
        raise ReplyError("a result that is larger than it may be")
    return size


def _read_part(part: bytearray, pinned: Any) -> Any:
    try:
        table = read_payload(pa.py_buffer(part))
        table.validate(full=True)
        is_right = _is_result_schema(table.schema) if pinned is None else table.schema == pinned
    except (PublishError, pa.ArrowException, OSError, ValueError, MemoryError) as error:
        raise ReplyError(f"results that cannot be read: {clean_text(error)[:200]}") from error
    if not is_right:
        raise ReplyError("results of other columns than were asked for")
    return table


def _is_result_schema(schema: Any) -> bool:
    is_named_once = len(set(schema.names)) == len(schema.names)
    return is_named_once and all(map(is_settled, schema.types))
