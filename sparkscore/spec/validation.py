"""Entries to a validated spec, each of pydantic's errors turned into words. Any process, pure."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from sparkscore.spec.document import has_unusable_character
from sparkscore.spec.entries import Entry, Path, Scalar, member_key
from sparkscore.spec.grammar import MISSING_FIELD, Conflict, Document
from sparkscore.spec.problems import (
    Problem,
    get_value,
    refused_key,
    refused_value,
    show_key,
    unknown_key,
)
from sparkscore.spec.types import LARGEST
from sparkscore.spec.vocabulary import (
    Layout,
    find_exact_field,
    find_field,
    find_nearest_key,
    find_siblings,
    get_keys,
)

S = TypeVar("S", bound=Document)

_MAPPING_ERRORS = frozenset({"dict_type", "model_type", "model_attributes_type"})


def validate(root: Entry, *, model: type[S], layout: Layout) -> S | list[Problem]:
    """The spec in canonical entries, or all that is wrong with it."""
    problems = list(_iter_null_problems(root, (), model=model))
    try:
        spec = model.model_validate(_plain(root, (), model=model))
    except ValidationError as errors:
        for error in errors.errors(include_url=False):
            problems.extend(_iter_problems(error, root, model=model, layout=layout))
        return problems
    problems.extend(_iter_unusable_problems(root, (), model=model))
    return problems or spec


def _plain(
    entry: Entry, path: Path, *, model: type[Document]
) -> Scalar | dict[str, Any] | list[Any]:
    if isinstance(entry.content, dict):
        return {
            name: _plain(member, (*path, name), model=model)
            for name, member in entry.members.items()
        }
    if isinstance(entry.content, list):
        return [
            _plain(item, (*path, position), model=model)
            for position, item in enumerate(entry.content)
        ]
    field = find_field(model, path)
    is_text = field is not None and field.is_text and entry.content is not None
    return entry.text if is_text else entry.content


def _iter_null_problems(entry: Entry, path: Path, *, model: type[Document]) -> Iterator[Problem]:
    if entry.content is None:
        field = find_field(model, path)
        if field is not None and (field.is_text or find_exact_field(model, path) is not None):
            yield Problem(
                entry.place,
                entry.key,
                f"{show_key(entry.key)} has no value: give one, or remove the key",
                attributes={"value": None, "nearest": None},
            )
    for name, child in entry.children:
        yield from _iter_null_problems(child, (*path, name), model=model)


def _iter_unusable_problems(
    entry: Entry, path: Path, *, model: type[Document]
) -> Iterator[Problem]:
    """What neither JSON nor UTF-8 can keep, where fields take any text or value."""
    texts = [*entry.members, entry.content if isinstance(entry.content, str) else ""]
    if any(has_unusable_character(text) for text in texts):
        message = f"{show_key(entry.key)} holds a character that is not UTF-8"
        yield Problem(entry.place, entry.key, message)
    if isinstance(entry.content, float) and not math.isfinite(entry.content):
        field = find_field(model, path)
        if field is None or not field.is_text:
            yield refused_value(entry, "a finite number", hint=": write it in quotes")
    for name, child in entry.children:
        yield from _iter_unusable_problems(child, (*path, name), model=model)


def _iter_problems(
    error: ErrorDetails, root: Entry, *, model: type[Document], layout: Layout
) -> Iterator[Problem]:
    if error["type"] == "conflicts":
        for conflict in error["ctx"]["conflicts"]:
            yield _conflict(root, conflict)
        return
    path = _without_tags(error["loc"], model=model)
    entry = root.get_nearest(path)
    if error["type"] == "missing":
        yield _missing(entry, str(path[-1]))
    elif error["type"] == "extra_forbidden":
        yield _unknown(entry, model=model, layout=layout)
    else:
        yield _refused(entry, error, path, model=model)


def _conflict(root: Entry, conflict: Conflict) -> Problem:
    if conflict.condition == MISSING_FIELD:
        *section, name = conflict.path
        return _missing(root.get_nearest(tuple(section)), name, why=conflict.message)
    entry = root.get_nearest(conflict.path)
    return Problem(
        entry.place,
        entry.key,
        f"{show_key(entry.key)} {conflict.message}",
        condition=conflict.condition,
        attributes={"value": None if conflict.is_secret else get_value(entry), "nearest": None},
    )


def _missing(parent: Entry, name: str, *, why: str = "is missing") -> Problem:
    key = member_key(parent.key, name)
    return Problem(
        parent.place,
        key,
        f"{key} {why}: add it, or give --set {key}=...",
        condition=MISSING_FIELD,
        attributes={"nearest": None},
    )


def _unknown(entry: Entry, *, model: type[Document], layout: Layout) -> Problem:
    why = model.grammar.find_refusal(entry.key)
    if why is not None:
        return refused_key(entry, why)
    keys = get_keys(model, layout)
    return unknown_key(
        entry,
        nearest=find_nearest_key(entry.key, keys),
        allowed=find_siblings(entry.key, keys),
        kind=model.grammar.kind,
    )


def _refused(entry: Entry, error: ErrorDetails, path: Path, *, model: type[Document]) -> Problem:
    if error["type"] in _MAPPING_ERRORS:
        return refused_value(entry, "a mapping: `key: value` lines, indented below it")
    if error["type"] != "allowed":
        field = find_field(model, path)
        described = field.description if field is not None else "allowed"
        return refused_value(entry, f"as described ({described})")
    known = entry.content if isinstance(entry.content, str) else ""
    condition = error["ctx"]["conditions"].get(known)
    return refused_value(entry, error["msg"], hint=_hint(entry, error), condition=condition)


def _hint(entry: Entry, error: ErrorDetails) -> str:
    if isinstance(entry.content, int) and entry.content > LARGEST:
        return f": {LARGEST} is the largest"
    if not isinstance(entry.content, str):
        return ""
    special = error["ctx"]["hints"].get(entry.content)
    if special is not None:
        return f": {special}"
    if error["msg"].startswith("a whole number") and re.fullmatch(r"[-+]?\d+", entry.content):
        return ": write it without quotes or leading zeros"
    fill: Callable[..., str] = error["ctx"]["hint"].format
    return fill(text=entry.content)


def _without_tags(location: tuple[int | str, ...], *, model: type[Document]) -> Path:
    path: Path = ()
    parts = iter(location)
    for part in parts:
        path = (*path, part)
        field = find_exact_field(model, path)
        if field is not None and field.is_union:
            next(parts, None)
    return path
