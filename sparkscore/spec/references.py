"""References to registered assets and places, from text to parts. Any process, pure.

The forms of the reference system, MLflow's ``models:/`` and ``runs:/``, URIs and local paths.
What is named is looked up elsewhere.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, NoReturn

from sparkscore.errors import InvalidFieldError
from sparkscore.spec.locations import to_mounted

INVALID_REFERENCE = "INVALID_REFERENCE"
"""Condition of a text that is no reference of the kind that is needed."""

LATEST = "latest"

AssetKind = Literal["model", "environment", "data", "code"]
DataType = Literal["uri_folder", "uri_file"]

_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,254}"
_SHORT = re.compile(rf"azureml:(?P<name>{_NAME})(:(?P<version>{_NAME})|@(?P<label>[^:@/\s]+))?")
_LONG_START = r"(azureml:/{1,2}(subscriptions|locations)|/subscriptions)/"
_LONG_END = re.compile(
    rf"/(?P<kind>[A-Za-z]+)/(?P<name>{_NAME})"
    rf"(/versions/(?P<version>{_NAME})|/labels/(?P<label>[^/]+))?/?"
)
_DATASTORE = re.compile(
    rf"(azureml://|{_LONG_START}.+?/workspaces/[^/]+/)datastores/(?P<name>{_NAME})"
    r"(/paths(?P<path>/.*)?)?/?",
    re.IGNORECASE | re.DOTALL,
)
_MLFLOW = re.compile(r"models:/[^/\s@]+(/[^/\s]+|@[^/\s]+)|runs:/[^/\s]+/.+")
_PREFIXES: dict[str, DataType] = {"folder": "uri_folder", "file": "uri_file"}
_SEGMENTS: dict[str, AssetKind] = {
    "models": "model",
    "environments": "environment",
    "data": "data",
    "datasets": "data",
    "codes": "code",
}


@dataclass(frozen=True)
class AssetReference:
    """A registered asset by version or label; neither where the name alone may stand."""

    name: str
    version: str | None = None
    label: str | None = None

    def __str__(self) -> str:
        if self.version is not None:
            return f"azureml:{self.name}:{self.version}"
        return f"azureml:{self.name}@{self.label}" if self.label else f"azureml:{self.name}"


@dataclass(frozen=True)
class DatastorePath:
    """A path below a datastore's root, ``""`` being the root; never starts with ``/``."""

    datastore: str
    path: str

    def __str__(self) -> str:
        return f"azureml://datastores/{self.datastore}/paths/{self.path}"


@dataclass(frozen=True)
class MlflowReference:
    """A model in MLflow's own words: ``models:/name/version`` or ``runs:/run/path``."""

    uri: str

    def __str__(self) -> str:
        return self.uri


@dataclass(frozen=True)
class Location:
    """A URI that fsspec opens, or a local path as it was written."""

    uri: str

    def __str__(self) -> str:
        return self.uri


def parse_asset(text: str, *, kind: AssetKind) -> AssetReference:
    """The asset that ``azureml:<name>:<version>``, ``@latest`` or a long id names.

    Raises InvalidFieldError (INVALID_REFERENCE) for anything else.
    """
    found = _find_asset(text, kind=kind)
    if found is None:
        _refuse(text, f"is no {kind} reference", allowed=_asset_forms(kind))
    return found


def parse_model(text: str) -> AssetReference | MlflowReference | DatastorePath | Location:
    """The model that a reference, a URI or a path names; see ``parse_asset``."""
    if text.startswith(("models:", "runs:")):
        if not _MLFLOW.fullmatch(text):
            _refuse(
                text,
                "is no reference to an MLflow model",
                allowed="models:/<name>/<version>, models:/<name>@<alias> or runs:/<run>/<path>",
            )
        return MlflowReference(text)
    return _parse_place(text, kind="model")


def parse_data(
    text: str,
) -> tuple[DataType | None, AssetReference | DatastorePath | Location]:
    """What an input names, and its type if the text starts with ``folder:`` or ``file:``."""
    type_, rest = _split_prefix(text)
    return type_, _parse_place(rest, kind="data")


def parse_output(text: str) -> tuple[DataType | None, DatastorePath | Location]:
    """Where an output goes, and its type if the text starts with ``folder:`` or ``file:``."""
    type_, rest = _split_prefix(text)
    place = _parse_place(rest, kind="data")
    if isinstance(place, AssetReference):
        _refuse(text, "is a registered asset, which never changes", allowed=_PLACE_FORMS)
    return type_, place


def parse_compute(text: str) -> str:
    """The name in ``azureml:<compute>``, a bare name, or a long id of a compute."""
    return _parse_bare(text, segment="computes", what="compute")


def parse_datastore(text: str) -> str:
    """The name in ``azureml:<datastore>``, a bare name, or a long id of a datastore."""
    return _parse_bare(text, segment="datastores", what="datastore")


_PLACE_FORMS = "azureml://datastores/<datastore>/paths/<path>, a URI or a path"


def _asset_forms(kind: AssetKind) -> str:
    return f"azureml:<{kind}>:<version> or azureml:<{kind}>@latest"


def _split_prefix(text: str) -> tuple[DataType | None, str]:
    prefix, colon, rest = text.partition(":")
    if prefix not in _PREFIXES or not colon or rest.startswith("//"):
        return None, text
    if not rest:
        _refuse(text, "names nothing", allowed=f"{prefix}: and then {_PLACE_FORMS}")
    return _PREFIXES[prefix], rest


def _parse_place(text: str, *, kind: AssetKind) -> AssetReference | DatastorePath | Location:
    found = _find_datastore_path(text) or _find_asset(text, kind=kind)
    if found is not None:
        return found
    if text.startswith("azureml:") or not text.strip():
        _refuse(text, f"is no {kind} reference", allowed=f"{_asset_forms(kind)}, or {_PLACE_FORMS}")
    return Location(to_mounted(text) if kind == "data" else text)


def _find_datastore_path(text: str) -> DatastorePath | None:
    match = _DATASTORE.fullmatch(text)
    if match is None:
        return None
    path = (match["path"] or "").lstrip("/")
    if ".." in path.split("/"):
        _refuse(text, "leaves its datastore by '..'", allowed=_PLACE_FORMS)
    return DatastorePath(match["name"], path)


def _find_asset(text: str, *, kind: AssetKind) -> AssetReference | None:
    _refuse_registry(text)
    short = _SHORT.fullmatch(text)
    if short is None:
        return _find_long_asset(text, kind=kind)
    if short["version"] is None and short["label"] is None:
        _refuse(text, "names no version", allowed=_asset_forms(kind))
    return _asset(text, short, kind=kind)


def _find_long_asset(text: str, *, kind: AssetKind) -> AssetReference | None:
    if not _is_long(text):
        return None
    end = _find_long_end(text)
    found = _SEGMENTS.get(end["kind"].lower()) if end is not None else None
    if end is None or found is None or (end["version"] is None and end["label"] is None):
        return None
    if found != kind:
        _refuse(text, f"names a {found}, not a {kind}", allowed=_asset_forms(kind))
    return _asset(text, end, kind=kind)


def _asset(text: str, match: re.Match[str], *, kind: AssetKind) -> AssetReference:
    if match["label"] not in (None, LATEST):
        _refuse(text, f"has the label {match['label']!r}", allowed=_asset_forms(kind))
    return AssetReference(match["name"], match["version"], match["label"])


def _parse_bare(text: str, *, segment: str, what: str) -> str:
    _refuse_registry(text)
    if _is_long(text):
        end = _find_long_end(text)
        if end is not None and end["kind"].lower() == segment and end["version"] is None:
            return end["name"]
    name = text.removeprefix("azureml:")
    if not re.fullmatch(_NAME, name):
        _refuse(text, f"is no {what} reference", allowed=f"azureml:<{what}> or <{what}>")
    return name


def _is_long(text: str) -> bool:
    return re.match(_LONG_START, text, re.IGNORECASE) is not None


def _find_long_end(text: str) -> re.Match[str] | None:
    """The last ``/<kind>/<name>`` of a long id, with version or label."""
    matches = (_LONG_END.fullmatch(text, start.start()) for start in re.finditer("/", text))
    return next((match for match in matches if match is not None), None)


def _refuse_registry(text: str) -> None:
    if re.match(r"azureml:/{1,2}registries/", text):
        _refuse(
            text,
            "is in a registry, and there are no registries here",
            allowed="azureml:<name>:<version> after `sparkscore model create --name <name> "
            "--version <version> --path <folder>`",
        )


def _refuse(text: str, problem: str, *, allowed: str) -> NoReturn:
    raise InvalidFieldError(
        " ".join(f"{text!r} {problem}: write {allowed}".splitlines()),
        condition=INVALID_REFERENCE,
        reference=text,
    )
