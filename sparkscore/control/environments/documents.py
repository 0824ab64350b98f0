"""An environment as JSON types, with the content of the files that it names. Control plane."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from sparkscore.control.environments.request import read_request
from sparkscore.errors import InvalidFieldError, UnresolvedReferenceError
from sparkscore.spec import EnvironmentSpec
from sparkscore.spec.document import read_document
from sparkscore.spec.entries import Entry


def describe_environment(spec: EnvironmentSpec, *, resolve: Callable[[str], str]) -> dict[str, Any]:
    """The environment without name and version; ``resolve`` makes its paths absolute.

    Raises UnresolvedReferenceError for a file that is not there, SpecError for one that is no YAML,
    InvalidFieldError (ENVIRONMENT_AMBIGUOUS) if it is given in two ways, and what ``read_request``
    does for what it asks for, with the file where that stands.
    """
    _refuse_two_ways(spec)
    document = spec.model_dump(mode="json", exclude_none=True, exclude={"name", "version"})
    files: dict[str, Path] = {}
    if isinstance(spec.conda_file, str):
        files["conda_file"] = file = Path(resolve(spec.conda_file))
        document["conda_file"] = to_plain(read_document(file, kind="conda"))
    if isinstance(spec.requirements, str):
        files["requirements"] = Path(resolve(spec.requirements))
        document["requirements"] = _read_lines(files["requirements"])
    _check(document, files)
    if spec.archive is not None:
        document["archive"] = resolve(spec.archive)
    if spec.build is not None and spec.build.path is not None:
        document["build"]["path"] = resolve(spec.build.path)
    return document


def _check(document: Mapping[str, Any], files: Mapping[str, Path]) -> None:
    """Refuse what no environment can hold, naming the file that has it, or else the key."""
    try:
        read_request(document)
    except InvalidFieldError as error:
        key = str(error.attributes.get("key"))
        file = files.get(key)
        raise InvalidFieldError(
            f"{file or key}: {error.message}",
            condition=error.condition,
            **{**error.attributes, "path": None if file is None else str(file)},
        ) from error


def _refuse_two_ways(spec: EnvironmentSpec) -> None:
    given = [key for key in ("archive", "python") if getattr(spec, key) is not None]
    if spec.conda_file is not None or spec.requirements is not None:
        given.append("requirements" if spec.conda_file is None else "conda_file")
    if len(given) > 1:
        raise InvalidFieldError(
            f"the environment has both {given[0]} and {given[1]}: keep the one that scripts run in",
            condition="ENVIRONMENT_AMBIGUOUS",
            keys=given,
        )


def _read_lines(file: Path) -> list[str]:
    """The lines of a requirements file, joined where they go on, without comments."""
    try:
        text = file.read_text(encoding="utf-8").replace("\\\n", " ")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "is not UTF-8"
        raise UnresolvedReferenceError(
            f"requirements {file} cannot be read: {reason}; environment.requirements is relative "
            "to the file that names it",
            condition="REQUIREMENTS_NOT_FOUND",
            path=str(file),
        ) from error
    lines = (line.partition(" #")[0].strip() for line in text.splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def to_plain(entry: Entry) -> Any:
    """What a part of a YAML file holds."""
    if isinstance(entry.content, dict):
        return {name: to_plain(member) for name, member in entry.content.items()}
    if isinstance(entry.content, list):
        return [to_plain(member) for member in entry.content]
    return entry.content
