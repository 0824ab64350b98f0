"""What people filled in, and what is wrong with it, field by field. Control plane."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Annotated, Any

from fastapi import Depends, Request
from starlette.datastructures import FormData, UploadFile

from sparkscore.errors import SparkscoreError

_NAMING_ATTRIBUTES = ("key", "field", "name")


@dataclass
class Form:
    """The fields of a form and the errors beside them; ``errors[""]`` belongs to no field."""

    data: FormData = field(default_factory=FormData)
    errors: dict[str, str] = field(default_factory=dict)

    def get(self, name: str, default: str = "") -> str:
        """The text of a field without space around it."""
        value = self.data.get(name)
        return value.strip() if isinstance(value, str) else default

    def find(self, name: str) -> str | None:
        """The text of a field, None if it is empty."""
        return self.get(name) or None

    def get_list(self, name: str) -> list[str]:
        """The texts of a field that may be there several times."""
        return [value for value in self.data.getlist(name) if isinstance(value, str)]

    def is_on(self, name: str) -> bool:
        """Whether a box is ticked."""
        return self.get(name) not in ("", "false", "off")

    def iter_files(self, name: str) -> Iterator[UploadFile]:
        """Uploaded files of a field; an empty choice is none."""
        for value in self.data.getlist(name):
            if isinstance(value, UploadFile) and value.filename:
                yield value

    def refuse(self, name: str, reason: str) -> None:
        """Say beside a field what is wrong with it."""
        self.errors.setdefault(name, reason)

    def take(self, error: SparkscoreError, fields: dict[str, str] | None = None) -> None:
        """Put a use case's error beside the field that it names.

        ``fields`` are fields of the form by what errors may name: a key (``name``,
        ``settings.mini_batch_size``) or a condition.
        """
        known = {**{name: name for name in self.data}, **(fields or {})}
        message = error.message.removeprefix("--set: ")
        named = [error.attributes.get(name) for name in _NAMING_ATTRIBUTES]
        for found in (error.condition, *named):
            if isinstance(found, str) and found in known:
                self.refuse(known[found], message)
                return
        self.refuse("", message)

    def values(self) -> dict[str, Any]:
        """All texts by field, the last of each."""
        return {name: value for name, value in self.data.items() if isinstance(value, str)}


async def read_form(request: Request) -> Form:
    """The form in the request's body, or its query for a GET."""
    if request.method in ("GET", "HEAD"):
        return Form(FormData([*request.query_params.multi_items()]))
    return Form(await request.form())


FormOf = Annotated[Form, Depends(read_form)]
