"""What is wrong with a document, gathered and raised as one error. Any process, pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NoReturn

from sparkscore.errors import InvalidFieldError, SpecError, UnknownFieldError
from sparkscore.spec.entries import Entry, Place
from sparkscore.spec.grammar import MISSING_FIELD

_MOST_OTHERS = 5
_MOST_KEYS = 12
_LONGEST_VALUE = 80


@dataclass(frozen=True)
class Problem:
    """One thing to correct: ``message`` names the key and says what is allowed."""

    place: Place
    key: str
    message: str
    kind: type[SpecError] = InvalidFieldError
    condition: str | None = None
    attributes: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.place}: {self.message}"


def raise_problems(problems: Iterable[Problem], *, file: str) -> NoReturn:
    """Raise the first of at least one problem by line, naming the others."""
    first, *others = sorted(_without_echoes(problems), key=_order)
    notes = [f"; also {_short(other, file=file)}" for other in others[:_MOST_OTHERS]]
    if len(others) > _MOST_OTHERS:
        notes.append(f"; and {len(others) - _MOST_OTHERS} more")
    raise first.kind(
        " ".join(f"{first}{''.join(notes)}".splitlines()),
        condition=first.condition,
        file=file,
        line=first.place.line,
        key=first.key,
        others=[
            {"line": other.place.line, "key": other.key, "message": other.message}
            for other in others
        ],
        **first.attributes,
    )


def _short(problem: Problem, *, file: str) -> str:
    if problem.place.source == file and problem.place.line is not None:
        return f"line {problem.place.line}: {problem.message}"
    return str(problem)


def _order(problem: Problem) -> tuple[float, bool]:
    line = float("inf") if problem.place.line is None else problem.place.line
    return line, problem.condition == MISSING_FIELD


def _without_echoes(problems: Iterable[Problem]) -> list[Problem]:
    """One problem per key and place; no missing key that another problem names as the nearest."""
    found: dict[tuple[Place, str], Problem] = {}
    for problem in problems:
        found.setdefault((problem.place, problem.key), problem)
    meant = {problem.attributes.get("nearest") for problem in found.values()}
    return [
        problem
        for problem in found.values()
        if problem.condition != MISSING_FIELD or problem.key not in meant
    ]


def unknown_key(entry: Entry, *, nearest: str | None, allowed: Iterable[str], kind: str) -> Problem:
    """The problem of a key that no field of the document ``kind`` has."""
    known = sorted(allowed)
    if nearest is None and len(known) > _MOST_KEYS:
        advice = f"`sparkscore schema {kind}` prints all keys"
    elif nearest is None:
        advice = f"known keys here: {', '.join(known) or 'none'}"
    elif nearest.rpartition(".")[2] == entry.key.rpartition(".")[2]:
        section = nearest.rpartition(".")[0] or "the root of the document"
        advice = f"it belongs in {section}: write {nearest}"
    else:
        advice = f"did you mean {nearest}?"
    return Problem(
        entry.place,
        entry.key,
        f"unknown key {show_key(entry.key)}: {advice}",
        kind=UnknownFieldError,
        attributes={"nearest": nearest},
    )


def refused_key(entry: Entry, why: str) -> Problem:
    """The problem of a key that is known and not accepted; its value is not shown."""
    return Problem(
        entry.place,
        entry.key,
        f"{show_key(entry.key)} is not accepted: {why}",
        attributes={"value": None, "nearest": None},
    )


def given_twice(first: Entry, second: Entry) -> Problem:
    """The problem of one field written under two keys."""
    where = first.place.source if first.place.line is None else f"line {first.place.line}"
    return Problem(
        second.place,
        second.key,
        f"{second.key} gives again what {first.key} gives ({where}): remove one",
        attributes={"nearest": None},
    )


def refused_value(
    entry: Entry, words: str, *, hint: str = "", condition: str | None = None
) -> Problem:
    """The problem of a value that its field does not allow."""
    message = f"{show_key(entry.key)} must be {words}, not {show_value(entry)}{hint}"
    return Problem(
        entry.place,
        entry.key,
        message,
        condition=condition,
        attributes={"value": get_value(entry), "nearest": None},
    )


def get_value(entry: Entry) -> Any:
    """The value of an entry as JSON types, None for what JSON cannot say."""
    if isinstance(entry.content, dict):
        return {name: get_value(member) for name, member in entry.content.items()}
    if isinstance(entry.content, list):
        return [get_value(item) for item in entry.content]
    is_special = isinstance(entry.content, float) and entry.content - entry.content != 0
    return entry.text if is_special else entry.content


def show_value(entry: Entry) -> str:
    """The value as an error shows it: short, text in quotes, numbers as written."""
    if isinstance(entry.content, dict):
        return "a mapping"
    if isinstance(entry.content, list):
        return _shorten(str(get_value(entry)))
    if isinstance(entry.content, str):
        return repr(_shorten(entry.content))
    return _shorten(entry.text) or "empty"


def show_key(key: str) -> str:
    """The key on one line, without control characters."""
    shown = key if key.isprintable() and key else repr(key)[1:-1]
    return _shorten(shown) or "''"


def _shorten(text: str) -> str:
    return text if len(text) <= _LONGEST_VALUE else f"{text[: _LONGEST_VALUE - 3]}..."
