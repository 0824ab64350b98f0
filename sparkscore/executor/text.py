"""How a value is written as text, in every process that writes one. Python worker, script host.

The rule: booleans as True and False, floats as the shortest text that reads back as the same
number (``NaN``, ``inf``), decimals without exponent, times in ISO 8601 with the fraction left out
where it is zero, binary as base64. Results of mixed types, columns cast to string, CSV and JSON
Lines all follow it, so a value has one text wherever it is turned into one.
"""

from __future__ import annotations

import base64
from typing import Any, Callable

import pyarrow as pa
import pyarrow.compute as pc


def text_array(values: Any) -> Any:
    """The texts of an Arrow array or chunked array, as an Arrow string array; null stays null.

    Takes the types that a result column can have; see ``results.normalized``.
    """
    kind = values.type
    if pa.types.is_string(kind):
        return values
    for applies, render in _RENDERERS:
        if applies(kind):
            return render(values)
    return pc.cast(values, pa.string())


def _boolean_text(values: Any) -> Any:
    return pc.if_else(values, pa.scalar("True"), pa.scalar("False"))


def _float_text(values: Any) -> Any:
    texts = pc.cast(values, pa.string())
    is_plain = pc.and_(pc.equal(pc.floor(values), values), pc.less(pc.abs(values), 1e10))
    if pc.any(is_plain).as_py():
        suffix = pc.if_else(is_plain, pa.scalar(".0"), pa.scalar(""))
        texts = pc.binary_join_element_wise(texts, suffix, "")
    is_nan = pc.is_nan(values)
    if pc.any(is_nan).as_py():
        texts = pc.if_else(is_nan, pa.scalar("NaN"), texts)
    return texts


def _timestamp_text(values: Any) -> Any:
    naive = pc.cast(values, pa.timestamp("us"))
    texts = pc.replace_substring(pc.cast(naive, pa.string()), " ", "T", max_replacements=1)
    texts = pc.replace_substring_regex(texts, r"\.000000$", "")
    if values.type.tz is None:
        return texts
    return pc.binary_join_element_wise(texts, "+00:00", "")


def _decimal_text(values: Any) -> Any:
    texts = pc.cast(values, pa.string())
    if not pc.any(pc.match_substring(texts, "E")).as_py():
        return texts
    return pa.array(
        [None if value is None else format(value, "f") for value in values.to_pylist()],
        pa.string(),
    )


def _binary_text(values: Any) -> Any:
    return pa.array(
        [
            None if value is None else base64.b64encode(value).decode()
            for value in values.to_pylist()
        ],
        pa.string(),
    )


_RENDERERS: tuple[tuple[Callable[[Any], bool], Callable[[Any], Any]], ...] = (
    (pa.types.is_floating, _float_text),
    (pa.types.is_boolean, _boolean_text),
    (pa.types.is_timestamp, _timestamp_text),
    (pa.types.is_decimal, _decimal_text),
    (pa.types.is_binary, _binary_text),
    (pa.types.is_large_binary, _binary_text),
)
