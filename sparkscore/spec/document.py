"""YAML text to entries, with nothing in it that could run or explode. Any process.

Scalars follow YAML 1.2: only ``true`` and ``false`` are booleans, ``010``, ``1:30`` and dates are
text. Tags, merge keys, duplicate keys, deep nesting and multiplying aliases are refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import yaml

from sparkscore.errors import MalformedDocumentError, UnresolvedReferenceError
from sparkscore.spec.entries import Entry, Place, Scalar, member_key

MAX_BYTES = 1_000_000
MAX_DEPTH = 32
MAX_ENTRIES = 20_000

_SCALARS: tuple[tuple[re.Pattern[str], Callable[[str], Scalar]], ...] = (
    (re.compile(r"(~|null|Null|NULL)?"), lambda _: None),
    (re.compile(r"true|True|TRUE|false|False|FALSE"), lambda text: text.lower() == "true"),
    (re.compile(r"[-+]?(0|[1-9][0-9]{0,99})"), int),
    (re.compile(r"0o[0-7]{1,99}|0x[0-9a-fA-F]{1,99}"), lambda text: int(text, 0)),
    (re.compile(r"[-+]?0[0-9]+"), str),
    (re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?"), float),
    (
        re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)"),
        lambda text: float(text.replace(".", "")),
    ),
)
_UNUSABLE = re.compile("[\0\ud800-\udfff]")


def read_document(path: Path, *, kind: str = "deployment") -> Entry:
    """The mapping in a YAML file; errors call it a ``kind`` file.

    Raises UnresolvedReferenceError if the file cannot be read, MalformedDocumentError (file, line,
    column) if it is no single, plain, UTF-8 YAML mapping.
    """
    source = str(path)
    content = _read_bytes(path, kind=kind)
    if len(content) > MAX_BYTES:
        _refuse(source, f"larger than {MAX_BYTES:,} bytes: this is no {kind} file")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = content[: error.start]
        _refuse(
            source,
            f"byte 0x{content[error.start]:02x} is not UTF-8: save the file as UTF-8",
            line=before.count(b"\n") + 1,
            column=error.start - before.rfind(b"\n"),
        )
    return parse_document(text, source=source, kind=kind)


def _read_bytes(path: Path, *, kind: str) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except FileNotFoundError as error:
        raise UnresolvedReferenceError(
            f"{path}: no such file: give the path of the {kind} file",
            condition=f"{kind.upper()}_FILE_NOT_FOUND",
            file=str(path),
        ) from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UnresolvedReferenceError(
            f"{path}: the {kind} file cannot be read: {reason}",
            condition=f"{kind.upper()}_FILE_NOT_READABLE",
            file=str(path),
        ) from error


def parse_document(text: str, *, source: str, kind: str = "deployment") -> Entry:
    """The mapping in a YAML text; see ``read_document``."""
    root = parse_value(text, key="", place=Place(source), numbered=True)
    if root is None or root.content is None:
        problem = f"is empty: write the keys that `sparkscore schema {kind}` prints"
        _refuse(source, problem, line=1, column=1)
    if not isinstance(root.content, dict):
        found = "a list" if isinstance(root.content, list) else "a single value"
        _refuse(source, f"holds {found}, not `key: value` lines", line=1, column=1)
    return root


def parse_value(text: str, *, key: str, place: Place, numbered: bool = False) -> Entry | None:
    """The value of a YAML text, None if there is none; ``numbered`` entries tell their line."""
    composer = _open(text, place.source, numbered=numbered)
    try:
        return composer.compose(key)
    except MalformedDocumentError:
        raise
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        composer.refuse(_yaml_problem(text, error, mark), mark, cause=error)
    except (ValueError, OverflowError) as error:
        composer.refuse("not YAML: an escape or number is out of range", None, cause=error)


def _open(text: str, source: str, *, numbered: bool) -> _Composer:
    try:
        return _Composer(text, source, numbered=numbered)
    except yaml.reader.ReaderError as error:
        before = text[: error.position]
        _refuse(
            source,
            f"character U+{error.character:04X} is not allowed in YAML",
            line=before.count("\n") + 1 if numbered else None,
            column=error.position - before.rfind("\n"),
            cause=error,
        )


def parse_scalar(text: str) -> Scalar:
    """The value of an unquoted YAML scalar."""
    readers = (reader for pattern, reader in _SCALARS if pattern.fullmatch(text))
    return next(readers, str)(text)


def has_unusable_character(text: str) -> bool:
    """Whether ``text`` holds what no path, variable or UTF-8 file can: NUL or a lone surrogate."""
    return _UNUSABLE.search(text) is not None


def _yaml_problem(text: str, error: yaml.MarkedYAMLError, mark: Any) -> str:
    lines = text.splitlines()
    line = lines[mark.line] if mark is not None and mark.line < len(lines) else ""
    indentation = line[: len(line) - len(line.lstrip())]
    if "\t" in indentation or r"'\t'" in (error.problem or ""):
        return "a tab indents this line: YAML indents with spaces only"
    return f"not YAML: {error.problem or error.context or 'unreadable'}"


def _refuse(
    source: str,
    problem: str,
    *,
    line: int | None = None,
    column: int | None = None,
    cause: Exception | None = None,
) -> NoReturn:
    place = source if line is None else f"{source}:{line}:{column}"
    message = " ".join(f"{place}: {problem}".split())
    raise MalformedDocumentError(message, file=source, line=line, column=column) from cause


class _Composer:
    """Builds entries from parser events; nothing recurses deeper than MAX_DEPTH."""

    def __init__(self, text: str, source: str, *, numbered: bool) -> None:
        self._loader: Any = yaml.SafeLoader(text)
        self._events = self._iter_events()
        self._source = source
        self._numbered = numbered
        self._anchors: dict[str, Entry] = {}
        self._count = 0

    def refuse(self, problem: str, mark: Any, *, cause: Exception | None = None) -> NoReturn:
        """Raise MalformedDocumentError at a parser's mark, or where the parser stands."""
        mark = mark or self._loader.get_mark()
        line = mark.line + 1 if self._numbered else None
        _refuse(self._source, problem, line=line, column=mark.column + 1, cause=cause)

    def _iter_events(self) -> Iterator[Any]:
        while self._loader.check_event():
            yield self._loader.get_event()

    def compose(self, key: str) -> Entry | None:
        """The one document's value."""
        root: Entry | None = None
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent):
                if root is not None:
                    self.refuse(
                        "a second document starts here: write one per file", event.start_mark
                    )
                first = next(self._events)
                root = self._entry(first, key, self._place(first), depth=0)
        return root

    def _place(self, event: Any) -> Place:
        return Place(self._source, event.start_mark.line + 1 if self._numbered else None)

    def _entry(self, event: Any, key: str, place: Place, *, depth: int) -> Entry:
        if depth > MAX_DEPTH:
            self.refuse(f"nested deeper than {MAX_DEPTH} levels", event.start_mark)
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event, key, place, depth=depth)
        self._check(event)
        if isinstance(event, yaml.ScalarEvent):
            entry = self._scalar(event, key, place)
        elif isinstance(event, yaml.MappingStartEvent):
            entry = self._mapping(key, place, depth=depth)
        else:
            entry = self._sequence(key, place, depth=depth)
        if event.anchor is not None:
            self._anchors[event.anchor] = entry
        return entry

    def _check(self, event: Any) -> None:
        self._spend(event)
        if event.tag is not None:
            tag = event.tag.replace("tag:yaml.org,2002:", "!!")
            self.refuse(f"YAML tag {tag} is not accepted: remove it", event.start_mark)

    def _spend(self, event: Any, count: int = 1) -> None:
        self._count += count
        if self._count > MAX_ENTRIES:
            self.refuse(f"more than {MAX_ENTRIES:,} values, aliases expanded", event.start_mark)

    def _scalar(self, event: yaml.ScalarEvent, key: str, place: Place) -> Entry:
        if has_unusable_character(event.value):
            self.refuse("a NUL or surrogate character is not allowed", event.start_mark)
        content = parse_scalar(event.value) if event.style is None else event.value
        return Entry(content, key, place, event.value)

    def _mapping(self, key: str, place: Place, *, depth: int) -> Entry:
        members: dict[str, Entry] = {}
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            name = self._name(event)
            if name in members:
                first = members[name].place.line
                self.refuse(f"key {name!r} is already in line {first}", event.start_mark)
            inner = member_key(key, name)
            members[name] = self._entry(
                next(self._events), inner, self._place(event), depth=depth + 1
            )
        return Entry(members, key, place)

    def _name(self, event: Any) -> str:
        if not isinstance(event, yaml.ScalarEvent):
            self.refuse("a key must be plain text", event.start_mark)
        self._check(event)
        if event.value == "<<" and event.style is None:
            self.refuse("merge keys (<<) are not accepted: write the keys out", event.start_mark)
        return str(self._scalar(event, "", self._place(event)).text)

    def _sequence(self, key: str, place: Place, *, depth: int) -> Entry:
        items: list[Entry] = []
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            inner = member_key(key, len(items))
            items.append(self._entry(event, inner, self._place(event), depth=depth + 1))
        return Entry(items, key, place)

    def _alias(self, event: Any, key: str, place: Place, *, depth: int) -> Entry:
        target = self._anchors.get(event.anchor)
        if target is None:
            self.refuse(f"alias *{event.anchor} has no finished anchor above it", event.start_mark)
        return self._copy(target, event, key, place, depth=depth)

    def _copy(self, entry: Entry, event: Any, key: str, place: Place, *, depth: int) -> Entry:
        self._spend(event)
        if depth > MAX_DEPTH:
            self.refuse(f"nested deeper than {MAX_DEPTH} levels", event.start_mark)
        copies = {
            name: self._copy(child, event, member_key(key, name), place, depth=depth + 1)
            for name, child in entry.children
        }
        if isinstance(entry.content, dict):
            return Entry({str(name): child for name, child in copies.items()}, key, place)
        if isinstance(entry.content, list):
            return Entry(list(copies.values()), key, place)
        return replace(entry, key=key, place=place)
