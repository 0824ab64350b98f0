"""``--set``, ``--add``, ``--remove`` and flags laid over a document. Any process, pure.

Keys are those of either layout, or the bare names of the reference (``timeout``,
``max_retries``). Keys of maps may hold dots: ``spark_conf.spark.executor.memory=2g``. Values are
YAML scalars, or lists and mappings in brackets; ``null`` removes the key. Blanks around a value
go, but a value of blanks only stays.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from sparkscore.errors import MalformedDocumentError
from sparkscore.spec.document import has_unusable_character, parse_scalar, parse_value
from sparkscore.spec.entries import Entry, Place, entry_of, member_key
from sparkscore.spec.grammar import Document
from sparkscore.spec.nearest import find_closest
from sparkscore.spec.problems import Problem, refused_key, show_key, unknown_key
from sparkscore.spec.vocabulary import (
    ANY,
    find_nearest_key,
    find_override_path,
    get_override_keys,
)

Words = Sequence[str]

_STRUCTURED = ("[", "{", '"', "'")


@dataclass
class Editor:
    """Changes a document entry by entry and gathers what is wrong with the changes.

    ``force_string``: values of ``--set`` and ``--add`` are text as they stand.
    """

    root: Entry
    model: type[Document]
    problems: list[Problem]
    force_string: bool = False

    def apply_overrides(self, overrides: Sequence[str]) -> None:
        """Set each ``key=value``, later ones winning."""
        for override in overrides:
            parsed = self._parse(override, place=Place("--set"))
            if isinstance(parsed, Problem):
                self.problems.append(parsed)
            else:
                self._set(parsed)

    def apply_flags(self, flags: Mapping[str, object]) -> None:
        """Set each flag; a flag that is None was not given."""
        for key, value in flags.items():
            if value is not None:
                place = Place("--" + key.rpartition(".")[2].replace("_", "-"))
                self._set(entry_of(value, key=key, place=place))

    def apply_additions(self, additions: Sequence[Words | str]) -> None:
        """Add to lists and maps: ``tags.a=b``, or a list's or map's key and then what to add."""
        for addition in additions:
            key, *values = [addition] if isinstance(addition, str) else addition or [""]
            if values:
                self._add(key, values)
            else:
                self._add_one(key)

    def apply_removals(self, removals: Sequence[Words | str]) -> None:
        """Remove keys, or items of lists by their position from 0."""
        for removal in removals:
            key, *positions = [removal] if isinstance(removal, str) else removal or [""]
            self._remove(Entry(None, key.strip(), Place("--remove")), positions)

    def _parse(self, text: str, *, place: Place) -> Entry | Problem:
        key, equals, value = text.partition("=")
        key = key.strip()
        if not equals or not key:
            return Problem(place, key, f"write key=value, such as description=text, not {text!r}")
        if has_unusable_character(text):
            return Problem(place, key, f"{show_key(key)} holds a character that is not UTF-8")
        return self._parse_value(value.strip() or value, key=key, place=place)

    def _parse_value(self, value: str, *, key: str, place: Place) -> Entry | Problem:
        if self.force_string:
            return Entry(value, key, place, value)
        try:
            entry = None
            if value.startswith(_STRUCTURED):
                entry = parse_value(value, key=key, place=place)
            return entry or Entry(parse_scalar(value) if value else "", key, place, value)
        except MalformedDocumentError as error:
            return Problem(
                place,
                key,
                f"{show_key(key)}: {error.message.removeprefix(f'{place}: ')}",
                kind=MalformedDocumentError,
            )

    def _set(self, entry: Entry) -> None:
        path = self._get_path(entry)
        if path is None:
            return
        if entry.content is None:
            self.root = self.root.without_member(path)
        else:
            self.root = self.root.with_member(path, entry)

    def _add_one(self, text: str) -> None:
        key, equals, value = text.partition("=")
        path = self._find_path(key.strip())
        listed = self.root.find(path) if path is not None else None
        if equals and listed is not None and isinstance(listed.content, list):
            self._add(key, [value])
            return
        parsed = self._parse(text, place=Place("--add"))
        if isinstance(parsed, Problem):
            self.problems.append(parsed)
        else:
            self._set(parsed)

    def _add(self, key: str, values: Sequence[str]) -> None:
        key, place = key.strip(), Place("--add")
        path = self._get_path(Entry(None, key, place))
        if path is None:
            return
        if self._is_map(path):
            for value in values:
                self._add_one(f"{key}.{value}")
            return
        existing = self.root.find(path)
        items = existing.content if existing is not None else []
        if not isinstance(items, list):
            self.problems.append(_no_container(key, place))
            return
        self._append(Entry(items, key, place), path, values)

    def _append(self, listed: Entry, path: tuple[str, ...], values: Sequence[str]) -> None:
        items = [item for _, item in listed.children]
        for value in values:
            inner = member_key(listed.key, len(items))
            if has_unusable_character(value):
                message = f"{show_key(inner)} holds a character that is not UTF-8"
                self.problems.append(Problem(listed.place, inner, message))
                return
            item = self._parse_value(value, key=inner, place=listed.place)
            if isinstance(item, Problem):
                self.problems.append(item)
                return
            items.append(item)
        self.root = self.root.with_member(path, replace(listed, content=items))

    def _remove(self, entry: Entry, positions: Sequence[str]) -> None:
        path = self._get_path(entry)
        if path is None:
            return
        found = self.root.find(path)
        if positions:
            self._remove_item(entry, found, positions)
        elif found is not None:
            self.root = self.root.without_member(path)
        elif self._is_map(path[:-1]):
            self.problems.append(self._absent(entry, path))

    def _remove_item(self, entry: Entry, found: Entry | None, positions: Sequence[str]) -> None:
        items = found.content if found is not None else []
        path = self._find_path(entry.key)
        if not isinstance(items, list) or path is None:
            self.problems.append(_no_container(entry.key, entry.place))
            return
        position = int(positions[0]) if positions[0].isdecimal() else len(items)
        if len(positions) > 1 or position >= len(items):
            words = " ".join(positions)
            message = f"{show_key(entry.key)} has {len(items)} items, counted from 0: no {words}"
            self.problems.append(Problem(entry.place, entry.key, message))
            return
        kept = [item for number, item in enumerate(items) if number != position]
        self.root = self.root.with_member(path, Entry(kept, entry.key, entry.place))

    def _absent(self, entry: Entry, path: tuple[str, ...]) -> Problem:
        around = self.root.find(path[:-1])
        names = around.members if around is not None else {}
        closest = find_closest(path[-1], names)
        section = entry.key.removesuffix(f".{path[-1]}")
        nearest = None if closest is None else f"{section}.{closest}"
        siblings = (f"{section}.{name}" for name in names)
        return unknown_key(entry, nearest=nearest, allowed=siblings, kind=self.model.grammar.kind)

    def _is_map(self, path: tuple[str, ...]) -> bool:
        keys = get_override_keys(self.model)
        return any(field.is_map and field.path == path for field in keys.values())

    def _get_path(self, entry: Entry) -> tuple[str, ...] | None:
        """The path of an entry's key; if there is none, a problem."""
        path = self._find_path(entry.key)
        if path is None:
            self.problems.append(self._unknown(entry))
        return path

    def _find_path(self, key: str) -> tuple[str, ...] | None:
        flat = self.model.grammar.flat
        if flat is not None and key in flat.stays:
            inside = (flat.section, key)
            if self.root.find(inside) is not None:
                return inside
        return find_override_path(self.model, key)

    def _unknown(self, entry: Entry) -> Problem:
        why = self.model.grammar.find_refusal(entry.key)
        if why is not None:
            return refused_key(entry, why)
        keys = get_override_keys(self.model)
        nearest = find_nearest_key(entry.key, keys)
        allowed = (key for key in keys if "." not in key and ANY not in key)
        return unknown_key(entry, nearest=nearest, allowed=allowed, kind=self.model.grammar.kind)


def settle_overrides(
    model: type[Document], overrides: Sequence[str], flags: Mapping[str, object]
) -> list[list[object]]:
    """Paths and values: equal for overrides and flags that mean the same, however written.

    What cannot be read stays as it is: applying it tells why.
    """
    settled: dict[str, object] = {}
    for key, value in (*map(_split_override, overrides), *flags.items()):
        if value is not None:
            name = ".".join(find_override_path(model, key) or (key,))
            settled.pop(name, None)
            settled[name] = parse_scalar(value) if isinstance(value, str) else value
    items: list[list[object]] = [[name, value] for name, value in settled.items()]
    if any(one.startswith(f"{other}.") for one in settled for other in settled):
        return items  # a section and a key in it: which comes first matters
    return sorted(items, key=lambda item: str(item[0]))


def _split_override(override: str) -> tuple[str, str]:
    key, _, value = override.partition("=")
    return key.strip(), value.strip() or value


def _no_container(key: str, place: Place) -> Problem:
    return Problem(place, key, f"{show_key(key)} is neither a list nor a map: use --set {key}=...")
