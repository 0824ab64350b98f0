"""Tables as JSON Lines. Spark driver, without Spark.

One object a line with every column in it. Integers and decimals are exact numbers, NaN and infinity
are null, times and binary are strings by the rule of ``executor.text``.
"""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from sparkscore.driver.publish.text_rows import joined_bytes, replace_texts, table_bytes
from sparkscore.executor.text import text_array

_ESCAPES = {
    "\\": "\\\\",
    '"': '\\"',
    **{chr(code): json.dumps(chr(code))[1:-1] for code in range(32)},
}


def jsonl_bytes(table: Any) -> bytes:
    """The rows of the table as lines of JSON in UTF-8."""
    if not table.num_columns:
        return b"{}\n" * int(table.num_rows)
    names = table.column_names
    return table_bytes(table, lambda columns: _lines(columns, names))


def _lines(columns: list[Any], names: list[str]) -> bytes:
    parts: list[Any] = []
    for name, column in zip(names, columns, strict=True):
        opening = "{" if not parts else ", "
        parts += [f"{opening}{json.dumps(name, ensure_ascii=False)}: ", _json_texts(column)]
    lines = pc.binary_join_element_wise(
        *parts, "}\n", "", null_handling="replace", null_replacement="null"
    )
    return joined_bytes(lines)


def _json_texts(column: Any) -> Any:
    kind = column.type
    if pa.types.is_floating(kind):
        texts = text_array(column)
        return pc.if_else(pc.is_finite(column), texts, pa.scalar(None, pa.string()))
    if pa.types.is_boolean(kind):
        return pc.if_else(column, pa.scalar("true"), pa.scalar("false"))
    if pa.types.is_integer(kind) or pa.types.is_decimal(kind) or pa.types.is_null(kind):
        return text_array(column)
    escaped = replace_texts(text_array(column), _ESCAPES)
    return pc.binary_join_element_wise('"', escaped, '"', "")
