"""Failures of a job put together by what they have in common. Any process."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

MAX_SAMPLES = 5
MAX_GROUPS = 1000
"""How many groups there are at most, before messages that are all different become one."""

OTHER_MESSAGES = "(other messages)"
_MAX_HOSTS = 20
_SAMPLE_FIELDS = ("mini_batch_id", "host", "process", "attempts", "message")

_REPLACED = (
    (re.compile(r"\s+"), " "),
    (re.compile(r"(?<!\w)'[^']*'(?!\w)|\"[^\"]*\"|`[^`]*`"), "<value>"),
    (re.compile(r"\b[a-z][a-z0-9+.-]*://[^\s,;)\]]+", re.IGNORECASE), "<path>"),
    (re.compile(r"(?<![\w<])[\w.~-]*/[\w./~@%+=:-]+"), "<path>"),
    (re.compile(r"\b0x[0-9a-f]+\b", re.IGNORECASE), "<address>"),
    (re.compile(r"\b(?=[0-9a-f-]*\d)[0-9a-f]{8,}(?:-[0-9a-f]{4,})*\b", re.IGNORECASE), "<id>"),
    (re.compile(r"\d+(?:[.,:_]\d+)*(?:e[+-]?\d+)?", re.IGNORECASE), "<n>"),
)


@dataclass(frozen=True)
class FailureGroup:
    """Failed inputs of one condition whose messages differ in values only.

    ``message`` has its values replaced (``<n>``, ``<value>``, ``<path>``...), ``count`` is a number
    of inputs. ``samples`` are the first inputs: path, mini_batch_id, host, process, attempts, the
    message as it was, and ``is_named``: false if ``path`` is only one of those that may be meant.
    ``script_line`` and ``script_traceback`` are those of the first failure that has them.
    ``attempts`` is the most that any of them had.
    """

    condition: str
    message: str
    count: int = 0
    samples: tuple[dict[str, Any], ...] = field(default=())
    script_line: str = ""
    script_traceback: str = ""
    hosts: tuple[str, ...] = ()
    attempts: int = 0


@functools.lru_cache(maxsize=4096)
def normalise_message(message: str) -> str:
    """The message with numbers, addresses, paths and quoted values replaced by what they are."""
    for pattern, kind in _REPLACED:
        message = pattern.sub(kind, message)
    return message.strip()


def group_failures(rows: Iterable[Mapping[str, Any]]) -> list[FailureGroup]:
    """Groups of failed inputs, the largest first.

    Rows are lines of ``failed_inputs.csv`` or failed rows of the ledger; values may be texts.
    Rows without failed inputs are passed over.
    """
    return merge_failure_groups(_group_of(row) for row in rows if _count(row))


def merge_failure_groups(groups: Iterable[FailureGroup]) -> list[FailureGroup]:
    """Groups of the same kind put together, the largest first."""
    merged: dict[tuple[str, str], FailureGroup] = {}
    distinct = 0
    for group in groups:
        key = (group.condition, group.message)
        if key not in merged and group.message != OTHER_MESSAGES:
            if distinct == MAX_GROUPS:
                group = replace(group, message=OTHER_MESSAGES)
                key = (group.condition, OTHER_MESSAGES)
            else:
                distinct += 1
        merged[key] = _plus(merged[key], group) if key in merged else group
    return sorted(merged.values(), key=lambda it: (-it.count, it.condition, it.message))


def _plus(group: FailureGroup, other: FailureGroup) -> FailureGroup:
    return replace(
        group,
        count=group.count + other.count,
        samples=(*group.samples, *other.samples)[:MAX_SAMPLES],
        script_line=group.script_line or other.script_line,
        script_traceback=group.script_traceback or other.script_traceback,
        hosts=tuple(dict.fromkeys((*group.hosts, *other.hosts)))[:_MAX_HOSTS],
        attempts=max(group.attempts, other.attempts),
    )


def _group_of(row: Mapping[str, Any]) -> FailureGroup:
    host = _text(row, "host")
    return FailureGroup(
        _text(row, "condition"),
        normalise_message(_text(row, "message")),
        _count(row),
        (
            {
                "path": _sample_path(row),
                "is_named": bool(_text(row, "path")),
                **{name: row.get(name) for name in _SAMPLE_FIELDS},
            },
        ),
        _text(row, "script_line"),
        _text(row, "script_traceback"),
        (host,) if host else (),
        _integer(row.get("attempts")),
    )


def _sample_path(row: Mapping[str, Any]) -> str:
    """The input, or the first of the candidates of a short result."""
    if _text(row, "path"):
        return _text(row, "path")
    candidates = row.get("candidates") or row.get("failures")
    try:
        found = json.loads(candidates) if isinstance(candidates, str) else candidates
    except ValueError:
        return ""
    first = found[0] if isinstance(found, (list, tuple)) and found else ""
    return str(first.get("path", "") if isinstance(first, dict) else first)


def _count(row: Mapping[str, Any]) -> int:
    """Failed inputs of a row: ``count`` of a line, ``failed`` of the ledger."""
    return max(0, _integer(row.get("count", row.get("failed", 1))))


def _integer(value: Any) -> int:
    try:
        return int(value)
    except (TypeError, ValueError, OverflowError):
        return 0


def _text(row: Mapping[str, Any], name: str) -> str:
    value = row.get(name)
    return "" if value is None else str(value)
