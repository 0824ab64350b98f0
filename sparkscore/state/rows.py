"""Records to rows and back. Control plane."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, TypeVar

from sqlalchemy import RowMapping

from sparkscore.errors import StateError
from sparkscore.state.records import ProcessIdentity

Record = TypeVar("Record")

_PROCESSES = ("creator", "launcher", "driver")


def to_row(record: Any) -> dict[str, Any]:
    """A column for each field.

    Raises StateError INVALID_TEXT for text that a database cannot hold: NUL, or bytes that were
    not UTF-8 where they came from.
    """
    row = {}
    for field in dataclasses.fields(record):
        value = getattr(record, field.name)
        if isinstance(value, str):
            _check_text(record, field.name, value)
        row[field.name] = dataclasses.asdict(value) if field.name in _PROCESSES and value else value
    return row


def _check_text(record: Any, field: str, text: str) -> None:
    if "\0" in text or any("\ud800" <= character <= "\udfff" for character in text):
        raise StateError(
            f"{field} of {record.name!r} holds a NUL or bytes that are not UTF-8: {text!r}; "
            "write it without",
            condition="INVALID_TEXT",
            name=repr(record.name),
            field=field,
        )


def from_row(kind: type[Record], row: RowMapping) -> Record:
    """The record in a row; columns that only serve queries are left out."""
    names = [field.name for field in dataclasses.fields(kind)]  # type: ignore[arg-type]
    return kind(**{name: _field_value(name, row) for name in names})


def _field_value(name: str, row: Mapping[Any, Any]) -> Any:
    value = row[name]
    return ProcessIdentity(**value) if name in _PROCESSES and value is not None else value
