"""What stands on standard output: JSON, YAML, TSV or a table, after ``--query``. Control plane.

Formats follow the reference's command line: objects print with an indent of two blanks, a result
that is null prints nothing, TSV prints rows of values.
"""

from __future__ import annotations

import json
import re
from collections import OrderedDict
from collections.abc import Sequence
from enum import Enum
from typing import Any

from sparkscore.errors import UsageError

Columns = Sequence[tuple[str, str]]
"""Of a table: heading and the key, or the path of keys, of its values."""

_NUMBER_STARTS = tuple("+-.0123456789")
_SKIPPED_KEYS = ("id", "type", "etag", "revision")


class OutputFormat(str, Enum):
    """The formats of ``--output``."""

    json = "json"
    jsonc = "jsonc"
    yaml = "yaml"
    yamlc = "yamlc"
    table = "table"
    tsv = "tsv"
    none = "none"


class Query:
    """A JMESPath expression, checked before anything is done."""

    def __init__(self, text: str) -> None:
        import jmespath
        from jmespath.exceptions import JMESPathError

        self.text = text
        try:
            self._compiled = jmespath.compile(text)
        except JMESPathError as error:
            raise _wrong_query(text, error) from error

    def search(self, result: Any) -> Any:
        """What the expression finds; dictionaries that it makes keep the order it names."""
        import jmespath
        from jmespath.exceptions import JMESPathError

        try:
            return self._compiled.search(result, options=jmespath.Options(dict_cls=OrderedDict))
        except JMESPathError as error:
            raise _wrong_query(self.text, error) from error


def _wrong_query(text: str, error: Exception) -> UsageError:
    position = getattr(error, "lex_position", None)
    where = "" if position is None else f" at position {position}"
    reason = str(error).splitlines()[0].strip() if str(error).strip() else "it is empty"
    return UsageError(
        f"--query {text!r} is no JMESPath expression that can be used{where}: {reason}",
        condition="INVALID_QUERY",
        query=text,
        position=position,
    )


def to_plain(result: Any) -> Any:
    """Entities as what they print: ``to_dict()``, also within lists."""
    if hasattr(result, "to_dict"):
        return result.to_dict()
    if isinstance(result, (list, tuple)):
        return [to_plain(item) for item in result]
    return result


def render_output(
    result: Any,
    form: OutputFormat,
    *,
    columns: Columns | None = None,
    is_terminal: bool = False,
) -> str:
    """The text for standard output with its last line end; empty for null.

    ``columns`` choose and order those of a table; without them every plain value is one.
    ``is_terminal`` colours ``jsonc`` and ``yamlc``.
    """
    if result is None or form is OutputFormat.none:
        return ""
    if form is OutputFormat.tsv:
        return _render_tsv(result)
    if form is OutputFormat.table:
        return _render_table(result, columns)
    if form in (OutputFormat.yaml, OutputFormat.yamlc):
        return _colour(_render_yaml(result), "yaml", form is OutputFormat.yamlc and is_terminal)
    text = json.dumps(result, indent=2, ensure_ascii=False)
    return _colour(text + "\n", "json", form is OutputFormat.jsonc and is_terminal)


def _render_yaml(result: Any) -> str:
    import yaml

    class Dumper(yaml.SafeDumper):
        """Quotes text that some version of YAML reads as a number."""

    def represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
        style = '"' if text[:1] in _NUMBER_STARTS else None
        return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)

    Dumper.add_representer(str, represent_text)
    Dumper.add_representer(OrderedDict, yaml.SafeDumper.represent_dict)
    return yaml.dump(result, Dumper=Dumper, sort_keys=False, allow_unicode=True)


def _colour(text: str, language: str, wanted: bool) -> str:
    if not wanted:
        return text
    from rich.console import Console
    from rich.syntax import Syntax

    console = Console(force_terminal=True, width=10_000, soft_wrap=True)
    syntax = Syntax(text, language, theme="ansi_dark", background_color="default")
    with console.capture() as capture:
        console.print(syntax.highlight(text), end="")
    return capture.get()


def _render_tsv(result: Any) -> str:
    rows = result if isinstance(result, list) else [result]
    return "".join(f"{_render_row(row)}\n" for row in rows)


def _render_row(row: Any) -> str:
    if isinstance(row, OrderedDict):
        return "\t".join(_render_cell(value) for value in row.values())
    if isinstance(row, dict):
        return "\t".join(_render_cell(value) for _, value in sorted(row.items()))
    if isinstance(row, list):
        return "\t".join(_render_cell(value) for value in row)
    return str(row).lower() if isinstance(row, bool) else _render_cell(row)


def _render_cell(value: Any) -> str:
    """Within a row: the number of elements of a list, nothing for an object, ``None`` for null."""
    if isinstance(value, list):
        return str(len(value))
    return "" if isinstance(value, dict) else str(value)


def _render_table(result: Any, columns: Columns | None) -> str:
    items = result if isinstance(result, list) else [result]
    rows = [_make_row(item, columns) for item in items]
    headings = list(dict.fromkeys(heading for row in rows for heading in row))
    if not headings:
        return ""
    cells = [[row.get(heading, "") for heading in headings] for row in rows]
    widths = [max(map(len, column)) for column in zip(headings, *cells, strict=True)]
    rule = ["-" * width for width in widths]
    lines = (
        "  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip()
        for line in [headings, rule, *cells]
    )
    return "".join(f"{line}\n" for line in lines)


def _make_row(item: Any, columns: Columns | None) -> dict[str, str]:
    if isinstance(item, list):
        return {f"Column{n}": _render_value(value) for n, value in enumerate(item, start=1)}
    if not isinstance(item, dict):
        return {"Result": _render_value(item)}
    if columns is not None:
        return {
            heading: _MICROSECONDS.sub("Z", _render_value(_find(item, path)))
            for heading, path in columns
        }
    return {
        key[:1].upper() + key[1:]: _render_value(value)
        for key, value in item.items()
        if key not in _SKIPPED_KEYS and value is not None and not isinstance(value, (list, dict))
    }


_MICROSECONDS = re.compile(r"(?<=T\d\d:\d\d:\d\d)\.\d{6}Z$")


def _find(item: Any, path: str) -> Any:
    for key in path.split("."):
        item = item.get(key) if isinstance(item, dict) else None
    return item


def _render_value(value: Any) -> str:
    return "" if value is None else " ".join(str(value).split("\n"))
