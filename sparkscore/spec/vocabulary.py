"""Every key that a deployment file can have, in both layouts, read off the models. Any process."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel, Discriminator

from sparkscore.spec.deployment import DeploymentSpec
from sparkscore.spec.types import AsWritten

Layout = Literal["flat", "nested"]

_ALIASES = {
    "model.local_path": ("model", "path"),
    "code_configuration.code.local_path": ("code_configuration", "code"),
    "code_configuration.code.path": ("code_configuration", "code"),
}
_NEAR = 0.72


@dataclass(frozen=True)
class Field:
    """A field by its path in the nested layout.

    ``is_union``: it has several forms, such as a reference or a mapping. ``is_map``: its members
    have names of the user's choice. ``is_text``: it, or each of its members, takes unquoted
    numbers and booleans as they were written.
    """

    path: tuple[str, ...]
    description: str
    default: object
    required: bool
    is_union: bool
    is_map: bool
    is_text: bool


@cache
def get_fields() -> dict[tuple[str, ...], Field]:
    """All fields by path."""
    return {field.path: field for field in _iter_fields(DeploymentSpec, ())}


def iter_fields() -> Iterator[Field]:
    """All fields that a user can write, sections before their members."""
    yield from get_fields().values()


def _iter_fields(model: type[BaseModel], prefix: tuple[str, ...]) -> Iterator[Field]:
    for name, info in model.model_fields.items():
        parts = [*_iter_parts(info.annotation), *info.metadata, info.discriminator]
        sections = [part for part in parts if _is_model(part)]
        path = (*prefix, name)
        yield Field(
            path=path,
            description=info.description or "",
            default=None if info.is_required() else info.get_default(call_default_factory=True),
            required=info.is_required(),
            is_union=any(isinstance(part, Discriminator) for part in parts),
            is_map=dict in parts,
            is_text=any(isinstance(part, AsWritten) for part in parts),
        )
        for section in sections:
            yield from _iter_fields(section, path)


def _is_model(part: Any) -> bool:
    return isinstance(part, type) and issubclass(part, BaseModel)


def _iter_parts(annotation: Any) -> Iterator[Any]:
    yield get_origin(annotation) or annotation
    for part in get_args(annotation):
        yield from _iter_parts(part)


def find_field(path: tuple[str | int, ...]) -> Field | None:
    """The field at a path; for a member of a map, the map."""
    fields = get_fields()
    named = tuple(str(part) for part in path)
    field = fields.get(named)
    if field is None:
        around = fields.get(named[:-1])
        return around if around is not None and around.is_map else None
    return field


@cache
def get_keys(layout: Layout) -> dict[str, Field]:
    """Each dotted key as users of a layout write it."""
    fields = get_fields()
    keys = {_written_key(field.path, layout): field for field in fields.values()}
    keys.update({alias: fields[path] for alias, path in _ALIASES.items()})
    for either in ("error_threshold", "settings.error_threshold"):
        keys[either] = fields["settings", "error_threshold"]
    return keys


def _written_key(path: tuple[str, ...], layout: Layout) -> str:
    lifted = layout == "flat" and path[0] == "settings" and len(path) > 1
    if lifted and path[1] != "instance_count":
        return ".".join(path[1:])
    return ".".join(path)


@cache
def get_override_keys() -> dict[str, Field]:
    """Each dotted key that ``--set`` takes: both layouts, and bare names of retry settings."""
    keys = {**get_keys("nested"), **get_keys("flat")}
    retries = ("settings", "retry_settings")
    keys.update({path[2]: field for path, field in get_fields().items() if path[:-1] == retries})
    keys["instance_count"] = get_fields()["resources", "instance_count"]
    return keys


def find_nearest_key(key: str, keys: dict[str, Field]) -> str | None:
    """The known key that a user most likely meant by an unknown dotted ``key``.

    The same name in another section comes first, then what is spelled alike.
    """
    parent, _, name = key.rpartition(".")
    same = [known for known in keys if _squash(_name(known)) == _squash(name) and known != key]
    if same:
        return min(same, key=lambda known: (known.rpartition(".")[0] != parent, known.count(".")))
    scored = sorted((-_likeness(known, parent, name), known) for known in keys)
    return scored[0][1] if scored and -scored[0][0] >= _NEAR else None


def _likeness(known: str, parent: str, name: str) -> float:
    ratio = difflib.SequenceMatcher(None, _squash(_name(known)), _squash(name)).ratio()
    return ratio + (0.1 if known.rpartition(".")[0] == parent else 0.0)


def _name(key: str) -> str:
    return key.rpartition(".")[2]


def _squash(name: str) -> str:
    return name.lower().replace("_", "").replace("-", "")
