"""What a model consists of, wherever it is: files, a URI, or another registered model.

Control plane.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sparkscore.control.access.places import admit
from sparkscore.control.assets.content import LocalContent, hash_text, read_content
from sparkscore.control.assets.registry import RegisteredVersion, Registry, find_artifact_path
from sparkscore.control.assets.remote_content import read_listing, read_text
from sparkscore.control.assets.resolve import resolve_location
from sparkscore.errors import NotFoundError, UnresolvedReferenceError
from sparkscore.listing.location import find_local_path
from sparkscore.spec import AssetReference, DatastorePath, MlflowReference, parse_model

if TYPE_CHECKING:
    from sparkscore.control.assets.models import Models
    from sparkscore.control.workspace import Workspace

CONTENT, LISTING, NOTHING = "content", "listing", "nothing"
"""What a digest is of: the bytes, what the store lists, or neither (registered by others)."""

_MLMODEL = "MLmodel"
_LONGEST_FLAVORS = 4000


@dataclass(frozen=True, kw_only=True)
class ModelContent:
    """Files of a model before it is registered.

    ``local`` files are still to be copied; else ``source`` is where they stay. ``run_id`` is the
    MLflow run that they belong to.
    """

    base_name: str
    digest: str
    digest_of: str = CONTENT
    local: LocalContent | None = None
    source: str = ""
    run_id: str | None = None
    options: dict[str, str] = field(default_factory=dict)
    flavors: dict[str, Any] = field(default_factory=dict)

    @property
    def is_mlflow(self) -> bool:
        """Whether there is an MLmodel file."""
        return bool(self.flavors)


def find_content(workspace: Workspace, models: Models, text: str, *, base: Path) -> ModelContent:
    """What a path, URI, datastore path or reference holds.

    Raises UnresolvedReferenceError (MODEL_NOT_FOUND, MODEL_EMPTY, MODEL_NOT_FETCHED),
    NotFoundError, or InvalidFieldError (INVALID_REFERENCE).
    """
    place = parse_model(text)
    if isinstance(place, AssetReference):
        version = models.find_version(place.name, place.version, label=place.label)
        return describe_version(models.registry, version)
    if isinstance(place, MlflowReference):
        if place.uri.startswith("runs:/"):
            return _read_run(models.registry, place.uri)
        return describe_version(models.registry, find_mlflow_version(models, place.uri))
    if isinstance(place, DatastorePath):
        found = workspace.datastores.resolve(place)
        return _read_place(found.uri, found.options)
    uri = resolve_location(place, base=base)
    return _read_place(uri, admit(workspace, uri))


def find_mlflow_version(models: Models, uri: str) -> RegisteredVersion:
    """The version that ``models:/name/number`` or ``models:/name@alias`` names, in MLflow's words.

    A version of the caller's counts where MLflow has no such number.
    """
    name, at, alias = uri.removeprefix("models:/").partition("@")
    if at:
        return models.find_version(name, None, label=alias)
    name, _, version = name.rpartition("/")
    versions = models.registry.list_versions(name)
    found = next((one for one in versions if str(one.number) == version), None)
    return found or models.find_version(name, None if version == "latest" else version)


def _read_place(uri: str, options: dict[str, str]) -> ModelContent:
    path = find_local_path(uri)
    if path is not None:
        return _read_local(Path(path))
    listing = read_listing(uri, options)
    _refuse_empty(uri, listing.paths)
    has_description = listing.is_folder and _MLMODEL in listing.paths
    return ModelContent(
        base_name=listing.base_name,
        digest=listing.digest,
        digest_of=LISTING,
        source=uri.rstrip("/"),
        options=options,
        flavors=read_flavors(read_text(listing, _MLMODEL)) if has_description else {},
    )


def _read_local(path: Path) -> ModelContent:
    if not os.path.exists(path):
        raise UnresolvedReferenceError(
            f"model {path} does not exist: correct the path",
            condition="MODEL_NOT_FOUND",
            path=str(path),
        )
    path = path if path.name else path.resolve()
    content = read_content(path)
    _refuse_empty(str(path), content.files)
    return ModelContent(
        base_name=path.name, digest=content.digest, local=content, flavors=_find_flavors(path)
    )


def _refuse_empty(place: str, files: object) -> None:
    if not files:
        raise UnresolvedReferenceError(
            f"model {place} is an empty folder: give the folder or file of the model",
            condition="MODEL_EMPTY",
            path=place,
        )


def _read_run(registry: Registry, reference: str) -> ModelContent:
    """Artifacts of a run; what it logged as a model by that name, if they are not among them."""
    run_id = reference.removeprefix("runs:/").partition("/")[0]
    source, located = registry.locate_run(reference)
    path = find_artifact_path(located)
    base_name = reference.rstrip("/").rpartition("/")[2]
    if path is not None and os.path.exists(path):
        content = read_content(Path(path))
        return ModelContent(
            base_name=Path(path).name,
            digest=content.digest,
            source=source,
            run_id=run_id,
            flavors=_find_flavors(Path(path)),
        )
    artifacts = registry.list_artifacts(located)
    if not artifacts:
        raise NotFoundError(
            f"model {reference} does not exist: the run has no such artifacts",
            condition="MODEL_NOT_FOUND",
            reference=reference,
        )
    described = any(name.rpartition("/")[2] == _MLMODEL for name, _ in artifacts)
    return ModelContent(
        base_name=base_name,
        digest=hash_text(located, *(f"{name}\0{size}" for name, size in artifacts)),
        digest_of=NOTHING,
        source=source,
        run_id=run_id,
        flavors={"python_function": {}} if described else {},
    )


def describe_version(registry: Registry, version: RegisteredVersion) -> ModelContent:
    """What a registered version consists of, to be registered again without a copy."""
    path = find_artifact_path(registry.locate(version))
    flavors = version.read_map("flavors")
    if not flavors and path is not None:
        flavors = _find_flavors(Path(path))
    return ModelContent(
        base_name=version.facts.get("name") or version.name,
        digest=get_digest(version),
        digest_of=version.facts.get("digest_of", NOTHING),
        source=version.source,
        run_id=version.run_id,
        options=version.read_map("options"),
        flavors=flavors,
    )


def get_digest(version: RegisteredVersion) -> str:
    """The digest of a version; of its place for one that others registered."""
    found = version.facts.get("digest")
    return found or hash_text(version.name, str(version.number), version.source)


def _find_flavors(path: Path) -> dict[str, Any]:
    description = path / _MLMODEL
    if not description.is_file():
        return {}
    return read_flavors(description.read_text(encoding="utf-8", errors="replace"))


def read_flavors(text: str) -> dict[str, Any]:
    """The flavours in an MLmodel file, with their settings unless these are very long."""
    import yaml

    try:
        found = yaml.safe_load(text)
    except yaml.YAMLError:
        found = None
    flavors = found.get("flavors") if isinstance(found, dict) else None
    if not isinstance(flavors, dict):
        return {}
    plain = json.loads(json.dumps(flavors, default=str))
    is_long = len(json.dumps(plain)) > _LONGEST_FLAVORS
    return {str(name): {} for name in plain} if is_long else plain
