"""Which inputs a result leaves out, told by the names that its rows carry. Script host process."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence

import pyarrow as pa
import pyarrow.types as pat

_MAX_COMPARISONS = 1_000_000


def find_missing_inputs(table: pa.Table, paths: Sequence[str]) -> list[int] | None:
    """Positions in ``paths`` that no row names; None unless every row names its one input.

    A row names an input by a text that is, or contains, its path or its base name.
    """
    if table.num_rows * len(paths) > _MAX_COMPARISONS:
        return None
    names = [os.path.basename(path) for path in paths]
    if len(set(names)) < len(names):
        names = list(paths)
    rows = [_texts(row) for row in _text_columns(table).to_pylist()]
    found: set[int] = set()
    for texts in rows:
        named = _named_input(texts, names)
        if named is None:
            return None
        found.add(named)
    return [position for position in range(len(paths)) if position not in found]


def _text_columns(table: pa.Table) -> pa.Table:
    return table.select([field.name for field in table.schema if _is_text(field.type)])


def _is_text(kind: pa.DataType) -> bool:
    if pat.is_dictionary(kind):
        kind = kind.value_type
    return bool(pat.is_string(kind) or pat.is_large_string(kind))


def _texts(row: dict[str, str | None]) -> list[str]:
    return [text for text in row.values() if text]


def _named_input(texts: Sequence[str], names: Sequence[str]) -> int | None:
    """The input that these texts name; the longest name wins where one holds another."""
    best: int | None = None
    for position, name in enumerate(names):
        if any(_contains(text, name) for text in texts) and (
            best is None or len(name) > len(names[best])
        ):
            best = position
    return best


def _contains(text: str, name: str) -> bool:
    """Whether ``name`` stands in ``text`` as a word of its own."""
    if text == name:
        return True
    if name not in text:
        return False
    return re.search(rf"(?<![\w.-]){re.escape(name)}(?![\w-])", text) is not None
