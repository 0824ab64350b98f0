"""Members of the JSON objects that REST clients send, in the words of the reference. Pure.

Control plane. Keys are read in any case. Numbers may be texts, durations ISO 8601.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

from sparkscore.errors import InvalidFieldError, UnknownFieldError
from sparkscore.spec import find_closest

_INTEGER = re.compile(r"\s*[-+]?[0-9]{1,18}\s*")
_DURATION = re.compile(
    r"P(?:(?P<days>\d{1,6})D)?"
    r"(?:T(?=\d)(?:(?P<hours>\d{1,9})H)?(?:(?P<minutes>\d{1,9})M)?"
    r"(?:(?P<seconds>\d{1,9}(?:\.\d{1,9})?)S)?)?",
    re.IGNORECASE,
)
_UNITS = {"days": 86_400, "hours": 3_600, "minutes": 60, "seconds": 1}


class Fields:
    """The members of one object. Each is taken out once; what is left can be refused.

    ``where`` is its place in the body, such as ``properties.retrySettings``.
    """

    def __init__(self, content: Mapping[str, Any], where: str = "") -> None:
        self.where = where
        self._members: dict[str, tuple[str, Any]] = {}
        self._known: list[str] = []
        for key, value in content.items():
            folded = fold(key)
            if folded in self._members:
                raise _refuse(self.name(key), f"stands twice, also as {self._members[folded][0]}")
            self._members[folded] = (key, value)

    def name(self, key: str) -> str:
        """The member's place in the body."""
        return f"{self.where}.{key}" if self.where else key

    def has(self, key: str) -> bool:
        """Whether the member was given, null or not, and not taken yet."""
        return fold(key) in self._members

    def take(self, *keys: str) -> Any:
        """The value of the first of these keys that was given, None if none was, or null."""
        self._known += keys
        found = None
        for key in keys:
            if self.has(key):
                value = self._members.pop(fold(key))[1]
                found = value if found is None else found
        return found

    def take_text(self, *keys: str) -> str | None:
        """A text. Raises InvalidFieldError for anything else."""
        value = self.take(*keys)
        if value is None or isinstance(value, str):
            return value
        raise _refuse(self.name(keys[0]), "must be a text", value)

    def take_word(self, *keys: str) -> str | None:
        """A word of the reference such as AppendRow, as YAML files have it: append_row."""
        value = self.take_text(*keys)
        return None if value is None else to_snake(value)

    def take_number(self, *keys: str) -> Any:
        """A number, also one that was sent as text; anything else as it is."""
        return as_number(self.take(*keys))

    def take_seconds(self, *keys: str) -> Any:
        """Seconds: a number, or a duration such as PT30S."""
        return self._as_seconds(keys[0], self.take(*keys))

    def take_map(self, *keys: str) -> dict[str, Any] | None:
        """An object of the user's own. Raises InvalidFieldError for anything else."""
        value = self.take(*keys)
        if value is None or isinstance(value, dict):
            return value
        raise _refuse(self.name(keys[0]), "must be an object", value)

    def take_fields(self, *keys: str) -> Fields:
        """An object whose members are read too; empty if it was not given."""
        return Fields(self.take_map(*keys) or {}, self.name(keys[0]))

    def drop(self, *keys: str) -> None:
        """Ignore members that mean nothing here."""
        self.take(*keys)

    def iter_rest(self) -> Iterator[tuple[str, Any]]:
        """Keys and values of what was not taken."""
        yield from self._members.values()

    def refuse_rest(self) -> None:
        """Raise UnknownFieldError for the first member that was not taken."""
        for key, _ in self._members.values():
            nearest = find_closest(key, self._known)
            advice = f"did you mean {nearest}?" if nearest else "remove it"
            raise UnknownFieldError(
                f"{self.name(key)} is no field of this request: {advice}",
                key=self.name(key),
                nearest=nearest,
            )

    def _as_seconds(self, key: str, value: Any) -> Any:
        number = as_number(value)
        if not isinstance(number, str):
            return number
        match = _DURATION.fullmatch(number.strip())
        parts = {} if match is None else {k: v for k, v in match.groupdict().items() if v}
        seconds = sum(float(count) * _UNITS[unit] for unit, count in parts.items())
        if not parts or seconds != math.floor(seconds):
            raise _refuse(
                self.name(key),
                "must be whole seconds: a number, or a duration such as PT30S",
                value,
            )
        return int(seconds)


def fold(key: str) -> str:
    """A key without its case."""
    return key.casefold()


def as_number(value: Any) -> Any:
    """The integer that a text holds; anything else as it is."""
    if isinstance(value, str) and _INTEGER.fullmatch(value):
        return int(value)
    return value


def to_snake(word: str) -> str:
    """``UriFolder``, ``mlflow_model`` or ``AppendRow`` as YAML files have it.

    A word that is written in one case stays as it is but for that case.
    """
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", word.strip()).lower().replace("ml_flow", "mlflow")


def to_camel(key: str) -> str:
    """``mini_batch_size`` as the reference has it: miniBatchSize."""
    first, *others = key.split("_")
    return first + "".join(other.capitalize() for other in others)


def to_pascal(word: str) -> str:
    """``append_row`` as the reference has it: AppendRow."""
    return "".join(part.capitalize() for part in word.split("_"))


def render_duration(seconds: int) -> str:
    """Seconds as ISO 8601."""
    return f"PT{seconds}S"


def given(members: Mapping[str, Any]) -> dict[str, Any]:
    """Without what is None."""
    return {key: value for key, value in members.items() if value is not None}


def _refuse(key: str, problem: str, value: object = None) -> InvalidFieldError:
    return InvalidFieldError(f"{key} {problem}", key=key, value=value)
