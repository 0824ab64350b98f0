"""Every key that a document can have, in every layout, read off its model. Any process."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel, Discriminator

from sparkscore.spec.grammar import Document, Grammar
from sparkscore.spec.nearest import get_likeness, is_near, squash
from sparkscore.spec.types import AsWritten

Layout = Literal["flat", "nested"]
Paths = Mapping[tuple[str, ...], "Field"]

ANY = "*"
"""Stands in a path for a name of the user's choice."""


@dataclass(frozen=True)
class Field:
    """A field by its path in the nested layout.

    ``is_union``: it has several forms, such as a reference or a mapping. ``is_map``: its members
    have names of the user's choice; ``has_sections``: and fields of their own, at ``<path>.*``.
    ``is_text``: it, or each of its members, takes unquoted numbers and booleans as they were
    written.
    """

    path: tuple[str, ...]
    description: str
    default: object
    required: bool
    is_union: bool
    is_map: bool
    is_text: bool
    has_sections: bool


@cache
def get_fields(model: type[Document]) -> dict[tuple[str, ...], Field]:
    """All fields by path."""
    return {field.path: field for field in _iter_fields(model, ())}


def iter_fields(model: type[Document]) -> Iterator[Field]:
    """All fields that a user can write, sections before their members."""
    yield from get_fields(model).values()


def _iter_fields(model: type[BaseModel], prefix: tuple[str, ...]) -> Iterator[Field]:
    for name, info in model.model_fields.items():
        parts = [*_iter_parts(info.annotation), *info.metadata, info.discriminator]
        sections = [part for part in parts if _is_model(part)]
        is_map = dict in parts
        path = (*prefix, name)
        yield Field(
            path=path,
            description=info.description or "",
            default=None if info.is_required() else info.get_default(call_default_factory=True),
            required=info.is_required(),
            is_union=any(isinstance(part, Discriminator) for part in parts),
            is_map=is_map,
            is_text=any(isinstance(part, AsWritten) for part in parts),
            has_sections=is_map and bool(sections),
        )
        for section in sections:
            yield from _iter_fields(section, (*path, ANY) if is_map else path)


def _is_model(part: Any) -> bool:
    return isinstance(part, type) and issubclass(part, BaseModel)


def _iter_parts(annotation: Any) -> Iterator[Any]:
    yield get_origin(annotation) or annotation
    for part in get_args(annotation):
        yield from _iter_parts(part)


def find_exact_field(model: type[Document], path: tuple[str | int, ...]) -> Field | None:
    """The field at a path of a document."""
    return get_fields(model).get(_canonical_path(model, path))


def find_field(model: type[Document], path: tuple[str | int, ...]) -> Field | None:
    """The field at a path of a document; for a member of a map, the map."""
    field = find_exact_field(model, path)
    if field is None:
        around = find_exact_field(model, path[:-1])
        return around if around is not None and around.is_map else None
    return field


def _canonical_path(model: type[Document], path: tuple[str | int, ...]) -> tuple[str, ...]:
    fields = get_fields(model)
    canonical: tuple[str, ...] = ()
    for part in path:
        around = fields.get(canonical)
        is_chosen = around is not None and around.has_sections
        canonical = (*canonical, ANY if is_chosen else str(part))
    return canonical


@cache
def get_keys(model: type[Document], layout: Layout) -> dict[str, Field]:
    """Each dotted key as users of a layout write it."""
    fields = get_fields(model)
    grammar = model.grammar
    keys = {_written_key(field.path, grammar, layout): field for field in fields.values()}
    keys.update({alias: fields[path] for alias, path in grammar.aliases.items()})
    flat = grammar.flat
    if flat is not None:
        for either in (flat.anywhere, f"{flat.section}.{flat.anywhere}"):
            keys[either] = fields[flat.section, flat.anywhere]
    return keys


def _written_key(path: tuple[str, ...], grammar: Grammar, layout: Layout) -> str:
    flat = grammar.flat
    lifted = layout == "flat" and flat is not None and path[0] == flat.section and len(path) > 1
    if lifted and flat is not None and path[1] not in flat.stays:
        return ".".join(path[1:])
    return ".".join(path)


@cache
def get_override_keys(model: type[Document]) -> dict[str, Field]:
    """Each dotted key that ``--set`` takes: those of all layouts, and bare names."""
    fields = get_fields(model)
    keys = {**get_keys(model, "nested"), **get_keys(model, "flat")}
    keys.update({name: fields[path] for name, path in model.grammar.short_keys.items()})
    return keys


def find_override_path(model: type[Document], key: str) -> tuple[str, ...] | None:
    """The path in the nested layout of a key that ``--set`` takes."""
    keys = get_override_keys(model)
    if ANY not in key.split(".") and key in keys:
        return keys[key].path
    for dot in (position for position, letter in enumerate(key[:-1]) if letter == "."):
        around = keys.get(key[:dot])
        if around is not None and around.has_sections:
            return _find_member_path(model, around, key[dot + 1 :])
        if around is not None and around.is_map:
            return (*around.path, key[dot + 1 :])
    return None


def _find_member_path(model: type[Document], around: Field, key: str) -> tuple[str, ...] | None:
    name, _, member = key.partition(".")
    path = (*around.path, name, *member.split(".")) if member else (*around.path, name)
    return path if not member or find_exact_field(model, path) is not None else None


def find_nearest_key(key: str, keys: Iterable[str]) -> str | None:
    """The known key that a user most likely meant by an unknown dotted ``key``.

    The same name in another section comes first, then what is spelled alike.
    """
    parent, _, name = key.rpartition(".")
    known_keys = [_fill(known, key) for known in keys]
    known_keys = [known for known in known_keys if ANY not in known.split(".")]
    same = [known for known in known_keys if squash(_name(known)) == squash(name) and known != key]
    if same:
        return min(same, key=lambda known: (known.rpartition(".")[0] != parent, known.count(".")))
    scored = sorted((-_likeness(known, parent, name), known) for known in known_keys)
    return scored[0][1] if scored and is_near(-scored[0][0]) else None


def find_siblings(key: str, keys: Iterable[str]) -> list[str]:
    """The names of the known keys that stand in the same section as ``key``."""
    parent = key.rpartition(".")[0]
    known_keys = (_fill(known, key) for known in keys)
    return [_name(known) for known in known_keys if known.rpartition(".")[0] == parent]


def _fill(known: str, key: str) -> str:
    """The known key with the names that ``key`` has in the places of the user's choice."""
    if ANY not in known:
        return known
    names = key.split(".")
    parts = known.split(".")
    for position, name in enumerate(names[:-1]):
        if position < len(parts) and parts[position] == ANY:
            parts[position] = name
        elif position >= len(parts) or parts[position] != name:
            break
    return ".".join(parts)


def _likeness(known: str, parent: str, name: str) -> float:
    return get_likeness(name, _name(known)) + (0.1 if known.rpartition(".")[0] == parent else 0.0)


def _name(key: str) -> str:
    return key.rpartition(".")[2]
