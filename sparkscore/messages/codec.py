"""Frozen dataclasses to JSON and back, checked field by field. Any process.

Types are read from the annotations as written, so that the same code runs on every Python that a
script host may have (3.9 and later) without evaluating newer syntax.
"""

from __future__ import annotations

import dataclasses
import json
import math
import re
from functools import cache
from typing import Any, Callable, NamedTuple, NoReturn, TypeVar

from sparkscore.errors import MessageError

PROTOCOL_VERSION = 1
"""Version of the messages in a job folder; a reader refuses any other."""

Message = TypeVar("Message")

_MAY_BE_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and -(2**63) <= value < 2**64


def _is_number(value: Any) -> bool:
    return isinstance(value, float) or _is_integer(value)


def _is_string(value: Any) -> bool:
    return isinstance(value, str)


def _mapping_of(check: Callable[[Any], bool]) -> Callable[[Any], bool]:
    def is_mapping(value: Any) -> bool:
        return isinstance(value, dict) and all(
            isinstance(key, str) and check(item) for key, item in value.items()
        )

    return is_mapping


def _sequence_of(check: Callable[[Any], bool]) -> Callable[[Any], bool]:
    def is_sequence(value: Any) -> bool:
        return isinstance(value, (list, tuple)) and all(check(item) for item in value)

    return is_sequence


_CHECKS: dict[str, Callable[[Any], bool]] = {
    "int": _is_integer,
    "float": _is_number,
    "bool": lambda value: isinstance(value, bool),
    "str": _is_string,
    "dict[str, str]": _mapping_of(_is_string),
    "dict[str, int]": _mapping_of(_is_integer),
    "dict[str, float]": _mapping_of(_is_number),
    "dict[str, Any]": _mapping_of(lambda _: True),
    "tuple[str, ...]": _sequence_of(_is_string),
    "tuple[dict[str, Any], ...]": _sequence_of(lambda value: isinstance(value, dict)),
}


def to_dict(message: Any) -> dict[str, Any]:
    """The message as JSON types, with its protocol version if it is a top-level message."""
    content: dict[str, Any] = {}
    for field in dataclasses.fields(message):
        value = getattr(message, field.name)
        content[field.name] = _to_json_types(value)
    return content


def _to_json_types(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return to_dict(value)
    if isinstance(value, tuple):
        return [_to_json_types(item) for item in value]
    return value


def to_json(message: Any, *, indent: int | None = None) -> str:
    """The message as one JSON object."""
    content = {"protocol": PROTOCOL_VERSION, **to_dict(message)}
    return json.dumps(content, indent=indent, ensure_ascii=False, allow_nan=False)


def from_json(kind: type[Message], text: str | bytes, *, where: str) -> Message:
    """The message of class ``kind`` in ``text``.

    Raises MessageError, naming ``where``, if the text is not JSON, has another protocol version,
    or a field is unknown, missing, of the wrong type or, as its class says in ``find_problem``, of
    a value that it cannot have.
    """
    try:
        content = _parse(text)
    except (ValueError, RecursionError) as error:
        raise MessageError(f"{where} is not JSON: {error}", where=where) from error
    if not isinstance(content, dict):
        raise MessageError(f"{where} holds no {kind.__name__}: not an object", where=where)
    protocol = content.pop("protocol", None)
    if protocol != PROTOCOL_VERSION or isinstance(protocol, bool):
        raise MessageError(
            f"{where} has message protocol {protocol!r}, this sparkscore reads "
            f"{PROTOCOL_VERSION}: use the sparkscore version that wrote it",
            where=where,
            protocol=str(protocol),
        )
    return from_dict(kind, content, where=where)


def _parse(text: str | bytes) -> Any:
    """The JSON value of a text of ours: UTF-8, numbers finite, and no half of a character."""
    if isinstance(text, bytes):
        text = text.decode("utf-8")
    content = json.loads(text, parse_constant=_refuse_constant, parse_float=_parse_float)
    if _MAY_BE_SURROGATE.search(text):
        json.dumps(content, ensure_ascii=False).encode("utf-8")
    return content


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")


def _parse_float(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is out of range")
    return number


def from_dict(kind: type[Message], content: Any, *, where: str) -> Message:
    """The message of class ``kind`` with these fields; see ``from_json``."""
    if not isinstance(content, dict):
        raise MessageError(f"{where}: {kind.__name__} must be an object", where=where)
    fields = _get_fields(kind)  # type: ignore[arg-type]
    if not content.keys() <= fields.keys():
        unknown = sorted(set(content) - set(fields))
        raise MessageError(f"{where}: {kind.__name__} has no field {unknown[0]!r}", where=where)
    values: dict[str, Any] = {}
    for name, field in fields.items():
        if name in content:
            values[name] = _field_value(kind, field, content[name], where=where)
        elif field.is_required:
            raise MessageError(f"{where}: {kind.__name__} lacks field {name!r}", where=where)
    message = kind(**values)
    find_problem: Callable[[], str | None] | None = getattr(message, "find_problem", None)
    problem = None if find_problem is None else find_problem()
    if problem is not None:
        raise MessageError(f"{where}: {kind.__name__} {problem}", where=where)
    return message


class _Field(NamedTuple):
    """What a value of a field must be, looked up once for each class: jobs have a million of some.

    ``nested`` and ``items`` are classes of messages, then there is no ``check``.
    """

    name: str
    declared: str
    check: Any
    nested: Any
    items: Any
    is_required: bool
    is_optional: bool
    is_tuple: bool


@cache
def _get_fields(kind: type) -> dict[str, _Field]:
    return {field.name: _describe(field) for field in dataclasses.fields(kind)}


def _describe(field: dataclasses.Field[Any]) -> _Field:
    declared = str(field.type)
    annotation = declared.replace(" | None", "")
    nested, items = field.metadata.get("message"), field.metadata.get("items")
    missing = dataclasses.MISSING
    return _Field(
        field.name,
        declared,
        check=_CHECKS[annotation] if nested is None and items is None else None,
        nested=nested,
        items=items,
        is_required=field.default is missing and field.default_factory is missing,
        is_optional=annotation != declared,
        is_tuple=annotation.startswith("tuple"),
    )


def _field_value(kind: type, field: _Field, value: Any, *, where: str) -> Any:
    if value is None and field.is_optional:
        return None
    if field.nested is not None:
        return from_dict(field.nested, value, where=f"{where}, {field.name}")
    if field.items is not None:
        return _messages(field.items, value, where=f"{where}, {field.name}")
    if not field.check(value):
        raise MessageError(
            f"{where}: field {field.name!r} of {kind.__name__} must be {field.declared}, "
            f"not {type(value).__name__}",
            where=where,
            field=field.name,
        )
    return tuple(value) if field.is_tuple else value


def _messages(kind: type[Message], values: Any, *, where: str) -> tuple[Message, ...]:
    if not isinstance(values, (list, tuple)):
        raise MessageError(f"{where} must be a list", where=where)
    return tuple(from_dict(kind, value, where=where) for value in values)


def nested(kind: type) -> Any:
    """A required field that holds another message."""
    return dataclasses.field(metadata={"message": kind})
