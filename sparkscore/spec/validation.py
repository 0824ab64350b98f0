"""Entries to a validated spec, each of pydantic's errors turned into words. Any process, pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from sparkscore.spec.deployment import DeploymentSpec
from sparkscore.spec.entries import Entry, Path, Scalar, member_key
from sparkscore.spec.problems import (
    MISSING_FIELD,
    Problem,
    get_value,
    refused_value,
    show_key,
    unknown_key,
)
from sparkscore.spec.types import LARGEST
from sparkscore.spec.vocabulary import Layout, find_field, find_nearest_key, get_fields, get_keys

_MAPPING_ERRORS = frozenset({"dict_type", "model_type", "model_attributes_type"})


def validate(root: Entry, *, layout: Layout) -> DeploymentSpec | list[Problem]:
    """The spec in canonical entries, or all that is wrong with it."""
    problems = list(_iter_null_problems(root, ()))
    try:
        spec = DeploymentSpec.model_validate(_plain(root, ()))
    except ValidationError as errors:
        for error in errors.errors(include_url=False):
            problems.extend(_iter_problems(error, root, layout=layout))
        return problems
    return problems or spec


def _plain(entry: Entry, path: Path) -> Scalar | dict[str, Any] | list[Any]:
    if isinstance(entry.content, dict):
        return {name: _plain(member, (*path, name)) for name, member in entry.members.items()}
    if isinstance(entry.content, list):
        return [_plain(item, (*path, position)) for position, item in enumerate(entry.content)]
    field = find_field(path)
    is_text = field is not None and field.is_text and entry.content is not None
    return entry.text if is_text else entry.content


def _iter_null_problems(entry: Entry, path: Path) -> Iterator[Problem]:
    field = find_field(path)
    if entry.content is None and field is not None and (path in get_fields() or field.is_text):
        yield Problem(
            entry.place,
            entry.key,
            f"{show_key(entry.key)} has no value: give one, or remove the key",
            attributes={"value": None, "nearest": None},
        )
    for name, child in entry.children:
        yield from _iter_null_problems(child, (*path, name))


def _iter_problems(error: ErrorDetails, root: Entry, *, layout: Layout) -> Iterator[Problem]:
    if error["type"] == "conflicts":
        for conflict in error["ctx"]["conflicts"]:
            entry = root.get_nearest(conflict.path)
            yield _conflict(entry, conflict.message)
        return
    path = _without_tags(error["loc"])
    entry = root.get_nearest(path)
    if error["type"] == "missing":
        yield _missing(entry, str(path[-1]))
    elif error["type"] == "extra_forbidden":
        yield _unknown(entry, layout=layout)
    else:
        yield _refused(entry, error, path)


def _conflict(entry: Entry, message: str) -> Problem:
    return Problem(
        entry.place,
        entry.key,
        f"{show_key(entry.key)} {message}",
        attributes={"value": get_value(entry), "nearest": None},
    )


def _missing(parent: Entry, name: str) -> Problem:
    key = member_key(parent.key, name)
    return Problem(
        parent.place,
        key,
        f"{key} is missing: add it, or give --set {key}=...",
        condition=MISSING_FIELD,
        attributes={"nearest": None},
    )


def _unknown(entry: Entry, *, layout: Layout) -> Problem:
    keys = get_keys(layout)
    parent = entry.key.rpartition(".")[0]
    allowed = [known.rpartition(".")[2] for known in keys if known.rpartition(".")[0] == parent]
    return unknown_key(entry, nearest=find_nearest_key(entry.key, keys), allowed=allowed)


def _refused(entry: Entry, error: ErrorDetails, path: Path) -> Problem:
    if error["type"] in _MAPPING_ERRORS:
        return refused_value(entry, "a mapping: `key: value` lines, indented below it")
    if error["type"] != "allowed":
        field = find_field(path)
        described = field.description if field is not None else "allowed"
        return refused_value(entry, f"as described ({described})")
    return refused_value(entry, error["msg"], hint=_hint(entry, error))


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


def _without_tags(location: tuple[int | str, ...]) -> Path:
    path: Path = ()
    parts = iter(location)
    for part in parts:
        path = (*path, part)
        field = get_fields().get(tuple(map(str, path)))
        if field is not None and field.is_union:
            next(parts, None)
    return path
