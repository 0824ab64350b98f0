"""The layouts and other names of a document made one, values keeping their places. Any process."""

from __future__ import annotations

from collections.abc import Mapping

from sparkscore.spec.entries import Entry
from sparkscore.spec.grammar import Document, FlatLayout
from sparkscore.spec.problems import Problem, given_twice
from sparkscore.spec.vocabulary import Layout, get_fields


def find_layout(root: Entry, *, model: type[Document]) -> Layout:
    """Nested if the document has ``type`` or ``settings``, else flat.

    ``settings`` with nothing but error_threshold is accepted in a flat document too.
    """
    flat = model.grammar.flat
    if flat is None or "type" in root.members:
        return "nested"
    section = root.members.get(flat.section)
    if section is None or list(section.members) == [flat.anywhere]:
        return "flat"
    return "nested"


def normalize_layout(
    root: Entry, *, model: type[Document], layout: Layout
) -> tuple[Entry, list[Problem]]:
    """The document in the nested layout, without what is ignored; unknown keys stay."""
    for name in ("$schema", *model.grammar.ignored):
        root = root.without_member((name,))
    for key in model.grammar.refused:
        root = _without_empty(root, tuple(key.split(".")))
    problems: list[Problem] = []
    flat = model.grammar.flat
    if flat is not None:
        lifted = _get_lifted(model, flat) if layout == "flat" else (flat.anywhere,)
        for name in lifted:
            root = _move(root, (name,), (flat.section, name), problems)
    return root, problems


def _without_empty(root: Entry, path: tuple[str, ...]) -> Entry:
    entry = root.find(path)
    is_empty = entry is not None and entry.content in (None, {}, [])
    return root.without_member(path) if is_empty else root


def _get_lifted(model: type[Document], flat: FlatLayout) -> tuple[str, ...]:
    paths = (path for path in get_fields(model) if path[0] == flat.section and len(path) == 2)
    return tuple(name for _, name in paths if name not in flat.stays)


def normalize_aliases(root: Entry, *, model: type[Document]) -> tuple[Entry, list[Problem]]:
    """The document with ``path`` for ``local_path`` and code as text; idempotent."""
    problems: list[Problem] = []
    for alias, target in model.grammar.aliases.items():
        source = tuple(alias.split("."))
        if source[:-1] != target:
            root = _move(root, source, target, problems)
    for target, names in _get_wrapped(model.grammar.aliases).items():
        root = _unwrap(root, target, names, problems)
    return root, problems


def _get_wrapped(aliases: Mapping[str, tuple[str, ...]]) -> dict[tuple[str, ...], list[str]]:
    """Fields that may also be a mapping with one of these names in it."""
    wrapped: dict[tuple[str, ...], list[str]] = {}
    for alias, target in aliases.items():
        *parent, name = alias.split(".")
        if tuple(parent) == target:
            wrapped.setdefault(target, []).append(name)
    return wrapped


def _unwrap(
    root: Entry, target: tuple[str, ...], names: list[str], problems: list[Problem]
) -> Entry:
    entry = root.find(target)
    if entry is None or not isinstance(entry.content, dict):
        return root
    ways = [entry.members[name] for name in names if name in entry.members]
    problems.extend(given_twice(ways[0], other) for other in ways[1:])
    if not ways or set(entry.members) - set(names):
        return root
    return root.with_member(target, ways[0])


def _move(
    root: Entry, source: tuple[str, ...], target: tuple[str, ...], problems: list[Problem]
) -> Entry:
    moved = root.find(source)
    if moved is None:
        return root
    existing = root.find(target)
    if existing is not None:
        problems.append(given_twice(existing, moved))
        return root.without_member(source)
    parent = root.find(target[:-1])
    if parent is not None and not isinstance(parent.content, dict):
        return root
    return root.without_member(source).with_member(target, moved)
