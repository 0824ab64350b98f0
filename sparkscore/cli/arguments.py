"""What the option parser does not do by itself, as the reference's scripts expect it.

Control plane, pure. Long flags may be shortened while they are unambiguous, flags with values may
take several of them, and switches may be followed by ``true`` or ``false``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from sparkscore.errors import UsageError

WORDS_FLAGS = ("--add", "--remove")
"""Flags whose values belong together: a list, and what to add to it."""

SEPARATOR = "\x1f"


@dataclass(frozen=True)
class Flag:
    """An option of one command: its names, and whether values follow."""

    names: tuple[str, ...]
    takes_value: bool = True
    is_list: bool = False

    @property
    def long_name(self) -> str:
        """The first name of more than one letter."""
        return next((name for name in self.names if name.startswith("--")), self.names[0])


def spell_out(arguments: Sequence[str], flags: Sequence[Flag]) -> list[str]:
    """The arguments with every flag by its full name and each value behind a flag of its own.

    ``--set a=1 b=2`` becomes ``--set a=1 --set b=2``. Raises UsageError (AMBIGUOUS_FLAG).
    """
    return list(_iter_spelled(list(arguments), flags))


def _iter_spelled(left: list[str], flags: Sequence[Flag]) -> Iterator[str]:
    while left:
        word = left.pop(0)
        name, equals, value = word.partition("=")
        flag = _find_flag(name, flags)
        if flag is None:
            yield word
            continue
        name = name if name in flag.names else flag.long_name
        if not flag.takes_value:
            yield from _iter_switch(name + equals + value, left)
            continue
        values = [value] if equals else _pop_first(left)
        while flag.is_list and left and not left[0].startswith("-"):
            values.append(left.pop(0))
        if name in WORDS_FLAGS:
            values = [SEPARATOR.join(values)]
        yield from (part for value in values for part in (name, value))
        if not values:
            yield name


def _pop_first(words: list[str]) -> list[str]:
    return [words.pop(0)] if words else []


def _iter_switch(name: str, left: list[str]) -> Iterator[str]:
    said = left.pop(0).lower() if left and left[0].lower() in ("true", "false") else "true"
    if said == "true":
        yield name


def _find_flag(name: str, flags: Sequence[Flag]) -> Flag | None:
    exact = next((flag for flag in flags if name in flag.names), None)
    if exact is not None or not name.startswith("--") or name == "--":
        return exact
    found = {
        candidate: flag for flag in flags for candidate in flag.names if candidate.startswith(name)
    }
    if len(set(found.values())) > 1:
        raise UsageError(
            f"{name} is ambiguous: write {' or '.join(sorted(found))}",
            condition="AMBIGUOUS_FLAG",
            flag=name,
            candidates=sorted(found),
        )
    return next(iter(found.values()), None)


def split_words(
    texts: Sequence[str] | None, *, belong: Callable[[list[str]], bool]
) -> list[str | list[str]]:
    """The words behind each flag of WORDS_FLAGS: together if they ``belong``, else one by one."""
    split: list[str | list[str]] = []
    for text in texts or ():
        words = text.split(SEPARATOR)
        if len(words) > 1 and belong(words):
            split.append(words)
        else:
            split.extend(words)
    return split
