"""The types of user-written values, each with the words that say what it allows. Any process."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    WithJsonSchema,
)
from pydantic_core import CoreSchema, core_schema

LARGEST = 2**31 - 1
LONGEST_SECONDS = 259_200
LONGEST_FILE_NAME_BYTES = 255
LARGEST_PRECISION = 38

REFERENCE_PATTERN = (
    r"^(azureml:[^:@/\s]+:[^:@/\s]+"
    r"|azureml:[^:@/\s]+@[^:@/\s]+"
    r"|azureml:/subscriptions/\S+"
    r"|azureml://\S+"
    r"|models:/[^/\s].*"
    r"|runs:/[^/\s]+/.+)$"
)
ASSET_NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,254}$"
NAME_PATTERN = r"^[a-zA-Z]([-a-zA-Z0-9]*[a-zA-Z0-9])?$"
FILE_NAME_PATTERN = r"""^[^~"#%&*:<>?/\\{|}\x00-\x1f\x7f]+$"""
TABLE_PATTERN = r"^(([A-Za-z0-9_]+|`[^`]+`)\.){0,2}([A-Za-z0-9_]+|`[^`]+`)$"
SQL_TYPE_PATTERN = (
    "^(string|boolean|tinyint|smallint|int|integer|bigint|long|float|double|date|timestamp|binary"
    "|decimal[(] *[0-9]{1,2} *, *[0-9]{1,2} *[)])$"
)
MEMORY_PATTERN = r"^[0-9]{1,12}(\.[0-9]{1,6})? *([kKmMgGtT]([iI]?[bB])?|[bB])?$"
SMALLEST_MEMORY_BYTES = 64 * 1024**2

_SQL_SYNONYMS = {"integer": "int", "long": "bigint"}
_MEMORY_UNITS = {"": 1, "b": 1, "k": 1024, "m": 1024**2, "g": 1024**3, "t": 1024**4}


@dataclass(frozen=True)
class Allowed:
    """What a type allows, in words for errors; last in Annotated, it replaces pydantic's words.

    ``hint`` follows the refused value ("; write {value}..."); ``hints`` does for single values,
    whose errors may have a condition of their own.
    """

    words: str
    hint: str = ""
    hints: Mapping[str, str] = field(default_factory=dict, hash=False)
    conditions: Mapping[str, str] = field(default_factory=dict, hash=False)

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.custom_error_schema(
            handler(source),
            custom_error_type="allowed",
            custom_error_message=self.words,
            custom_error_context={
                "hint": self.hint,
                "hints": dict(self.hints),
                "conditions": dict(self.conditions),
            },
        )


@dataclass(frozen=True)
class AsWritten:
    """Marks text that takes an unquoted number or boolean as it was written: 1.10, true."""


class Spec(BaseModel):
    """A frozen part of what a user wrote; unknown keys are refused."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, hide_input_in_errors=True, allow_inf_nan=False
    )


def refused_file_path(path: str) -> str | None:
    """Why ``path`` is no file below a folder, None if it is one."""
    parts = path.split("/")
    if not path or path != path.strip() or parts[-1] in ("", ".", ".."):
        return "names no file"
    if path.startswith("/") or re.match(r"[A-Za-z]:", path):
        return "is absolute"
    if ".." in parts:
        return "leaves the folder"
    return "holds a backslash or control character" if re.search(r"[\\\x00-\x1f]", path) else None


def _file_path(path: str) -> str:
    reason = refused_file_path(path)
    if reason:
        raise ValueError(reason)
    return path


def _file_name(name: str) -> str:
    if name in (".", "..") or name != name.strip() or len(name.encode()) > LONGEST_FILE_NAME_BYTES:
        raise ValueError("no file name")
    return name


def _sql_type(name: object) -> object:
    if not isinstance(name, str):
        return name
    lowered = name.lower()
    return _SQL_SYNONYMS.get(lowered, lowered)


def _decimal(name: str) -> str:
    numbers = [int(digits) for digits in re.findall(r"[0-9]+", name)]
    if not numbers:
        return name
    precision, scale = numbers
    if not 1 <= precision <= LARGEST_PRECISION or scale > precision:
        raise ValueError("decimal out of range")
    return f"decimal({precision},{scale})"


def _bytes(size: object) -> object:
    if not isinstance(size, str) or not re.match(MEMORY_PATTERN, size):
        return size
    digits = re.match(r"[0-9.]+", size)
    number = digits.group() if digits else ""
    unit = size[len(number) :].strip().lower()[:1]
    return int(float(number) * _MEMORY_UNITS[unit])


def _lower(text: object) -> object:
    return text.lower() if isinstance(text, str) else text


def _separator(text: str) -> str:
    if text in ('"', "\r", "\n", "\0") or not text.isascii():
        raise ValueError("no separator")
    return text


def _distinct(names: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(names)) < len(names):
        raise ValueError("twice")
    return names


def _any_case(pattern: str) -> str:
    """The pattern for either case of each letter; JSON Schema has no flag for it."""
    return re.sub("[a-z]", lambda letter: f"[{letter[0]}{letter[0].upper()}]", pattern)


Text = Annotated[
    str,
    AsWritten(),
    WithJsonSchema({"type": ["string", "number", "boolean"]}),
    Allowed("text"),
]
StringMap = dict[str, Text]
RequiredText = Annotated[str, Field(min_length=1), Allowed("text that is not empty")]
Name = Annotated[
    str,
    Field(min_length=3, max_length=32, pattern=NAME_PATTERN),
    Allowed("3 to 32 letters, digits and '-', beginning with a letter and not ending in '-'"),
]
_ASSET_WORDS = "1 to 255 letters, digits, '-', '_' and '.', beginning with a letter or digit"
AssetName = Annotated[str, Field(pattern=ASSET_NAME_PATTERN), Allowed(_ASSET_WORDS)]
AssetVersion = Annotated[
    str,
    Field(pattern=ASSET_NAME_PATTERN),
    AsWritten(),
    WithJsonSchema(
        {"anyOf": [{"type": "string", "pattern": ASSET_NAME_PATTERN}, {"type": "number"}]}
    ),
    Allowed(_ASSET_WORDS),
]
Reference = Annotated[
    str,
    Field(pattern=REFERENCE_PATTERN),
    Allowed(
        "a reference (azureml:<name>:<version>, azureml:<name>@latest, azureml://..., "
        "models:/<name>/<version> or runs:/<run>/<path>) or a mapping with `path`",
        hint="; for a file, folder or URI write it inline: `model: {{path: {text}}}`",
    ),
]
FilePath = Annotated[
    str,
    Field(min_length=1),
    AfterValidator(_file_path),
    Allowed("a relative path of a file inside the code folder, without '..' and with '/'"),
]
FileName = Annotated[
    str,
    Field(min_length=1, max_length=LONGEST_FILE_NAME_BYTES, pattern=FILE_NAME_PATTERN),
    AfterValidator(_file_name),
    Allowed('a bare file name without any of ~"#%&*:<>?/\\{|}', hint=""),
]
Count = Annotated[int, Field(ge=1, le=LARGEST), Allowed("a whole number of at least 1")]
RetryCount = Annotated[int, Field(ge=0, le=LARGEST), Allowed("a whole number of at least 0")]
Threshold = Annotated[
    int,
    Field(ge=-1, le=LARGEST),
    Allowed("a whole number of at least -1, which is any number"),
]
Seconds = Annotated[
    int,
    Field(ge=1, le=LONGEST_SECONDS),
    Allowed(f"a whole number of seconds from 1 to {LONGEST_SECONDS}"),
]
Switch = Annotated[bool, Allowed("true or false")]
LoggingLevel = Annotated[
    Literal["warning", "info", "debug"],
    BeforeValidator(_lower),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": _any_case("^(warning|info|debug)$"),
            "examples": ["warning", "info", "debug"],
        }
    ),
    Allowed("warning, info or debug"),
]
TableName = Annotated[
    str,
    Field(pattern=TABLE_PATTERN),
    Allowed("a table name: table, schema.table or catalog.schema.table"),
]
SqlType = Annotated[
    str,
    Field(pattern=SQL_TYPE_PATTERN),
    AfterValidator(_decimal),
    BeforeValidator(_sql_type),
    WithJsonSchema({"type": "string", "pattern": _any_case(SQL_TYPE_PATTERN)}),
    Allowed(
        "string, boolean, tinyint, smallint, int, bigint, float, double, date, timestamp, binary "
        "or decimal(precision,scale)"
    ),
]
Separator = Annotated[
    str,
    Field(min_length=1, max_length=1),
    AfterValidator(_separator),
    Allowed("one ASCII character that is neither a double quote nor a line end"),
]
MemoryBytes = Annotated[
    int,
    Field(ge=SMALLEST_MEMORY_BYTES),
    BeforeValidator(_bytes),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": SMALLEST_MEMORY_BYTES},
                {"type": "string", "pattern": MEMORY_PATTERN},
            ]
        }
    ),
    Allowed("a number of bytes or a size such as 512m or 2g, and at least 64m"),
]
Columns = Annotated[
    tuple[Annotated[str, Field(min_length=1)], ...],
    Field(strict=False),
    AfterValidator(_distinct),
    Allowed("all, or a list of column names without repetition"),
]
TextList = Annotated[
    tuple[str, ...], Field(strict=False), Allowed("a list of texts, one below the other after '-'")
]
