"""``--set key=value`` and flags laid over a document. Any process, pure.

Keys are those of either layout, or the bare names of the reference (``timeout``,
``max_retries``). Keys of maps may hold dots: ``spark_conf.spark.executor.memory=2g``. Values are
YAML scalars, or lists and mappings in brackets; ``null`` removes the key.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sparkscore.errors import MalformedDocumentError
from sparkscore.spec.document import has_unusable_character, parse_scalar, parse_value
from sparkscore.spec.entries import Entry, Place, entry_of
from sparkscore.spec.problems import Problem, show_key, unknown_key
from sparkscore.spec.vocabulary import find_nearest_key, get_override_keys

_STRUCTURED = ("[", "{", '"', "'")


def apply_overrides(root: Entry, overrides: Sequence[str]) -> tuple[Entry, list[Problem]]:
    """The document with each ``key=value`` set, later ones winning."""
    problems: list[Problem] = []
    for override in overrides:
        parsed = _parse(override)
        if isinstance(parsed, Problem):
            problems.append(parsed)
        else:
            root = _apply(root, parsed, problems)
    return root, problems


def apply_flags(root: Entry, flags: Mapping[str, object]) -> tuple[Entry, list[Problem]]:
    """The document with each flag set; a flag that is None was not given."""
    problems: list[Problem] = []
    for key, value in flags.items():
        if value is not None:
            place = Place("--" + key.rpartition(".")[2].replace("_", "-"))
            root = _apply(root, entry_of(value, key=key, place=place), problems)
    return root, problems


def _parse(override: str) -> Entry | Problem:
    key, equals, value = override.partition("=")
    key, place = key.strip(), Place("--set")
    if not equals or not key:
        return Problem(place, key, f"write key=value, such as mini_batch_size=5, not {override!r}")
    if has_unusable_character(override):
        return Problem(place, key, f"{show_key(key)} holds a character that is not UTF-8")
    try:
        return _parse_value(value.strip(), key=key, place=place)
    except MalformedDocumentError as error:
        return Problem(
            place,
            key,
            f"{show_key(key)}: {error.message.removeprefix('--set: ')}",
            kind=MalformedDocumentError,
        )


def _parse_value(value: str, *, key: str, place: Place) -> Entry:
    if value.startswith(_STRUCTURED):
        entry = parse_value(value, key=key, place=place)
        if entry is not None:
            return entry
    content = parse_scalar(value) if value else ""
    return Entry(content, key, place, value)


def _apply(root: Entry, entry: Entry, problems: list[Problem]) -> Entry:
    path = _find_path(root, entry.key)
    if path is None:
        keys = get_override_keys()
        nearest = find_nearest_key(entry.key, keys)
        allowed = (key for key in keys if "." not in key)
        problems.append(unknown_key(entry, nearest=nearest, allowed=allowed))
        return root
    if entry.content is None:
        return root.without_member(path)
    return root.with_member(path, entry)


def _find_path(root: Entry, key: str) -> tuple[str, ...] | None:
    if key == "instance_count" and root.find(("settings", "instance_count")) is not None:
        return ("settings", "instance_count")
    keys = get_override_keys()
    if key in keys:
        return keys[key].path
    for dot in (position for position, letter in enumerate(key[:-1]) if letter == "."):
        around = keys.get(key[:dot])
        if around is not None and around.is_map:
            return (*around.path, key[dot + 1 :])
    return None
