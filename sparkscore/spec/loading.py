"""A deployment file to a LoadedDeployment. Any process; reads that one file."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from sparkscore.errors import SpecError, UnresolvedReferenceError
from sparkscore.spec.deployment import DeploymentSpec
from sparkscore.spec.document import read_document
from sparkscore.spec.entries import Entry, Place
from sparkscore.spec.layout import find_layout, normalize_aliases, normalize_layout
from sparkscore.spec.overrides import apply_flags, apply_overrides
from sparkscore.spec.problems import Problem, raise_problems
from sparkscore.spec.validation import validate
from sparkscore.spec.vocabulary import Layout

_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://|(azureml|models|runs|dbfs|file):")
_NO_FLAGS: Mapping[str, object] = MappingProxyType({})


@dataclass(frozen=True)
class LoadedDeployment:
    """A spec, which holds what was written, and the file that its paths are relative to."""

    spec: DeploymentSpec
    file: Path
    entries: Entry = field(repr=False, compare=False)

    @property
    def folder(self) -> Path:
        """The folder that relative paths of the spec start from."""
        return self.file.absolute().parent

    def resolve(self, written: str) -> str:
        """An absolute local path; URIs and references come back as they are."""
        return written if _URI.match(written) else str(self.folder / written)

    def get_place(self, key: str) -> Place:
        """Where ``key`` of the nested layout (``model.path``), or its section, was written."""
        return self.entries.get_nearest(tuple(key.split("."))).place

    def error(
        self,
        key: str,
        *,
        message: str,
        kind: type[SpecError] = UnresolvedReferenceError,
        condition: str | None = None,
        **attributes: Any,
    ) -> SpecError:
        """An error about the value of ``key``, for what only its user can find out.

        ``message`` follows the key as the user wrote it: "does not exist: ...".
        """
        entry = self.entries.get_nearest(tuple(key.split(".")))
        return kind(
            f"{entry.place}: {entry.key or key} {message}",
            condition=condition,
            file=str(self.file),
            line=entry.place.line,
            key=entry.key or key,
            **attributes,
        )


def load_deployment(
    path: Path, *, overrides: Sequence[str] = (), flags: Mapping[str, object] = _NO_FLAGS
) -> LoadedDeployment:
    """The deployment in a YAML file, with ``--set`` overrides and then flags laid over it.

    ``overrides`` are ``key=value`` texts; ``flags`` map the same keys to typed values, None being
    not given. Required keys are checked last. Raises SpecError: MalformedDocumentError,
    UnknownFieldError, InvalidFieldError (condition MISSING_FIELD for a required key), each with
    file, line and key, or UnresolvedReferenceError if the file cannot be read.
    """
    document = read_document(path)
    layout = find_layout(document)
    root, problems = _prepare(document, overrides, flags, layout=layout)
    spec = validate(root, layout=layout)
    if not isinstance(spec, DeploymentSpec):
        raise_problems([*problems, *spec], file=str(path))
    if problems:
        raise_problems(problems, file=str(path))
    return LoadedDeployment(spec=spec, file=path, entries=root)


def _prepare(
    document: Entry, overrides: Sequence[str], flags: Mapping[str, object], *, layout: Layout
) -> tuple[Entry, list[Problem]]:
    root, problems = normalize_layout(document, layout=layout)
    root, twice = normalize_aliases(root)
    root, unset = apply_overrides(root, overrides)
    root, unflagged = apply_flags(root, flags)
    root, later = normalize_aliases(root)
    return root, [*problems, *twice, *unset, *unflagged, *later]
