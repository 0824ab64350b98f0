"""How a document is written beyond its fields, declared once per document. Any process, pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from pydantic import model_validator
from pydantic_core import PydanticCustomError

from sparkscore.spec.types import Spec

MISSING_FIELD = "MISSING_FIELD"
"""Condition of a required key that is not there."""

SHOWN_KEYS = (
    "id",
    "creation_context",
    "provisioning_state",
    "resourceGroup",
    "is_archived",
    "is_built_in",
    "is_default",
)
"""Keys that ``show`` prints and a document may bring back; they are ignored."""


@dataclass(frozen=True)
class Conflict:
    """A field whose value cannot stand with the others; ``message`` follows its key.

    ``is_secret``: its value must not be shown.
    """

    path: tuple[str, ...]
    message: str
    condition: str | None = None
    is_secret: bool = False


@dataclass(frozen=True)
class FlatLayout:
    """The layout in which the members of ``section`` stand at the root.

    ``stays`` are members that do not, ``anywhere`` is the one that may stand in either place in
    both layouts.
    """

    section: str
    stays: frozenset[str]
    anywhere: str


@dataclass(frozen=True)
class TypeKeys:
    """Keys that a document takes with one value of ``type``."""

    required: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()

    @property
    def names(self) -> frozenset[str]:
        """All of them."""
        return frozenset((*self.required, *self.optional))


@dataclass(frozen=True)
class Grammar:
    """What users may write in a document besides its fields.

    ``kind`` names it in errors and for ``sparkscore schema``. ``aliases``: other dotted keys of a
    field. ``short_keys``: bare names that ``--set`` takes. ``ignored``: keys at the root that mean
    nothing. ``refused``: dotted keys with what to write instead; without content they are ignored.
    ``types``: keys that only some values of ``type`` take. ``accepts_null``: a field that is null
    is one that was not given, as ``show`` prints it.
    """

    kind: str
    aliases: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    short_keys: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    ignored: tuple[str, ...] = SHOWN_KEYS
    refused: Mapping[str, str] = field(default_factory=dict)
    types: Mapping[str, TypeKeys] = field(default_factory=dict)
    flat: FlatLayout | None = None
    accepts_null: bool = False

    def find_refusal(self, key: str) -> str | None:
        """What to write instead of a refused key, or of one below it."""
        found = (why for name, why in self.refused.items() if f"{key}.".startswith(f"{name}."))
        return next(found, None)

    def find_foreign_keys(self, type_: str) -> frozenset[str]:
        """Keys that belong to other types only."""
        if type_ not in self.types:
            return frozenset()
        return frozenset().union(*(keys.names for keys in self.types.values())) - (
            self.types[type_].names
        )


class Document(Spec):
    """A spec that is a document of its own: a file, or what a workspace stores."""

    grammar: ClassVar[Grammar]

    @model_validator(mode="after")
    def _check_conflicts(self) -> Document:
        conflicts = [*self._iter_type_conflicts(), *self.iter_conflicts()]
        if conflicts:
            raise PydanticCustomError(
                "conflicts", "{first}", {"first": conflicts[0].message, "conflicts": conflicts}
            )
        return self

    def iter_conflicts(self) -> Iterator[Conflict]:
        """What the fields, valid one by one, must not say together."""
        yield from ()

    def _iter_type_conflicts(self) -> Iterator[Conflict]:
        types = self.grammar.types
        type_ = str(getattr(self, "type", ""))
        if type_ not in types:
            return
        for name in types[type_].required:
            if getattr(self, name) is None:
                yield Conflict((name,), f"is needed with type: {type_}", condition=MISSING_FIELD)
        for name in sorted(self.grammar.find_foreign_keys(type_) & self.model_fields_set):
            others = ", ".join(other for other, keys in types.items() if name in keys.names)
            yield Conflict((name,), f"is a key of type {others}, not of {type_}: remove it")

    def to_document(self) -> dict[str, Any]:
        """The spec as JSON types, with defaults, which load again to an equal spec."""
        foreign = self.grammar.find_foreign_keys(str(getattr(self, "type", "")))
        return {name: value for name, value in _as_json(self).items() if name not in foreign}


def _as_json(value: Any) -> Any:
    """Without fields that are None; nulls in mappings of the user's own stay."""
    if isinstance(value, Spec):
        members = {name: getattr(value, name) for name in type(value).model_fields}
        return {name: _as_json(part) for name, part in members.items() if part is not None}
    if isinstance(value, dict):
        return {name: _as_json(part) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_as_json(part) for part in value]
    return value
