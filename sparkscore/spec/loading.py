"""A document, from a file or stored, to a loaded spec. Any process; reads that one file."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Generic, TypeAlias, TypeVar

from sparkscore.errors import SpecError, UnresolvedReferenceError
from sparkscore.spec.deployment import DeploymentSpec
from sparkscore.spec.document import read_document
from sparkscore.spec.entries import Entry, Place, entry_of
from sparkscore.spec.grammar import Document
from sparkscore.spec.layout import find_layout, normalize_aliases, normalize_layout
from sparkscore.spec.overrides import Editor, Words
from sparkscore.spec.problems import Problem, raise_problems
from sparkscore.spec.validation import validate
from sparkscore.spec.vocabulary import find_exact_field

S = TypeVar("S", bound=Document)
Source = Path | Mapping[str, object] | None

_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://|(azureml|models|runs|dbfs|file):")
_NO_FLAGS: Mapping[str, object] = MappingProxyType({})
_COMMAND_LINE = "command line"


@dataclass(frozen=True)
class Loaded(Generic[S]):
    """A spec, which holds what was written, and where that was.

    ``source`` is a file's path, the name of a stored document, or ``command line``. ``file`` is
    None unless it was a file.
    """

    spec: S
    source: str
    file: Path | None
    entries: Entry = field(repr=False, compare=False)

    @property
    def folder(self) -> Path:
        """The folder that relative paths start from: the file's, else the current one."""
        return Path.cwd() if self.file is None else self.file.absolute().parent

    def resolve(self, written: str) -> str:
        """An absolute local path; URIs and references come back as they are."""
        return written if _URI.match(written) else str(self.folder / os.path.expanduser(written))

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
            file=self.source,
            line=entry.place.line,
            key=entry.key or key,
            **attributes,
        )


LoadedDeployment: TypeAlias = Loaded[DeploymentSpec]


def load_deployment(
    source: Source,
    *,
    overrides: Sequence[str] = (),
    flags: Mapping[str, object] = _NO_FLAGS,
    additions: Sequence[Words | str] = (),
    removals: Sequence[Words | str] = (),
    force_string: bool = False,
    source_name: str | None = None,
) -> LoadedDeployment:
    """The deployment in a YAML file or a stored document; see ``load_document``."""
    return load_document(
        DeploymentSpec,
        source,
        overrides=overrides,
        flags=flags,
        additions=additions,
        removals=removals,
        force_string=force_string,
        source_name=source_name,
    )


def load_document(
    model: type[S],
    source: Source,
    *,
    overrides: Sequence[str] = (),
    flags: Mapping[str, object] = _NO_FLAGS,
    additions: Sequence[Words | str] = (),
    removals: Sequence[Words | str] = (),
    force_string: bool = False,
    source_name: str | None = None,
) -> Loaded[S]:
    """The document in a YAML file, stored (a mapping) or of flags alone (None), with changes.

    ``overrides`` are ``key=value`` texts, which ``force_string`` keeps text. ``additions`` are
    ``key=value`` texts too, or the words of one ``--add``: the key of a list or map, then what to
    add. ``removals`` are keys, or a list's key and a position. ``flags`` map keys to typed values,
    None being not given. They are laid over the document in this order. ``source_name`` is what
    errors call a stored document, by default such as ``deployment heart-v1``.

    Required keys are checked last. Raises SpecError: MalformedDocumentError, UnknownFieldError,
    InvalidFieldError (condition MISSING_FIELD for a required key), each with file, line and key,
    or UnresolvedReferenceError if the file cannot be read.
    """
    document = _open(model, source, name=source_name)
    layout = find_layout(document, model=model)
    root, problems = normalize_layout(document, model=model, layout=layout)
    root, twice = normalize_aliases(root, model=model)
    editor = Editor(root, model, [*problems, *twice], force_string=force_string)
    editor.apply_overrides(overrides)
    editor.apply_additions(additions)
    editor.apply_removals(removals)
    editor.apply_flags(flags)
    root, later = normalize_aliases(editor.root, model=model)
    problems = [*editor.problems, *later]
    spec = validate(root, model=model, layout=layout)
    if not isinstance(spec, model) or problems:
        raise_problems(_gather(problems, spec), file=document.place.source)
    file = source if isinstance(source, Path) else None
    return Loaded(spec=spec, source=document.place.source, file=file, entries=root)


def _gather(problems: list[Problem], found: object) -> list[Problem]:
    return [*problems, *found] if isinstance(found, list) else problems


def _open(model: type[Document], source: Source, *, name: str | None) -> Entry:
    if isinstance(source, Path):
        root = read_document(source, kind=model.grammar.kind)
        return _without_nulls(root, (), model=model) if model.grammar.accepts_null else root
    if source is None:
        return Entry({}, "", Place(name or _COMMAND_LINE))
    place = Place(name or " ".join(filter(None, [model.grammar.kind, _get_name(source)])))
    root = entry_of(source, key="", place=place)
    return _without_nulls(root, (), model=model)


def _get_name(document: Mapping[str, object]) -> str:
    name = document.get("name")
    return name if isinstance(name, str) else ""


def _without_nulls(entry: Entry, path: tuple[str, ...], *, model: type[Document]) -> Entry:
    """The document in which a field that is null was not given."""
    if not isinstance(entry.content, dict):
        return entry
    members = {
        name: _without_nulls(member, (*path, name), model=model)
        for name, member in entry.members.items()
        if member.content is not None or find_exact_field(model, (*path, name)) is None
    }
    return Entry(members, entry.key, entry.place)
