"""The settings of a deployment as fields of a form. Control plane, pure.

What a field takes, its default and its description are those of the spec; only the order and the
grouping are made here. A field's name in a form is its key in the nested layout.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

from sparkscore.spec import deployment_json_schema
from sparkscore.studio.pairs import (
    read_lines,
    read_names,
    read_pairs,
    render_lines,
    render_names,
    render_pairs,
)

Kind = Literal["number", "choice", "switch", "pairs", "names", "separator", "lines", "text"]

SEPARATORS = {"comma": ",", "semicolon": ";", "tab": "\t", "blank": " ", "bar": "|"}

_NUMBER = re.compile(r"-?[0-9]{1,18}")
_ROOT_KEYS = ("name", "description", "tags")
INSTANCE_COUNT = "resources.instance_count"
RETRIES = "settings.retry_settings"

GROUPS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("Output", ("settings.output_action", "settings.output_file_name")),
    ("Mini-batches", ("settings.mini_batch_size", "settings.max_concurrency_per_instance")),
    ("Failures", ("settings.error_threshold", f"{RETRIES}.max_retries", f"{RETRIES}.timeout")),
    ("Logs", ("settings.logging_level",)),
)
MORE_GROUPS: tuple[tuple[str, tuple[str, ...]], ...] = (
    (
        "Form of the output",
        (
            *("settings.output_format", "settings.output_header", "settings.output_separator"),
            *("settings.passthrough_columns", "settings.output_table", "settings.output_mode"),
            *("settings.output_schema", "settings.on_bad_row"),
        ),
    ),
    (
        "Script and failures",
        (
            *("settings.mini_batch_error_threshold", "settings.isolate_failures"),
            *("settings.init_timeout", "settings.isolation", "settings.memory_limit"),
            "settings.environment_variables",
        ),
    ),
    (
        "Job",
        ("settings.checkpoint_interval", "settings.keep_staging", "settings.spark_conf"),
    ),
)
_TYPES: dict[str, Kind] = {
    "integer": "number",
    "boolean": "switch",
    "object": "pairs",
    "array": "lines",
}


@dataclass(frozen=True)
class SettingField:
    """One field. ``default`` is text as the form holds it, empty for none."""

    name: str
    label: str
    hint: str
    kind: Kind
    default: str = ""
    options: tuple[str, ...] = ()
    minimum: int | None = None
    maximum: int | None = None

    def render(self, value: Any) -> str:
        """The text of a value of a document; None is none."""
        if value is None:
            return ""
        if self.kind == "switch":
            return "true" if value else ""
        if self.kind == "pairs":
            return render_pairs(value)
        if self.kind == "names":
            return render_names(value) if value else ""
        if self.kind == "lines":
            return render_lines(value)
        if self.kind == "separator":
            return next((word for word, sign in SEPARATORS.items() if sign == value), str(value))
        return str(value)

    def show(self, value: Any) -> str:
        """A value of a document as people read it."""
        if self.kind == "switch":
            return "Yes" if value else "No"
        return self.render(value)

    def read(self, text: str) -> Any:
        """The value that a text means, None for none; what the spec refuses stays as it is.

        Raises ValueError for a map that has no ``=``.
        """
        if self.kind == "switch":
            return text == "true"
        if not text:
            return None
        if self.kind == "pairs":
            return read_pairs(text)
        if self.kind == "names":
            return read_names(text)
        if self.kind == "lines":
            return read_lines(text)
        if self.kind == "separator":
            return SEPARATORS.get(text, text)
        return int(text) if self.kind == "number" and _NUMBER.fullmatch(text) else text


@cache
def get_fields() -> Mapping[str, SettingField]:
    """All fields by name: of the root, of ``settings``, and the number of instances."""
    definitions = deployment_json_schema()["$defs"]
    root = definitions["NestedDeployment"]["properties"]
    settings = definitions["SettingsSpec"]["properties"]
    schemas = {
        **{name: root[name] for name in _ROOT_KEYS},
        **{f"settings.{name}": schema for name, schema in settings.items()},
        **{
            f"{RETRIES}.{name}": schema
            for name, schema in definitions["RetrySettings"]["properties"].items()
        },
        INSTANCE_COUNT: definitions["ResourcesSpec"]["properties"]["instance_count"],
    }
    for name in (RETRIES, "settings.instance_count"):
        del schemas[name]
    return {name: make_field(name, schema) for name, schema in schemas.items()}


def iter_groups(*, more: bool) -> Iterator[tuple[str, list[SettingField]]]:
    """Title and fields of the groups that are always shown, or of those under "More"."""
    for title, names in MORE_GROUPS if more else GROUPS:
        yield title, [get_fields()[name] for name in names]


def make_field(name: str, schema: Mapping[str, Any]) -> SettingField:
    """The field of a key, as its JSON Schema describes it."""
    kind = _find_kind(name, schema)
    default = schema.get("default")
    bare = SettingField(
        name=name,
        label=name.rpartition(".")[2].replace("_", " ").capitalize(),
        hint=schema["description"],
        kind=kind,
        options=_find_options(kind, schema),
        minimum=schema.get("minimum"),
        maximum=schema.get("maximum"),
    )
    text = bare.render(default)
    return bare if not text else SettingField(**{**vars(bare), "default": text})


def _find_options(kind: Kind, schema: Mapping[str, Any]) -> tuple[str, ...]:
    if kind == "separator":
        return tuple(SEPARATORS)
    return tuple(schema.get("enum", schema.get("examples", ()))) if kind == "choice" else ()


def _find_kind(name: str, schema: Mapping[str, Any]) -> Kind:
    if name.endswith(".output_separator"):
        return "separator"
    if any(option.get("type") == "array" for option in schema.get("oneOf", ())):
        return "names"
    if "enum" in schema or "examples" in schema:
        return "choice"
    found = schema.get("type")
    return _TYPES.get(found, "text") if isinstance(found, str) else "text"
