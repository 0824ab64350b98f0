"""Lists that read as small tables in notebooks and consoles. Control plane, pure."""

from __future__ import annotations

from typing import Any, Protocol, TypeVar


class Entity(Protocol):
    """What a table holds."""

    def to_dict(self) -> dict[str, Any]:
        """The entity as JSON types."""


Item = TypeVar("Item", bound=Entity)

_COLUMNS = (
    *("name", "version", "status", "type", "endpoint_name", "deployment_name", "is_default"),
    *("is_archived", "description"),
)
_WIDEST = 40


class Table(list[Item]):
    """A list whose ``repr`` is a table of its items' names, versions, states and the like."""

    def __repr__(self) -> str:
        rows = [item.to_dict() for item in self]
        columns = [name for name in _COLUMNS if any(row.get(name) is not None for row in rows)]
        return render_table(columns, [[_cell(row.get(name)) for name in columns] for row in rows])


def render_table(columns: list[str], rows: list[list[str]]) -> str:
    """Text columns under their names; ``(none)`` without rows."""
    if not rows:
        return "(none)"
    lines = [columns, *rows]
    widths = [max(len(line[index]) for line in lines) for index in range(len(columns))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def _cell(value: Any) -> str:
    text = "" if value is None else str(value)
    return text if len(text) <= _WIDEST else f"{text[: _WIDEST - 3]}..."
