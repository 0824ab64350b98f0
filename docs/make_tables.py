"""Makes the table of keys in docs/deployment-yaml.md: ``python docs/make_tables.py``. Any process.

The keys, their values, defaults and meanings come from ``sparkscore.spec``, the one place where
they are declared. A test compares the committed page with what this makes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel

from sparkscore.spec import DeploymentSpec, Field, iter_fields
from sparkscore.spec.types import Allowed

PAGE = Path(__file__).parent / "deployment-yaml.md"
BEGIN, END = "<!-- keys: made by docs/make_tables.py -->", "<!-- end of keys -->"
HEADER = (
    "| key with `settings:` | key in the flat layout | value | default | meaning |\n"
    "|---|---|---|---|---|"
)
NESTED_ONLY = (("type",), ("settings",), ("settings", "instance_count"))
ESCAPES = str.maketrans({"|": "\\|", "<": "&lt;", "*": "\\*"})


def render_page(page: str) -> str:
    """The page with its table made anew."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{render_keys()}\n{END}{after}"


def render_keys() -> str:
    """The table of all keys, sections before their members."""
    return "\n".join([HEADER, *(_render_row(field) for field in iter_fields())])


def _render_row(field: Field) -> str:
    cells = [
        f"`{'.'.join(field.path)}`",
        _render_flat_key(field),
        _render_value(field).translate(ESCAPES),
        _render_default(field),
        field.description.translate(ESCAPES),
    ]
    return f"| {' | '.join(cells)} |"


def _render_flat_key(field: Field) -> str:
    """Settings but ``instance_count`` stand at the root in the flat layout."""
    if field.path in NESTED_ONLY:
        return "-"
    return f"`{'.'.join(field.path[1:])}`" if field.path[0] == "settings" else "same"


def _render_value(field: Field) -> str:
    words = next(_iter_allowed(_get_annotation(field)), "")
    if not field.is_map or field.is_union:
        return words or "mapping"
    return f"mapping; each value: {words}" if words else "mapping"


def _render_default(field: Field) -> str:
    if field.required:
        return "required"
    if field.default is None or isinstance(field.default, BaseModel):
        return "-"
    if field.default in ((), {}):
        return "empty"
    return f"`{field.default if isinstance(field.default, str) else json.dumps(field.default)}`"


def _get_annotation(field: Field) -> tuple[Any, ...]:
    """The declared type of a field and what annotates it."""
    model: type[BaseModel] = DeploymentSpec
    for name in field.path[:-1]:
        parts = _iter_parts(model.model_fields[name].annotation)
        model = next(part for part in parts if _is_model(part))
    info = model.model_fields[field.path[-1]]
    return (*info.metadata, info.annotation)


def _iter_allowed(annotation: Any) -> Iterator[str]:
    """The words of the types within ``annotation``, the outermost first."""
    parts = annotation if isinstance(annotation, tuple) else _get_parts(annotation)
    yield from (part.words for part in parts if isinstance(part, Allowed))
    for part in parts:
        if not isinstance(part, Allowed):
            yield from _iter_allowed(part)


def _iter_parts(annotation: Any) -> Iterator[Any]:
    yield annotation
    for part in _get_parts(annotation):
        yield from _iter_parts(part)


def _get_parts(annotation: Any) -> tuple[Any, ...]:
    return (*getattr(annotation, "__metadata__", ()), *get_args(annotation))


def _is_model(part: Any) -> bool:
    return isinstance(part, type) and issubclass(part, BaseModel)


if __name__ == "__main__":
    PAGE.write_text(render_page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
