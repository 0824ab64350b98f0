"""The flat layout of 2021 moved into the nested one, values keeping their places. Any process."""

from __future__ import annotations

from sparkscore.spec.entries import Entry
from sparkscore.spec.problems import Problem, given_twice
from sparkscore.spec.settings import SettingsSpec
from sparkscore.spec.vocabulary import Layout

_LIFTED = tuple(name for name in SettingsSpec.model_fields if name != "instance_count")


def find_layout(root: Entry) -> Layout:
    """Nested if the document has ``type`` or ``settings``, else flat.

    ``settings`` with nothing but error_threshold is accepted in a flat document too.
    """
    settings = root.members.get("settings")
    if "type" in root.members:
        return "nested"
    if settings is None or list(settings.members) == ["error_threshold"]:
        return "flat"
    return "nested"


def normalize_layout(root: Entry, *, layout: Layout) -> tuple[Entry, list[Problem]]:
    """The document in the nested layout, without ``$schema``; unknown keys stay where they are."""
    root = root.without_member(("$schema",))
    problems: list[Problem] = []
    lifted = _LIFTED if layout == "flat" else ("error_threshold",)
    for name in lifted:
        root = _move(root, (name,), ("settings", name), problems)
    return root, problems


def normalize_aliases(root: Entry) -> tuple[Entry, list[Problem]]:
    """The document with ``path`` for ``local_path`` and code as text; idempotent."""
    problems: list[Problem] = []
    root = _move(root, ("model", "local_path"), ("model", "path"), problems)
    code = root.find(("code_configuration", "code"))
    if code is not None and isinstance(code.content, dict):
        root = _unwrap_code(root, code, problems)
    return root, problems


def _unwrap_code(root: Entry, code: Entry, problems: list[Problem]) -> Entry:
    ways = [code.members[name] for name in ("local_path", "path") if name in code.members]
    problems.extend(given_twice(ways[0], other) for other in ways[1:])
    if not ways or set(code.members) - {"local_path", "path"}:
        return root
    return root.with_member(("code_configuration", "code"), ways[0])


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
