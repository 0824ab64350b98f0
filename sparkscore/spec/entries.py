"""Values that know where the user wrote them. Any process, pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Union

Scalar = bool | int | float | str | None
Content = Union[Scalar, "dict[str, Entry]", "list[Entry]"]
Path = tuple[str | int, ...]


@dataclass(frozen=True)
class Place:
    """Where a value was written: a file and line, ``--set``, or a flag such as ``--limit``."""

    source: str
    line: int | None = None

    def __str__(self) -> str:
        return self.source if self.line is None else f"{self.source}:{self.line}"


@dataclass(frozen=True)
class Entry:
    """A value, the dotted key under which the user wrote it, and its place.

    ``text`` is a scalar as written (``1.10``, ``yes``), for fields that are text.
    """

    content: Content
    key: str
    place: Place
    text: str = ""

    @property
    def members(self) -> dict[str, Entry]:
        """The members of a mapping; empty for everything else."""
        return self.content if isinstance(self.content, dict) else {}

    @property
    def children(self) -> Iterator[tuple[str | int, Entry]]:
        """Name or position, and entry, of each member of a mapping or list."""
        if isinstance(self.content, dict):
            yield from self.content.items()
        elif isinstance(self.content, list):
            yield from enumerate(self.content)

    def find(self, path: Path) -> Entry | None:
        """The entry at ``path`` below this one."""
        entry: Entry | None = self
        for part in path:
            entry = dict(entry.children).get(part) if entry is not None else None
        return entry

    def get_nearest(self, path: Path) -> Entry:
        """The entry at ``path``, or its closest ancestor that was written."""
        entry = self
        for part in path:
            child = dict(entry.children).get(part)
            if child is None:
                return entry
            entry = child
        return entry

    def with_member(
        self, path: tuple[str, ...], member: Entry, *, at: tuple[str, ...] = ()
    ) -> Entry:
        """A copy in which ``member`` stands at ``path``; what is no mapping on the way is lost."""
        if not path:
            return member
        inside = (*at, path[0])
        child = self.members.get(path[0])
        if child is None or (len(path) > 1 and not isinstance(child.content, dict)):
            child = Entry({}, ".".join(inside), member.place)
        placed = child.with_member(path[1:], member, at=inside)
        return replace(self, content={**self.members, path[0]: placed})

    def without_member(self, path: tuple[str, ...]) -> Entry:
        """A copy in which nothing stands at ``path``."""
        child = self.members.get(path[0])
        if child is None:
            return self
        members = dict(self.members)
        del members[path[0]]
        if len(path) > 1:
            members = {**self.members, path[0]: child.without_member(path[1:])}
        return replace(self, content=members)


def member_key(parent: str, name: str | int) -> str:
    """The dotted key of a member as a user would write it."""
    if isinstance(name, int):
        return f"{parent}[{name}]"
    return f"{parent}.{name}" if parent else name


def entry_of(value: object, *, key: str, place: Place) -> Entry:
    """An entry for a value that came typed, from a flag."""
    if isinstance(value, Mapping):
        members = {
            str(name): entry_of(item, key=member_key(key, str(name)), place=place)
            for name, item in value.items()
        }
        return Entry(members, key, place)
    if isinstance(value, (list, tuple)):
        items = [
            entry_of(item, key=member_key(key, position), place=place)
            for position, item in enumerate(value)
        ]
        return Entry(items, key, place)
    if isinstance(value, bool):
        return Entry(value, key, place, str(value).lower())
    if value is None or isinstance(value, (int, float, str)):
        return Entry(value, key, place, "null" if value is None else str(value))
    return Entry(str(value), key, place, str(value))
