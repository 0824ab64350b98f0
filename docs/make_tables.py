"""Makes the tables of keys in docs/: ``python docs/make_tables.py``. Any process.

The keys, their values, defaults and meanings come from ``sparkscore.spec``, the one place where
they are declared. A test compares the committed pages with what this makes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel

from sparkscore.spec import DOCUMENTS, DeploymentSpec, Document, Field, iter_fields
from sparkscore.spec.types import Allowed
from sparkscore.spec.vocabulary import ANY

PAGES = tuple(Path(__file__).parent / name for name in ("deployment-yaml.md", "yaml-files.md"))
BEGIN, END = "<!-- {kind} keys: made by docs/make_tables.py -->", "<!-- end of {kind} keys -->"
DEPLOYMENT_HEADER = (
    "| key with `settings:` | key in the flat layout | value | default | meaning |\n"
    "|---|---|---|---|---|"
)
HEADER = "| key | value | default | meaning |\n|---|---|---|---|"
NESTED_ONLY = (("type",), ("settings",), ("settings", "instance_count"))
ESCAPES = str.maketrans({"|": "\\|", "<": "&lt;", "*": "\\*"})


def render_page(page: str) -> str:
    """The page with its tables made anew."""
    for kind, model in DOCUMENTS.items():
        begin, end = BEGIN.format(kind=kind), END.format(kind=kind)
        if begin in page:
            before, _, rest = page.partition(begin)
            _, _, after = rest.partition(end)
            page = f"{before}{begin}\n{render_keys(model)}\n{end}{after}"
    return page


def render_keys(model: type[Document]) -> str:
    """The table of all keys of a document, sections before their members."""
    header = DEPLOYMENT_HEADER if model is DeploymentSpec else HEADER
    return "\n".join([header, *(_render_row(model, field) for field in iter_fields(model))])


def _render_row(model: type[Document], field: Field) -> str:
    cells = [
        f"`{'.'.join('<name>' if part == ANY else part for part in field.path)}`",
        *([_render_flat_key(field)] if model is DeploymentSpec else []),
        _render_value(model, field).translate(ESCAPES),
        _render_default(field),
        field.description.translate(ESCAPES),
    ]
    return f"| {' | '.join(cells)} |"


def _render_flat_key(field: Field) -> str:
    """Settings but ``instance_count`` stand at the root in the flat layout."""
    if field.path in NESTED_ONLY:
        return "-"
    return f"`{'.'.join(field.path[1:])}`" if field.path[0] == "settings" else "same"


def _render_value(model: type[Document], field: Field) -> str:
    annotation = _get_annotation(model, field)
    words = next(_iter_allowed(annotation), "")
    if not field.is_map or field.is_union:
        return words or ("any value" if Any in annotation else "mapping")
    return f"mapping; each value: {words}" if words else "mapping"


def _render_default(field: Field) -> str:
    if field.required:
        return "required"
    if field.default is None or isinstance(field.default, BaseModel):
        return "-"
    if field.default in ((), {}):
        return "empty"
    return f"`{field.default if isinstance(field.default, str) else json.dumps(field.default)}`"


def _get_annotation(document: type[Document], field: Field) -> tuple[Any, ...]:
    """The declared type of a field and what annotates it."""
    model: type[BaseModel] = document
    names = [name for name in field.path if name != ANY]
    for name in names[:-1]:
        parts = _iter_parts(model.model_fields[name].annotation)
        model = next(part for part in parts if _is_model(part))
    info = model.model_fields[names[-1]]
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
    for page in PAGES:
        page.write_text(render_page(page.read_text(encoding="utf-8")), encoding="utf-8")
